"""What the parent tells a worker at its start. It goes over a pipe, so no secret stands in arguments."""

from __future__ import annotations

import msgspec

from weir.proxy.tls import TlsPair
from weir.proxy.upstream import Upstream


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Where requests go, who may send them, and by which certificate: what a reload changes."""

    upstreams: tuple[Upstream, ...]
    clients: dict[str, str]
    """SHA-256 of each client's key to the client's name."""
    tls: TlsPair | None = None
    """What the public port proves itself with; None for plain HTTP."""


class ClientLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a client may have. Of requests and connections, 0 is any number."""

    target_bytes: int = 8 << 10
    header_bytes: int = 16 << 10
    head_bytes: int = 64 << 10
    fields: int = 100
    chunk_extension_bytes: int = 1 << 10
    requests: int = 0
    """Over one connection."""
    connections: int = 0
    """Of the worker."""
    connections_of_address: int = 0
    stalled: float = 120.0
    """Seconds it may leave its answer unread."""
    trusted: tuple[str, ...] = ()
    """Addresses and networks of proxies in front."""


class WorkerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a worker needs to know; descriptors are inherited."""

    writer: str
    """Its name in the journal."""
    proxy_id: str
    journal_directory: str
    journal_max_bytes: int
    journal_sync: bool
    """Whether a record must be on the disk before the answer ends."""
    journal_reject: bool
    """Whether requests are refused when their records would find no room."""
    listen_fd: int
    counters_fd: int
    measures_fd: int
    metrics_models: int
    """How many models have metrics of their own."""
    config: Config
    open_groups: tuple[str, ...]
    cors_origins: tuple[str, ...]
    proxy_protocol: bool
    max_in_flight: int
    max_body_bytes: int
    max_upload_bytes: int
    min_body_rate: float
    """Bytes a second."""
    connect_timeout: float
    first_byte_timeout: float
    idle_timeout: float
    total_timeout: float
    head_timeout: float
    keep_alive_timeout: float
    drain_seconds: float
    limits: ClientLimits = ClientLimits()
    log_level: str
    log_format: str
