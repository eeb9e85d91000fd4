"""A short look by each property; `make fuzz` looks longer."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from tests.fuzz.parts import PARTS


@pytest.mark.parametrize("name", list(PARTS))
def test_it_holds(name: str) -> None:
    part = PARTS[name]

    @settings(
        max_examples=part.short,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(part.examples)
    def look(example: object) -> None:
        part.check(example)

    look()
