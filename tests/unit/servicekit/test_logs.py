"""One line an event: JSON for machines, readable on a terminal."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest

from weir.servicekit import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("weir.test")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_hold_the_event_and_its_facts() -> None:
    out = io.StringIO()
    logs.configure("proxy", "info", "auto", out)
    logger.info("upstream %s", "refused", extra={"upstream": "ollama", "attempt": 2})
    logger.debug("not shown")
    line = json.loads(out.getvalue())
    assert line["ts"].endswith("Z")
    assert {key: line[key] for key in ("level", "service", "event", "upstream", "attempt")} == {
        "level": "info",
        "service": "proxy",
        "event": "upstream refused",
        "upstream": "ollama",
        "attempt": 2,
    }


def test_an_exception_stays_on_its_line() -> None:
    out = io.StringIO()
    logs.configure("proxy", "info", "json", out)
    try:
        raise ValueError("odd")  # noqa: TRY301 - the trace is what is looked at
    except ValueError:
        logger.exception("failed")
    assert len(out.getvalue().splitlines()) == 1
    assert "ValueError: odd" in json.loads(out.getvalue())["exception"]


def test_a_terminal_gets_words_and_colour() -> None:
    out = Terminal()
    logs.configure("dashboard", "warning", "auto", out)
    logger.info("not shown")
    logger.warning("backend is away", extra={"backend_url": "http://x"})
    line = out.getvalue()
    assert "\x1b[33mwarning" in line
    assert line.rstrip().endswith("backend is away  backend_url=http://x")


def test_console_without_a_terminal_has_no_colour() -> None:
    out = io.StringIO()
    logs.configure("dashboard", "info", "console", out)
    logger.info("listening")
    assert "\x1b" not in out.getvalue()
    assert "dashboard   info    listening" in out.getvalue()
