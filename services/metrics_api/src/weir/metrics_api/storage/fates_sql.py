"""Fates as SQL: of roll-up rows by their dimensions `d`, of requests by their row `r`."""

from __future__ import annotations

from typing import Final

from weir.events import ERROR_OUTCOMES, Outcome
from weir.metrics_api.storage.request_row import OUTCOME_CODES

_ERRORS: Final = sorted(ERROR_OUTCOMES)
COMPLETED: Final = f"d.outcome = '{Outcome.COMPLETED.value}'"
_FAILED: Final = "d.outcome in ({})".format(", ".join(f"'{outcome.value}'" for outcome in _ERRORS))
ERROR_CODES: Final = ", ".join(str(OUTCOME_CODES[outcome]) for outcome in _ERRORS)
OF_COMBINATION: Final = f"{COMPLETED} as completed,\n    {_FAILED} as failed"
COUNTED: Final = {
    "errors": ("requests", "failed"),
    "completed": ("requests", "completed"),
    "completed_reported": ("usage_reported", "completed"),
}
"""The stored sum that a fate is counted from, and of which combinations."""
