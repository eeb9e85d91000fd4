"""`make fuzz`: each property for some seconds, with a seed of its own each round.

What fails is printed with the command that shows it again.
"""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
import time
import traceback

from hypothesis import HealthCheck, Phase, given, seed, settings
from tests.fuzz.parts import PARTS

_ROUND = 500
"""Examples between two looks at the clock."""


def _round(name: str, number: int, examples: int) -> str | None:
    """One round of a property; what went wrong, if something did."""
    part = PARTS[name]

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        print_blob=False,
    )
    @given(part.examples)
    def look(example: object) -> None:
        part.check(example)

    try:
        look()
    except Exception:  # noqa: BLE001 - whatever fails is a finding
        return traceback.format_exc()
    return None


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _fuzz(name: str, seconds: float, number: int) -> bool:
    """Whether the property held for so long."""
    end = time.monotonic() + seconds
    rounds = 0
    while rounds == 0 or time.monotonic() < end:
        wrong = _round(name, number + rounds, _ROUND)
        if wrong is not None:
            again = f"make fuzz ARGS='--part {name} --seed {number + rounds} --seconds 0'"
            _say(f"{name}: FAILED with seed {number + rounds}\n{wrong}\nagain: {again}")
            return False
        rounds += 1
    _say(f"{name}: held for {rounds * _ROUND} examples from seed {number}")
    return True


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument(
        "--part",
        choices=list(PARTS),
        action="append",
        help="only this one; may be repeated",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for each part")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 30))
    arguments = parser.parse_args()
    logging.disable()  # what is damaged on purpose is said thousands of times
    held = [_fuzz(name, arguments.seconds, arguments.seed) for name in arguments.part or PARTS]
    sys.exit(not all(held))


if __name__ == "__main__":
    main()
