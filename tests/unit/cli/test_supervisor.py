"""What dies is started again, where it was, and that is said."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.support.programs import FOREVER, python

from weir.cli import supervisor
from weir.cli.supervisor import Supervised

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
async def kept() -> AsyncIterator[Callable[[Supervised], None]]:
    """Keep a program running until the end of the test."""
    tasks: list[tuple[asyncio.Task[None], Supervised]] = []

    def keep(supervised: Supervised) -> None:
        tasks.append((asyncio.ensure_future(supervised.keep_running()), supervised))

    yield keep
    for task, supervised in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await supervised.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what other processes do is only seen by looking
            await asyncio.sleep(0.01)


async def test_what_is_killed_comes_back_in_its_place(
    kept: Callable[[Supervised], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    place = tmp_path / "place"
    code = f"open({str(place)!r}, 'a').write(os.environ.get('PLACE', 'anywhere') + ' ')\n{FOREVER}"
    changes: list[int] = []
    supervised = Supervised(
        python(code), lambda: changes.append(1), lambda urls: {"PLACE": f"at {urls['url']}"}
    )
    assert (await supervised.start())["url"] == "http://x"
    first = supervised.pid
    assert first
    kept(supervised)
    await until(place.exists)
    os.kill(first, signal.SIGKILL)
    await until(lambda: "example is back" in caplog.messages)
    await until(lambda: place.read_text() == "anywhere at http://x ")
    assert supervised.pid != first
    assert changes == [1, 1]
    assert "example stopped (killed by SIGKILL), starting it again in 0.01 s" in caplog.messages


async def test_what_dies_again_and_again_is_started_later_each_time(
    kept: Callable[[Supervised], None], caplog: pytest.LogCaptureFixture
) -> None:
    supervised = Supervised(python("sys.exit(1)"), lambda: None)
    await supervised.start()
    kept(supervised)
    await until(lambda: sum("stopped" in message for message in caplog.messages) >= 4)
    pauses = [message.rpartition(" in ")[2] for message in caplog.messages if "stopped" in message]
    assert pauses[:4] == ["0.01 s", "0.02 s", "0.04 s", "0.08 s"]
