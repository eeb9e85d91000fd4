"""Run the fake as a process: `python -m tests.support.fake_llm --port 0`. It prints its URL first."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.support.fake_llm import FakeLLM


async def run(port: int, pace: float) -> None:
    async with FakeLLM(port, pace=pace) as fake:
        sys.stdout.write(f"{fake.url}\n")
        sys.stdout.flush()
        await fake.serve_until_cancelled()


def main() -> None:
    parser = argparse.ArgumentParser(prog="fake_llm", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--pace-ms", type=float, default=0, help="time between two streamed tokens")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.port, options.pace_ms / 1000))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
