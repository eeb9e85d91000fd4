"""How Weir itself is, and how a client is pointed at it."""

from __future__ import annotations

from pydantic import Field

from weir.metrics_api.answers.answer import Answer


class Setup(Answer):
    """How to point a client at the proxies."""

    base_url: str | None = Field(description="What clients call; null where the proxies do not know it.")
    port: int | None = Field(description="The public port.")
    proxies: int = Field(description="How many report now.")
    demo: bool = Field(description="Whether the built-in demo model answers.")
    model: str | None = Field(description="A model that works.")
    clients_required: bool = Field(description="Whether a key is needed.")


class Service(Answer):
    """This metrics API."""

    version: str
    started_at: int = Field(description="Unix ms.")
    listeners: int = Field(description="Open event streams.")
    max_listeners: int


class Proxy(Answer):
    """A proxy as it last reported. Counters run since its start."""

    proxy_id: str
    version: str
    started_at: int = Field(description="Unix ms.")
    age_ms: int = Field(description="Since its last report.")
    workers: int
    in_flight: int
    max_in_flight: int
    accepted: int
    journaled: int
    acknowledged: int
    dropped: int
    public_url: str | None


class StreamState(Answer):
    """The stream between proxies and metrics API."""

    entries: int
    unread: int | None
    pending: int
    lag_seconds: float
    consumers: int
    dead_letters: int


class StorageRetention(Answer):
    """Seconds that data is kept; null for ever."""

    requests: float | None
    fine: float = Field(alias="5s")
    coarse: float = Field(alias="1m")


class StorageState(Answer):
    """The database."""

    kind: str
    bytes: int
    requests: int = Field(description="Since first use, those included that are no longer kept.")
    oldest_request_at: int | None = Field(description="Unix ms.")
    retention: StorageRetention


class System(Answer):
    """All parts of Weir. What does not answer is null, with the reason beside it."""

    now: int = Field(description="Unix ms.")
    metrics_api: Service
    proxies: list[Proxy] | None
    proxies_error: str | None
    stream: StreamState | None
    stream_error: str | None
    storage: StorageState | None
    storage_error: str | None
