"""The measures of all workers as Prometheus families: which there are, and which labels each has.

A family lists parts: where its numbers stand in a series, and the labels they get. Series that get the same
labels are added up; those that get none are not in it. What has never been counted is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import msgspec
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from weir.proxy.metering.measures import cells
from weir.proxy.metering.measures.labels import Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from weir.proxy.metering.measures.labels import ModelNames
    from weir.proxy.metering.measures.table import Table

Totals = dict[Labels, list[float]]

KEPT_CLOSED: Final = "kept_connection_closed"
"""The cause of an upstream error that clients do not see: the request is sent again on another connection."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with labels."""

    name: str
    help: str
    labels: tuple[str, ...]
    parts: tuple[tuple[int | cells.Histogram, Callable[[Labels], tuple[str, ...] | None]], ...]
    """A cell, which makes a counter, or a histogram."""

    @property
    def is_histogram(self) -> bool:
        return isinstance(self.parts[0][0], cells.Histogram)


def _traffic(labels: Labels) -> tuple[str, ...]:
    return labels.endpoint, labels.model, labels.variant


def _tokens(kind: str) -> Callable[[Labels], tuple[str, ...]]:
    return lambda labels: (*_traffic(labels), kind)


_TRAFFIC: Final = ("endpoint", "model", "variant")

FAMILIES: Final = (
    Family(
        "weir_proxy_requests",
        "Finished requests.",
        (*_TRAFFIC, "status_class", "outcome"),
        ((cells.REQUESTS, lambda labels: (*_traffic(labels), labels.status_class, labels.outcome)),),
    ),
    Family(
        "weir_proxy_request_duration_seconds",
        "From accepting a request to handing over the last byte of its answer.",
        _TRAFFIC,
        ((cells.DURATION, _traffic),),
    ),
    Family(
        "weir_proxy_time_to_first_token_seconds",
        "From accepting a request to its first token, of streams.",
        _TRAFFIC,
        ((cells.FIRST_TOKEN, _traffic),),
    ),
    Family(
        "weir_proxy_time_per_output_token_seconds",
        "Between tokens after the first, of streams with reported usage, each stream's mean.",
        _TRAFFIC,
        ((cells.PER_TOKEN, _traffic),),
    ),
    Family(
        "weir_proxy_overhead_seconds",
        "The proxy's own share of a request's duration.",
        ("endpoint",),
        ((cells.OVERHEAD, lambda labels: (labels.endpoint,)),),
    ),
    Family(
        "weir_proxy_tokens",
        "Tokens that upstreams reported; input includes cache_read and cache_write, output reasoning.",
        (*_TRAFFIC, "type"),
        (
            (cells.INPUT.at, _tokens("input")),
            (cells.OUTPUT.at, _tokens("output")),
            (cells.CACHE_READ.at, _tokens("cache_read")),
            (cells.CACHE_WRITE.at, _tokens("cache_write")),
            (cells.REASONING.at, _tokens("reasoning")),
        ),
    ),
    Family(
        "weir_proxy_upstream_errors",
        "Failures of upstreams.",
        ("upstream", "cause"),
        (
            (cells.REQUESTS, lambda labels: (labels.upstream, labels.cause) if labels.cause else None),
            (cells.REUSE_LOST.at, lambda labels: (labels.upstream, KEPT_CLOSED)),
        ),
    ),
)


class Gathering:
    """Adds the tables of all workers up."""

    def __init__(self, names: ModelNames) -> None:
        """`names`: each worker has so many, which may be others, and all together get no more."""
        self._names = names
        self._labels: dict[bytes, Labels] = {}
        """What has been decided once stays, so that no counter ever goes down."""
        self._decode = msgspec.json.Decoder(Labels).decode

    def gather(self, tables: Iterable[Table]) -> Totals:
        totals: Totals = {}
        for table in tables:
            for text, numbers in table.read().series:
                labels = self._labels.get(text) or self._decide(text)
                if (known := totals.get(labels)) is None:
                    totals[labels] = list(numbers)
                else:
                    known[:] = map(float.__add__, known, numbers)
        return totals

    def _decide(self, text: bytes) -> Labels:
        labels = self._decode(text)
        self._names.admit(labels.model_requested, labels.model_answered)
        known = self._labels[text] = self._names.bound(labels)
        return known


def expose(families: Iterable[Family], totals: Mapping[Labels, Sequence[float]]) -> Iterator[Metric]:
    """The families with what has been counted."""
    for family in families:
        if family.is_histogram:
            yield _histogram(family, totals)
        else:
            yield _counter(family, totals)


def _counter(family: Family, totals: Mapping[Labels, Sequence[float]]) -> Metric:
    sums: dict[tuple[str, ...], float] = {}
    for cell, labelled in family.parts:
        assert isinstance(cell, int)  # noqa: S101 - parts are all of one kind
        for labels, numbers in totals.items():
            if numbers[cell] and (values := labelled(labels)) is not None:
                sums[values] = sums.get(values, 0.0) + numbers[cell]
    metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
    for values, total in sorted(sums.items()):
        metric.add_metric(values, total)
    return metric


def _histogram(family: Family, totals: Mapping[Labels, Sequence[float]]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for histogram, labelled in family.parts:
        assert isinstance(histogram, cells.Histogram)  # noqa: S101 - parts are all of one kind
        sums: dict[tuple[str, ...], list[float]] = {}
        for labels, numbers in totals.items():
            if (values := labelled(labels)) is None:
                continue
            found = numbers[histogram.at : histogram.end]
            sums[values] = list(map(float.__add__, known, found)) if (known := sums.get(values)) else [*found]
        bounds = [*map(str, histogram.bounds), "+Inf"]
        for values, (total, *counts) in sorted(sums.items()):
            if any(counts):
                metric.add_metric(values, list(zip(bounds, accumulate(counts), strict=True)), total)
    return metric
