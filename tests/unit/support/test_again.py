"""Which failures of a whole run are looked at a second time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.again import main, worth_a_second_look

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "tests/e2e/test_dashboard.py::test_page"


def remembered(cache: Path, *failed: str) -> Path:
    (cache / "v/cache").mkdir(parents=True)
    (cache / "v/cache/lastfailed").write_text(json.dumps(dict.fromkeys(failed, True)))
    return cache


def test_a_few_failures_of_real_processes_are() -> None:
    assert worth_a_second_look([PAGE])


@pytest.mark.parametrize(
    "failed",
    [
        [],
        [f"{PAGE}{number}" for number in range(4)],
        [PAGE, "tests/fault/test_faults.py::test_random_kills"],
        ["tests/integration/metrics_api/test_pipeline.py::test_nothing_is_missing"],
        ["tests/unit/events/test_journal.py::test_it"],
    ],
)
def test_others_are_not(failed: list[str]) -> None:
    assert not worth_a_second_look(failed)


@pytest.mark.parametrize("exit_code", [2, 3, 4, 5])
def test_a_run_that_broke_stays_broken(tmp_path: Path, exit_code: int) -> None:
    assert main(exit_code, remembered(tmp_path, PAGE)) == exit_code


def test_a_run_that_remembers_nothing_stays_failed(tmp_path: Path) -> None:
    assert main(1, tmp_path) == 1


def test_what_fails_twice_fails_the_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(1, remembered(tmp_path, "tests/e2e/test_that_is_not_there.py")) != 0
    assert "WARNING" not in capfd.readouterr().out


def test_what_passes_alone_is_said_aloud(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    passes = tmp_path / "test_passes.py"
    passes.write_text("def test_it():\n    pass\n")
    assert main(1, remembered(tmp_path / "cache", str(passes))) == 0
    assert f"WARNING: failed among all others and passed alone: {passes}" in capfd.readouterr().out
