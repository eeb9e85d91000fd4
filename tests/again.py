"""A second look at the few tests that failed in a whole run: `python -m tests.again EXIT_CODE CACHE_DIR`.

The whole run starts hundreds of real processes on every core at once, and a machine may be busy with
something else besides. So a failure is looked at again, alone: what fails twice fails the run; what passes
alone is said aloud, because it is a bug of the product or of the test that somebody should find. Nothing is
looked at again where one failure in a hundred runs is the finding: tests that show that no record is lost or
doubled.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILED: Final = 1
"""pytest's exit code for "some tests failed"; all others are no matter of tests."""
MOST: Final = 3
"""More than this many failures are no accident."""
FINAL: Final = (
    "tests/fault/",
    "tests/contract/",
    "tests/unit/events/",
    "tests/unit/metrics_api/ingest/",
    "tests/unit/metrics_api/storage/",
    "tests/integration/acceptance/",
    "tests/integration/metrics_api/test_ingest.py",
    "tests/integration/metrics_api/test_pipeline.py",
    "tests/integration/proxy/test_crash.py",
)
"""Where a failure counts however seldom it is."""


def worth_a_second_look(failed: Iterable[str]) -> bool:
    """Whether these failures, by their test ids, may be an accident of a busy machine."""
    tests = list(failed)
    return 0 < len(tests) <= MOST and not any(test.startswith(FINAL) for test in tests)


def main(exit_code: int, cache: Path) -> int:
    """The exit code of the run, after the second look."""
    found = cache / "v/cache/lastfailed"
    failed: list[str] = sorted(json.loads(found.read_text())) if found.is_file() else []
    if exit_code != FAILED or not worth_a_second_look(failed):
        return exit_code
    sys.stdout.write(f"\nFailed: {', '.join(failed)}. Each is run once more, alone.\n")
    sys.stdout.flush()
    again = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *failed], check=False)
    if again.returncode == 0:
        sys.stdout.write(f"\nWARNING: failed among all others and passed alone: {', '.join(failed)}\n")
    return again.returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
