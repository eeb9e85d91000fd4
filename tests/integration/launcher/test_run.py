"""`weir run` as a person sees it: ready at once, tidy at the end, and standing up again in between."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from tests.support.processes import Process, children, command_line, start, until
from tests.support.programs import lives
from tests.support.raw_http import Connection, post_json
from tests.support.redis_server import RedisServer
from tests.support.weir import requests, rows, service, start_weir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the processes through /proc")

DEMO: Final = {"WEIR_DEMO": "1", "WEIR_PROXY_WORKERS": "1"}
HELLO: Final = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}
JSON: Final = [("Content-Type", "application/json")]
LONG: Final = {**HELLO, "messages": [{"role": "user", "content": "word " * 400}], "stream": True}


@pytest.fixture
def weir(tmp_path: Path) -> Iterator[Process]:
    process = start_weir(tmp_path, DEMO)
    yield process
    process.stop()


def descendants(pid: int) -> list[int]:
    """All processes that this one started, and that those started."""
    return [found for child in children(pid) for found in (child, *descendants(child))]


def gone(pids: list[int], deadline: float = 15.0) -> None:
    until(lambda: not any(lives(pid) for pid in pids), "everything has ended", deadline)


def running(weir: Process) -> dict[str, int]:
    """The process of each service and of Redis."""
    (redis,) = [pid for pid in children(weir.pid) if "redis-server" in command_line(pid)]
    modules = {"proxy": "weir.proxy", "metrics-api": "weir.metrics_api", "dashboard": "weir.dashboard"}
    return {"redis": redis, **{name: service(weir, module) for name, module in modules.items()}}


async def ask(weir: Process) -> str:
    """One completion from the demo model; its request id."""
    answer = await post_json(weir.announced["proxy_url"], "/v1/chat/completions", HELLO)
    assert answer.status == 200, answer.body
    return answer.request_id


def test_it_says_where_it_is(tmp_path: Path) -> None:
    weir = start_weir(tmp_path, DEMO)
    until(lambda: "Ctrl-C stops everything." in weir.stderr, "the block is printed")
    said = weir.stderr
    assert f"Base URL   {weir.announced['proxy_url']}/v1" in said
    assert f"Dashboard  {weir.url}" in said
    assert "Demo upstream" in said
    curl = re.search(r"  (curl .*\\\n.*)\n", said)
    assert curl, said
    answer = subprocess.run(["sh", "-c", curl[1]], capture_output=True, text=True, timeout=20, check=True)
    assert "demo model" in answer.stdout
    assert weir.stop() == 0


async def test_a_stop_leaves_nothing_and_a_second_start_keeps_the_data(tmp_path: Path) -> None:
    first = start_weir(tmp_path, DEMO)
    asked = {await ask(first) for _ in range(3)}
    await rows(first, asked, deadline=15)
    processes = descendants(first.pid)
    assert len(processes) >= 5
    assert first.stop() == 0
    gone(processes)

    second = start_weir(tmp_path, DEMO)
    assert {row["request_id"] for row in await requests(second)} == asked
    assert second.stop() == 0


async def test_what_is_still_on_its_way_at_a_stop_is_there_after_the_next_start(tmp_path: Path) -> None:
    first = start_weir(tmp_path, DEMO)
    os.kill(service(first, "weir.metrics_api"), signal.SIGSTOP)
    asked = {await ask(first) for _ in range(5)}
    os.kill(service(first, "weir.metrics_api"), signal.SIGCONT)
    assert first.stop() == 0

    second = start_weir(tmp_path, DEMO)
    assert len(await rows(second, asked, deadline=15)) == 5
    assert second.stop() == 0


async def test_a_request_in_flight_is_finished_first(weir: Process) -> None:
    async with await Connection.open(weir.announced["proxy_url"]) as client:
        await client.request("POST", "/v1/chat/completions", JSON, json.dumps(LONG).encode())
        head = await client.head()
        parts = client.parts(head)
        await anext(parts)
        weir.send(signal.SIGINT)
        rest = b"".join([part async for part in parts])
    assert rest.rstrip().endswith(b"data: [DONE]")
    assert weir.wait(20) == 0
    assert "Stopping; requests in flight are finished first." in weir.stderr


async def test_a_second_signal_cuts_everything(weir: Process) -> None:
    processes = descendants(weir.pid)
    async with await Connection.open(weir.announced["proxy_url"]) as client:
        await client.request("POST", "/v1/chat/completions", JSON, json.dumps(LONG).encode())
        await client.head()
        weir.send(signal.SIGINT)
        until(lambda: "Once more to cut them off" in weir.stderr, "the first signal was heard")
        weir.send(signal.SIGINT)
        assert weir.wait(3) == 130
    gone(processes)


async def test_what_is_killed_comes_back_where_it_was(weir: Process) -> None:
    asked = {await ask(weir)}
    for name, pid in running(weir).items():
        os.kill(pid, signal.SIGKILL)
        if name == "redis":
            asked.add(await ask(weir))
        until(lambda name=name: f"{name} stopped (killed by SIGKILL), starting it again" in weir.stderr, name)
        until(lambda name=name: f"{name} is back" in weir.stderr, f"{name} is back", 30)
        assert running(weir)[name] != pid
        asked.add(await ask(weir))
        await rows(weir, asked, deadline=10)


async def test_a_killed_launcher_leaves_nothing(weir: Process, tmp_path: Path) -> None:
    asked = await ask(weir)
    processes = descendants(weir.pid)
    weir.kill9()
    gone(processes, 30)

    second = start_weir(tmp_path, DEMO)
    await rows(second, {asked}, deadline=15)
    assert second.stop() == 0


async def test_a_given_redis_is_used(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis")
    redis.start()
    weir = start_weir(tmp_path, {**DEMO, "REDIS_URL": redis.url})
    assert weir.announced["redis_url"] == redis.url
    assert not (tmp_path / "data" / "redis").exists()
    await rows(weir, {await ask(weir)}, deadline=15)
    assert weir.stop() == 0
    redis.stop()


def refused(directory: Path, settings: dict[str, str]) -> str:
    """What `weir run` says when it refuses to start."""
    anywhere = dict.fromkeys(
        ("WEIR_PROXY_LISTEN", "WEIR_PROXY_ADMIN_LISTEN", "WEIR_API_LISTEN", "WEIR_DASHBOARD_LISTEN"),
        "127.0.0.1:0",
    )
    weir = start(
        ["python", "-m", "weir.cli", "run"],
        {**anywhere, **DEMO, "WEIR_LOG_LEVEL": "error", **settings},
        cwd=directory,
        announces=False,
    )
    assert weir.wait() == 2, weir.stderr
    said = weir.stderr
    weir.stop()
    return said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"WEIR_PROXY_LISTEN": "8001"},
            (
                "weir run: WEIR_PROXY_LISTEN (environment): '8001' is not a listen address; "
                "write HOST:PORT, such as 127.0.0.1:8001\n"
            ),
        ),
        (
            {"RETENTION_5S": "long"},
            (
                "weir metrics-api: RETENTION_5S (environment): 'long' is not a duration; "
                "write it like 500ms, 5s, 15m, 24h or 7d\n"
            ),
        ),
        (
            {"WEIR_BACKEND_URL": "x", "WEIR_DASHBOARD_MAX_BODY": "big"},
            (
                "weir dashboard: WEIR_DASHBOARD_MAX_BODY (environment): 'big' is not a size; "
                "write it like 64MiB, 1GiB or a number of bytes\n"
            ),
        ),
        (
            {"WEIR_DATA_DIR": "file/data"},
            (
                "weir run: cannot write to the data directory file/data: Not a directory; "
                "mend its permissions or set WEIR_DATA_DIR to another folder\n"
            ),
        ),
    ],
)
def test_a_wrong_setting_is_one_clear_line(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    (tmp_path / "file").touch()
    assert refused(tmp_path, settings) == said


@pytest.mark.parametrize(
    "name",
    ["WEIR_PROXY_LISTEN", "WEIR_DASHBOARD_LISTEN"],
)
def test_a_taken_port_is_one_clear_line(tmp_path: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(tmp_path, {name: f"127.0.0.1:{port}"})
    assert re.fullmatch(
        rf"weir [a-z-]+: port {port} on 127\.0\.0\.1 is taken; stop what listens there or set {name}\n", said
    )


def test_two_at_once_in_one_data_directory_are_refused(weir: Process, tmp_path: Path) -> None:
    said = refused(tmp_path, {"WEIR_DATA_DIR": str(tmp_path / "data")})
    assert f"another weir run (process {weir.pid}) uses the data directory" in said
    assert len(said.splitlines()) == 1
    assert weir.running()
