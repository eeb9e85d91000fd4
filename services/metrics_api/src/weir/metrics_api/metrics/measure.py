"""The numbers that are added up in roll-ups. Adding two cells is adding each of their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weir.metrics_api.metrics.histogram import Histogram, merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.events import RequestEvent


class Sums(NamedTuple):
    """Additive counts. `x_n` is how many requests had an x at all: unknown is not 0."""

    requests: int = 0
    retries: int = 0
    usage_reported: int = 0
    prompt_tokens: int = 0
    prompt_tokens_n: int = 0
    completion_tokens: int = 0
    completion_tokens_n: int = 0
    cache_read_tokens: int = 0
    cache_read_tokens_n: int = 0
    cache_write_tokens: int = 0
    cache_write_tokens_n: int = 0
    reasoning_tokens: int = 0
    reasoning_tokens_n: int = 0
    request_bytes: int = 0
    request_bytes_n: int = 0
    response_bytes: int = 0
    response_bytes_n: int = 0

    def plus(self, other: Sequence[int]) -> Sums:
        return Sums(*map(int.__add__, self, other)) if self is not NO_SUMS else Sums._make(other)


NO_SUMS: Final = Sums()


class Distributions(NamedTuple):
    """Histograms: times in µs, rates in thousandths."""

    latency: Histogram = Histogram()
    ttft: Histogram = Histogram()
    tokens_per_second: Histogram = Histogram()

    def plus(self, other: Distributions) -> Distributions:
        return Distributions(*(mine + others for mine, others in zip(self, other, strict=True)))


NO_DISTRIBUTIONS: Final = Distributions()


UNITS_PER: Final = {"latency": 1000, "ttft": 1000, "tokens_per_second": 1000}
"""Histogram units in one unit of what is shown (ms, ms, tokens/s)."""


class Cell(NamedTuple):
    """What is known of the requests of one bucket and one combination of dimensions."""

    sums: Sums
    distributions: Distributions

    def plus(self, other: Cell) -> Cell:
        return Cell(self.sums.plus(other.sums), self.distributions.plus(other.distributions))


def total(cells: Sequence[Cell]) -> Cell:
    """The sum of at least one cell."""
    if len(cells) == 1:
        return cells[0]
    sums, distributions = zip(*cells, strict=True)
    return Cell(
        Sums._make(map(sum, zip(*sums, strict=True))),
        Distributions._make(
            merge([each.to_bytes() for each in column]) for column in zip(*distributions, strict=True)
        ),
    )


def tokens_per_second(event: RequestEvent) -> float | None:
    """The speed of generation between first and last token, never with the prompt in it."""
    return speed(event.time_to_first_token_ms, event.time_to_last_token_ms, event.completion_tokens)


def speed(first_ms: float | None, last_ms: float | None, tokens: int | None) -> float | None:
    """Tokens per second after the first one."""
    if first_ms is None or last_ms is None or tokens is None or tokens <= 1 or last_ms <= first_ms:
        return None
    return (tokens - 1) * 1000 / (last_ms - first_ms)
