"""What a thousand hostile clients cost the others: half-open heads, dripping bodies, those who hardly read.

    make bench-siege                             five turns of each, about five minutes
    make bench-siege ARGS='--turns 1 --seconds 3 --clients 200'

The besiegers open again whatever the proxy closes. The others are eight connections that ask 200 times a
second. Printed are the medians of the turns, and the ratio to the quiet part of the same turn. Nothing is
asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tests.bench.contestants import megabytes
from tests.support.proxy import CHAT, completion, start_proxy
from tests.support.raw_http import Connection
from tests.support.recording_upstream import ANSWER, next_request
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

SCENES: Final = ("quiet", "heads", "bodies", "readers")
_CLIENTS: Final = 8
_PER_SECOND: Final = 200
_PATIENCE: Final = 120.0
_SETTLE: Final = 5.0
"""Seconds after the last besieger got in, before the others are measured."""
_BODY: Final = json.dumps(completion("m")).encode()
_HEAD: Final = f"POST {CHAT} HTTP/1.1\r\nHost: weir\r\n".encode()
_EVENT: Final = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"word " * 200)
_EVENTS: Final = 4000
"""Of an answer to a reader that hardly reads: four megabytes."""


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The model server: a short answer, or a long stream."""
    rest = b""
    try:
        while data := await reader.read(65536):
            rest += data
            while (found := next_request(rest)) is not None:
                request, rest = found
                if b'"stream": true' not in request:
                    writer.write(ANSWER)
                    continue
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
                writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
                for _ in range(_EVENTS):
                    writer.write(b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT))
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, backlog=4096)
    _say(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


async def _drip(writer: asyncio.StreamWriter, drop: bytes) -> None:
    for _ in range(100_000):
        await asyncio.sleep(1)
        writer.write(drop)
        await writer.drain()


async def _heads(writer: asyncio.StreamWriter, _reader: asyncio.StreamReader) -> None:
    writer.write(_HEAD + b"X-Slow: ")
    await _drip(writer, b"x")


async def _bodies(writer: asyncio.StreamWriter, _reader: asyncio.StreamReader) -> None:
    writer.write(_HEAD + b"Content-Length: 100000\r\n\r\n{")
    await _drip(writer, b" ")


async def _readers(writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> None:
    body = json.dumps(completion("long", stream=True)).encode()
    writer.write(_HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    while True:
        if not await reader.read(1024):
            return
        await asyncio.sleep(1)


BESIEGERS: Final[
    dict[str, Callable[[asyncio.StreamWriter, asyncio.StreamReader], Coroutine[None, None, None]]]
] = {"heads": _heads, "bodies": _bodies, "readers": _readers}


async def _besiege(scene: str, url: str, clients: int) -> None:
    """Keep so many hostile connections open."""
    parts = urlsplit(url)
    opened = 0

    async def one() -> None:
        nonlocal opened
        first = True
        while True:
            wire = socket.socket()
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.setblocking(False)
            await asyncio.get_running_loop().sock_connect(wire, (parts.hostname, parts.port))
            reader, writer = await asyncio.open_connection(sock=wire, limit=2048)
            opened += first
            if opened == clients and first:
                _say("besieged")
            first = False
            try:
                await BESIEGERS[scene](writer, reader)
            except (ConnectionError, TimeoutError):
                pass
            finally:
                writer.transport.abort()
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one())


async def _ask(url: str, seconds: float) -> list[float]:
    """How long each of the others' requests took, in milliseconds."""
    took: list[float] = []

    async def client(number: int) -> None:
        async with await Connection.open(url) as connection:
            start = time.perf_counter() + number / _PER_SECOND
            for turn in range(round(seconds * _PER_SECOND / _CLIENTS)):
                await asyncio.sleep(start + turn * _CLIENTS / _PER_SECOND - time.perf_counter())
                asked = time.perf_counter()
                await connection.request("POST", CHAT, [("Content-Type", "application/json")], _BODY)
                head = await connection.head(deadline=_PATIENCE)
                async for _ in connection.parts(head):
                    pass
                if head.status != 200:
                    raise SystemExit(f"the others get {head.status}")
                took.append(1000 * (time.perf_counter() - asked))

    await asyncio.gather(*(client(number) for number in range(_CLIENTS)))
    return sorted(took)


def _helper(*arguments: str) -> subprocess.Popen[str]:
    """Another process of this module."""
    command = [sys.executable, "-m", "tests.bench.siege", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def _measure(scene: str, url: str, clients: int, seconds: float) -> list[float]:
    besieger = None if scene == "quiet" else _helper("--besiege", scene, url, "--clients", str(clients))
    try:
        if besieger is not None and _first_line(besieger) != "besieged":
            raise SystemExit("the besiegers did not get in")
        if besieger is not None:
            time.sleep(_SETTLE)
        return asyncio.run(_ask(url, seconds))
    finally:
        if besieger is not None:
            _end(besieger)


def bench(turns: int, seconds: float, clients: int, scenes: list[str]) -> None:
    """Measure each scene in turns, and print."""
    with tempfile.TemporaryDirectory() as name:
        redis = RedisServer(Path(name) / "redis")
        redis.start()
        # what streams to the besiegers must not keep the others waiting
        upstreams = {model: _helper("--serve") for model in ("m", "long")}
        config = Path(name) / "weir.yaml"
        config.write_text(
            json.dumps(
                {
                    "upstreams": [
                        {"name": model, "url": f"http://127.0.0.1:{_first_line(server)}", "models": [model]}
                        for model, server in upstreams.items()
                    ]
                }
            )
        )
        proxy = start_proxy(redis.url, Path(name) / "proxy", {"WEIR_CONFIG": str(config)})
        p50: dict[str, list[float]] = {scene: [] for scene in scenes}
        p99: dict[str, list[float]] = {scene: [] for scene in scenes}
        memory: dict[str, float] = {}
        try:
            for _ in range(turns):
                for scene in scenes:
                    took = _measure(scene, proxy.url, clients, seconds)
                    p50[scene].append(took[len(took) // 2])
                    p99[scene].append(took[len(took) * 99 // 100])
                    memory[scene] = max(memory.get(scene, 0), megabytes(proxy.pid))
        finally:
            proxy.stop()
            for server in upstreams.values():
                _end(server)
            redis.stop()
    _say(f"{clients} hostile clients, {turns} turns of {seconds:g} s; milliseconds of the others' requests")
    for scene in scenes:
        ratio = median(there / quiet for there, quiet in zip(p99[scene], p99["quiet"], strict=True))
        _say(
            f"{scene:8} p50 {median(p50[scene]):6.2f}  p99 {median(p99[scene]):6.2f}"
            f"  ({ratio:.2f} x quiet)  {memory[scene]:4.0f} MB"
        )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-siege", description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--scenes", default=",".join(SCENES))
    parser.add_argument("--besiege", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if arguments.serve:
        asyncio.run(_serve())
    elif arguments.besiege:
        asyncio.run(_besiege(arguments.besiege[0], arguments.besiege[1], arguments.clients))
    else:
        scenes = ["quiet", *(scene for scene in arguments.scenes.split(",") if scene != "quiet")]
        bench(arguments.turns, arguments.seconds, arguments.clients, scenes)


if __name__ == "__main__":
    main()
