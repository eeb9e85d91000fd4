"""What ingest says of itself: for /readyz and /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Progress:
    """Counters, and what is in the way at the moment."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stored = Counter("weir_ingest_stored", "Records stored.", registry=registry)
        self.repeated = Counter(
            "weir_ingest_repeated", "Records delivered again that were stored already.", registry=registry
        )
        self.dead = Counter("weir_ingest_dead_letters", "Entries put aside as unreadable.", registry=registry)
        self.lost = Counter(
            "weir_ingest_trimmed", "Entries deleted from a stream before they were stored.", registry=registry
        )
        self.failures = Counter(
            "weir_ingest_failures", "Attempts that failed and are repeated.", ["what"], registry=registry
        )
        self.batch = Histogram(
            "weir_ingest_batch_seconds", "Time to store a batch of records.", registry=registry
        )
        self.backlog = Gauge("weir_ingest_backlog", "Entries in the stream.", registry=registry)
        self.stream_trouble: str | None = None
        self.redis_trouble: str | None = "not connected yet"
        self.database_trouble: str | None = None
