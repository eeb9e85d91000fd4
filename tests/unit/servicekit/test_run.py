"""Running a service: where it listens, who is told, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.processes import start
from tests.support.raw_http import Connection, fetch

from weir.servicekit.run import READY_FD, StartError, announce, refuse

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = """
import asyncio, os, sys
from aiohttp import web
from weir.servicekit import run
from weir.servicekit.health import healthz
from weir.servicekit.values import ListenAddress

async def slow(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.sleep(float(os.environ.get("SLOW", "0")))
    await response.write(b"whole")
    return response

async def main():
    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/slow", slow)
    def listening(address):
        run.announce(address.url, os.environ)
    await run.serve(app, ListenAddress.parse(sys.argv[1]), listening=listening, setting_name="WEIR_X_LISTEN")
    print("cleaned up")

try:
    asyncio.run(main())
except run.StartError as error:
    sys.exit(run.refuse("weir x", error))
"""


@pytest.fixture
def service(tmp_path: Path) -> str:
    file = tmp_path / "service.py"
    file.write_text(SERVICE)
    return str(file)


def test_the_announcement_is_one_line_and_then_the_end() -> None:
    ours, theirs = os.pipe()
    announce("http://127.0.0.1:1", {READY_FD: str(theirs)}, admin_url="http://127.0.0.1:2")
    with os.fdopen(ours) as pipe:
        assert json.loads(pipe.read()) == {"url": "http://127.0.0.1:1", "admin_url": "http://127.0.0.1:2"}


def test_without_a_launcher_nothing_is_announced() -> None:
    announce("http://127.0.0.1:1", {})


@pytest.mark.parametrize("number", ["x", "12345"])
def test_a_wrong_descriptor_is_said(number: str) -> None:
    with pytest.raises(StartError, match=f"WEIR_READY_FD={number}: .* leave it unset"):
        announce("http://127.0.0.1:1", {READY_FD: number})


def test_a_launcher_that_left_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    announce("http://127.0.0.1:1", {READY_FD: str(theirs)})
    assert caplog.messages == ["the launcher left before this process was ready"]


def test_a_refusal_is_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert refuse("weir x", StartError("one\ntwo")) == 2
    assert capsys.readouterr().err == "weir x: one\nweir x: two\n"


async def test_port_0_and_a_stop(service: str) -> None:
    process = start([sys.executable, service, "127.0.0.1:0"], {})
    assert (await fetch(process.url, "GET", "/healthz")).json() == {"status": "ok"}
    assert process.stop() == 0
    assert "cleaned up" in process.stderr


async def test_a_request_in_flight_is_finished_first(service: str) -> None:
    process = start([sys.executable, service, "127.0.0.1:0"], {"SLOW": "0.3"})
    async with await Connection.open(process.url) as connection:
        await connection.request("GET", "/slow")
        head = await connection.head()
        process.send(signal.SIGTERM)
        assert b"".join([part async for part in connection.parts(head)]) == b"whole"
    assert process.wait() == 0
    process.stop()


async def test_a_second_signal_ends_it_at_once(service: str) -> None:
    process = start([sys.executable, service, "127.0.0.1:0"], {"SLOW": "60"})
    async with await Connection.open(process.url) as connection:
        await connection.request("GET", "/slow")
        await connection.head()
        process.send(signal.SIGTERM)
        process.send(signal.SIGINT)
        assert process.wait(5) == 130
    process.stop()


def test_a_taken_port_is_one_clear_line(service: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start([sys.executable, service, f"127.0.0.1:{port}"], {}, announces=False)
        assert process.wait() == 2
    expected = f"port {port} on 127.0.0.1 is taken; stop what listens there or set WEIR_X_LISTEN"
    assert process.stderr == f"weir x: {expected}\n"
    process.stop()


def test_an_address_that_is_not_ours_is_one_clear_line(service: str) -> None:
    process = start([sys.executable, service, "192.0.2.1:1"], {}, announces=False)
    assert process.wait() == 2
    assert process.stderr.startswith("weir x: cannot listen on 192.0.2.1:1: ")
    assert len(process.stderr.splitlines()) == 1
    process.stop()
