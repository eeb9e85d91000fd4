"""What a worker measures of its requests: added up in its own memory, shown to the parent twice a second.

Plain lists are the cheapest to add to. What has been added and not shown is lost with the worker, but not its
records: whoever comes after takes it from them (`from_journal`).
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

import msgspec

from weir.events import Outcome
from weir.proxy.errors import KEPT_CONNECTION_CLOSED
from weir.proxy.exchange import Usage
from weir.proxy.metering.measures.cells import (
    CACHE_READ,
    CACHE_WRITE,
    DURATION,
    FIRST_TOKEN,
    INPUT,
    OUTPUT,
    OVERHEAD,
    OVERHEAD_SECONDS,
    PER_TOKEN,
    REASONING,
    REQUESTS,
    REUSE_LOST,
    SECONDS,
    TOKENS,
    WIDTH,
    Numbers,
    add,
)
from weir.proxy.metering.measures.labels import EVERYTHING_ELSE, Labels, cause, status_class
from weir.proxy.metering.measures.table import MAX_SERIES

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from weir.events import Attempt
    from weir.proxy.exchange import Exchange
    from weir.proxy.metering.measures.labels import ModelNames
    from weir.proxy.metering.measures.table import Table

_MOST_KEYS: Final = 2048
_LONGEST_KEY: Final = 512
_ANSWERED: Final = frozenset({"2xx", "3xx"})
_NO_USAGE: Final = Usage()
_DURATION: Final = DURATION.at
_OVERHEAD: Final = OVERHEAD.at
_INPUT: Final = INPUT.at
_OUTPUT: Final = OUTPUT.at

_read_labels: Final = msgspec.json.Decoder(Labels).decode
_write_labels: Final = msgspec.json.Encoder().encode


class Measures:
    """The writer of a table."""

    def __init__(self, table: Table, names: ModelNames) -> None:
        """Go on where the table's last writer stopped."""
        self._table = table
        self._names = names
        self._series: dict[Labels, list[float]] = {}
        """Totals by labels, in the order of their numbers."""
        self._shown: list[float] = []
        """Of each series, how many requests the table has of it."""
        self._known: dict[Hashable, list[float]] = {}
        """Totals by what requests say of themselves, so that labels need not be made for each."""
        self._sequence, found = table.read()
        for text, totals in found:
            labels = _read_labels(text)
            self._series[labels] = list(totals)
            self._shown.append(totals[REQUESTS])
            names.admit(labels.model_requested, labels.model_answered)

    def __repr__(self) -> str:
        return f"<Measures of {len(self._series)} series>"

    def observe(self, exchange: Exchange, now: float, sequence: int) -> None:
        """A request has ended `now`; with its record the journal has `sequence`.

        This runs for every request: it does what `note` does without a call for each number.
        """
        facts, answer, upstream = exchange.facts, exchange.answer, exchange.upstream
        key = (
            *(exchange.endpoint.operation, facts.model, answer.model),
            *(None if upstream is None else upstream.name, exchange.status_code),
            *(exchange.outcome, exchange.error_type),
        )
        totals = self._known.get(key) or self._learn(key, exchange)
        self._sequence = sequence
        totals[REQUESTS] += 1
        duration = now - exchange.accepted_at
        totals[_DURATION] += duration
        totals[_DURATION + 1 + bisect_left(SECONDS, duration)] += 1
        if (overhead := overhead_seconds(exchange, now)) is not None:
            totals[_OVERHEAD] += overhead
            totals[_OVERHEAD + 1 + bisect_left(OVERHEAD_SECONDS, overhead)] += 1
        usage = answer.usage or _NO_USAGE
        if (tokens := usage.prompt_tokens) is not None:
            totals[_INPUT] += tokens
            totals[_INPUT + 1 + bisect_left(TOKENS, tokens)] += 1
        if (tokens := usage.completion_tokens) is not None:
            totals[_OUTPUT] += tokens
            totals[_OUTPUT + 1 + bisect_left(TOKENS, tokens)] += 1
        if facts.stream and (first := answer.first_token_at) is not None:
            FIRST_TOKEN.add(totals, first - exchange.accepted_at)
            if tokens is not None and tokens > 1 and (last := answer.last_token_at) is not None:
                PER_TOKEN.add(totals, (last - first) / (tokens - 1))
        if usage.cache_read_tokens:
            CACHE_READ.add(totals, usage.cache_read_tokens)
        if usage.cache_write_tokens:
            CACHE_WRITE.add(totals, usage.cache_write_tokens)
        if usage.reasoning_tokens:
            REASONING.add(totals, usage.reasoning_tokens)
        if exchange.attempts:
            REUSE_LOST.add(totals, reuse_lost(exchange.attempts))

    def note(self, labels: Labels, numbers: Numbers) -> None:
        """Count a request that is long over; its labels have the models' names as they came."""
        add(self._totals(labels), numbers)

    def show(self) -> None:
        """Have the readers of the table see what has been counted up to now."""
        changed: list[tuple[int, list[float]]] = []
        shown = self._shown
        for number, totals in enumerate(self._series.values()):
            if totals[REQUESTS] != shown[number]:
                shown[number] = totals[REQUESTS]
                changed.append((number, totals))
        if changed:
            self._table.commit(changed, self._sequence)

    def end_life(self) -> None:
        """The next writer of this table has a journal of its own."""
        self._sequence = 0
        self.show()
        self._table.commit((), 0)

    def admit_models(self, names: Iterable[str]) -> None:
        """These are in the configuration."""
        self._names.admit(*names)
        self._known.clear()

    # -- inside

    def _learn(self, key: Hashable, exchange: Exchange) -> list[float]:
        totals = self._totals(labels_of(exchange))
        if len(self._known) >= _MOST_KEYS:
            self._known.clear()
        texts = (exchange.facts.model, exchange.answer.model, exchange.error_type)
        if sum(len(text) for text in texts if text is not None) <= _LONGEST_KEY:
            self._known[key] = totals
        return totals

    def _totals(self, labels: Labels) -> list[float]:
        """The series that counts what these labels say, as far as they are told apart."""
        models = labels.model_requested, labels.model_answered
        if labels.status_class in _ANSWERED and self._names.admit(*models):
            self._known.clear()  # what was counted as another's up to now
        labels = self._names.bound(labels)
        return self._series.get(labels) or self._begin(labels)

    def _begin(self, labels: Labels) -> list[float]:
        if not self._has_room(labels) or not self._table.add_series(_write_labels(labels)):
            return self._series.get(EVERYTHING_ELSE) or self._begin(EVERYTHING_ELSE)
        totals = self._series[labels] = [0.0] * WIDTH
        self._shown.append(0.0)
        return totals

    def _has_room(self, labels: Labels) -> bool:
        """The last series is for everything else."""
        return len(self._series) < MAX_SERIES - 1 or labels == EVERYTHING_ELSE


def labels_of(exchange: Exchange) -> Labels:
    """With the models' names as they came."""
    facts, answer, upstream = exchange.facts, exchange.answer, exchange.upstream
    outcome = exchange.outcome or Outcome.INTERNAL_ERROR
    return Labels(
        endpoint=exchange.endpoint.operation,
        model_requested=facts.model or "",
        model_answered=answer.model or "",
        variant=upstream.variant if upstream is not None else "",
        upstream=upstream.name if upstream is not None else "",
        provider=upstream.provider if upstream is not None else "",
        status_class=status_class(exchange.status_code),
        outcome=outcome.value,
        cause=cause(outcome, exchange.error_type, exchange.status_code),
    )


def overhead_seconds(exchange: Exchange, now: float) -> float | None:
    """Our own share: from the whole request to sending it, from the answer's end to handing it over."""
    received, sent, done = exchange.received_at, exchange.sent_at, exchange.upstream_done_at
    if received is None or sent is None:
        return None
    after = now - done if done is not None else 0.0
    return max(0.0, sent - received - (exchange.connect_seconds or 0.0) + after)


def reuse_lost(attempts: Iterable[Attempt]) -> int:
    """How many attempts were on a kept connection that the upstream had closed."""
    return sum(attempt.error == KEPT_CONNECTION_CLOSED for attempt in attempts)
