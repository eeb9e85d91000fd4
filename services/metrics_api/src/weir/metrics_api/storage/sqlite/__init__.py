"""The SQLite adapter: one writer thread, a few readers beside it (WAL)."""

from weir.metrics_api.storage.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
