"""Serve a model by llama.cpp on a free port of 127.0.0.1: `python serve.py FILE`. It announces its URL."""
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# (xllamacpp is installed in an environment of its own)

import json
import os
import signal
import sys

import xllamacpp


def main(path: str) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {"tiny"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = 2048
    params.n_parallel = 2
    params.n_predict = 24
    params.cpuparams.n_threads = 1
    params.warmup = False
    server = xllamacpp.Server(params)
    with os.fdopen(int(os.environ["WEIR_READY_FD"]), "w") as announce:
        announce.write(json.dumps({"url": server.listening_address}) + "\n")
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
