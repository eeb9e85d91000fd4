"""PostgreSQL: the store that several metrics APIs share."""

from weir.metrics_api.storage.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
