"""What a killed worker had noted and not added up, and what it had in flight: counted from their records."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from weir.events import UsageSource, decode
from weir.events.codec import UndecodableEventError
from weir.events.journal_tail import records_after
from weir.proxy.metering.measures.labels import Labels, cause, status_class
from weir.proxy.metering.measures.measures import Measures, reuse_lost

if TYPE_CHECKING:
    from pathlib import Path

    from weir.events import RequestEvent
    from weir.proxy.metering.measures.cells import Numbers
    from weir.proxy.metering.measures.labels import ModelNames
    from weir.proxy.metering.measures.table import Table

logger = logging.getLogger(__name__)


def count_rest(table: Table, names: ModelNames, directory: Path, writer: str) -> int:
    """Count the records of a dead writer that its table does not count yet, and make it ready for the next.

    How many they were. Records that the journal did not take are not among them.
    """
    measures = Measures(table, names)
    counted = 0
    try:
        for payload in records_after(directory, writer, table.read().sequence):
            event = decode(payload)
            measures.note(_labels(event), _numbers(event))
            counted += 1
    except (OSError, UndecodableEventError) as error:
        logger.error("requests of a dead worker are missing in the metrics: %s", error)  # noqa: TRY400 - says it all
    measures.end_life()
    return counted


def _labels(event: RequestEvent) -> Labels:
    return Labels(
        endpoint=event.endpoint,
        model_requested=event.model_requested or "",
        model_answered=event.model or "",
        variant=event.variant or "",
        upstream=event.upstream or "",
        provider=event.provider or "",
        status_class=status_class(event.status_code),
        outcome=event.outcome.value,
        cause=cause(event.outcome, event.error_type, event.status_code),
    )


def _numbers(event: RequestEvent) -> Numbers:
    first, last = event.time_to_first_token_ms, event.time_to_last_token_ms
    tokens = event.completion_tokens if event.usage_source is UsageSource.REPORTED else None
    per_token: float | None = None
    if event.stream and first is not None and last is not None and tokens is not None and tokens > 1:
        per_token = (last - first) / 1000 / (tokens - 1)
    return (
        _seconds(event.duration_ms),
        _seconds(first) if event.stream else None,
        per_token,
        _seconds(event.proxy_overhead_ms),
        event.prompt_tokens,
        tokens,
        event.cache_read_tokens,
        event.cache_write_tokens,
        event.reasoning_tokens,
        reuse_lost(event.attempts) if event.attempts else None,
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
