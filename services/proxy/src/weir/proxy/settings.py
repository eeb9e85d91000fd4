"""What the proxy can be told by the environment."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from weir.events.redis_url import check_redis_url
from weir.proxy.endpoints import GROUPS
from weir.proxy.upstream import Address, read_key
from weir.proxy.worker_plan import ClientLimits
from weir.servicekit.settings import ServiceSettings, setting
from weir.servicekit.values import Bytes, Listen, Names, Seconds


def _upstream_url(text: str) -> str:
    Address.of(text)
    return text


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{text!r} is not an address; write it like https://llm.example.org")
    return text.rstrip("/").removesuffix("/v1")


def _groups(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in GROUPS:
            raise ValueError(f"{name!r} is not one of {', '.join(sorted(GROUPS))}")
    return names


def _name(text: str) -> str:
    if not text or not text.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise ValueError(f"{text!r} is not a name; write letters, digits, dots, dashes and underscores")
    return text


def _networks(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        try:
            ipaddress.ip_network(name, strict=False)
        except ValueError:
            raise ValueError(
                f"{name!r} is no address; write addresses or networks, such as 10.0.0.7 or 10.0.0.0/8"
            ) from None
    return names


def _secret(value: SecretStr) -> SecretStr:
    return SecretStr(read_key(value.get_secret_value()))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ProxySettings(ServiceSettings):
    """The settings of `weir proxy`."""

    listen: Listen = setting(
        "WEIR_PROXY_LISTEN",
        default="127.0.0.1:8001",
        description="the public port: where clients send requests",
    )
    admin_listen: Listen = setting(
        "WEIR_PROXY_ADMIN_LISTEN",
        default="127.0.0.1:9001",
        description="the internal port: /healthz, /readyz and /metrics",
    )
    metrics_models: Annotated[int, Field(ge=0, le=1000)] = setting(
        "WEIR_PROXY_METRICS_MODELS",
        default=50,
        description="how many models have metrics of their own on the internal port; more are `other`",
    )
    tls_cert: Path | None = setting(
        "WEIR_PROXY_TLS_CERT",
        default=None,
        description="the certificate of the public port with its chain, as PEM; clients then use https",
    )
    tls_key: Path | None = setting(
        "WEIR_PROXY_TLS_KEY", default=None, description="the file with the certificate's key, as PEM"
    )
    public_url: Annotated[str, AfterValidator(_public_url)] | None = setting(
        "WEIR_PUBLIC_URL",
        default=None,
        description="the address under which clients reach the proxy, for the dashboard's setup page",
    )
    workers: Annotated[int, Field(ge=1, le=256)] = setting(
        "WEIR_PROXY_WORKERS", default=_cores(), description="worker processes; by default one a core"
    )
    proxy_id: Annotated[str, AfterValidator(_name)] = setting(
        "WEIR_PROXY_ID",
        default=socket.gethostname() or "proxy",
        description="this proxy's name in records; by default the host's name",
    )
    upstream_url: Annotated[str, AfterValidator(_upstream_url)] | None = setting(
        "WEIR_UPSTREAM_URL", default=None, description="the model server that requests are sent to"
    )
    upstream_api_key: Annotated[SecretStr, AfterValidator(_secret)] | None = setting(
        "WEIR_UPSTREAM_API_KEY",
        default=None,
        description="the key sent to it in place of the client's own",
        holds_secret=True,
    )
    upstream_ca: Path | None = setting(
        "WEIR_UPSTREAM_CA",
        default=None,
        description="certificates (PEM) that upstreams must prove themselves by, in place of the system's",
    )
    config: Path | None = setting(
        "WEIR_CONFIG", default=None, description="a YAML file with upstreams and clients"
    )
    demo: bool = setting(
        "WEIR_DEMO", default=False, description="answer from the built-in demo model where no upstream is set"
    )
    open_endpoints: Annotated[Names, AfterValidator(_groups)] = setting(
        "WEIR_OPEN_ENDPOINTS",
        default="",
        description="stateful endpoints to open (files, batches, responses); all clients share their data",
    )
    cors_origins: Names = setting(
        "WEIR_PROXY_CORS_ORIGINS",
        default="",
        description="web origins whose pages may call the proxy, separated by commas; * for all",
    )
    proxy_protocol: bool = setting(
        "WEIR_PROXY_PROTOCOL",
        default=False,
        description="expect the PROXY protocol of a load balancer at the start of every connection",
    )
    allow_anonymous: bool = setting(
        "WEIR_ALLOW_ANONYMOUS",
        default=False,
        description="let anyone who reaches the port use an upstream that has a key of its own",
    )
    redis_url: Annotated[str, AfterValidator(check_redis_url)] = setting(
        "REDIS_URL",
        default="redis://127.0.0.1:6379/0",
        description="the Redis that carries the records",
        holds_secret=True,
    )
    stream_shards: Annotated[int, Field(ge=1, le=64)] = setting(
        "WEIR_STREAM_SHARDS",
        default=1,
        description="over how many streams records are spread, for a Redis Cluster; as in all services",
    )
    data_dir: Path = setting(
        "WEIR_DATA_DIR", default="data", description="the folder of everything Weir keeps; made when missing"
    )
    journal_max_bytes: Bytes = setting(
        "WEIR_JOURNAL_MAX_BYTES",
        default="1GiB",
        description="how much the journal may hold while Redis or its readers are away",
    )
    journal_full: Literal["drop", "reject"] = setting(
        "WEIR_JOURNAL_FULL",
        default="drop",
        description="what happens then: drop the records of new requests, or reject these with 503",
    )
    journal_fsync: Literal["never", "interval", "always"] = setting(
        "WEIR_JOURNAL_FSYNC",
        default="interval",
        description="when records are put onto the disk, should the machine fail: never (the system decides),"
        " every second, or always before an answer ends",
    )
    journal_adopt_after: Seconds = setting(
        "WEIR_JOURNAL_ADOPT_AFTER",
        default="30s",
        description="how long another proxy of the same folder must be gone before its journal is taken over",
    )
    journal_keep: Seconds = setting(
        "WEIR_JOURNAL_KEEP",
        default="60s",
        description="how long acknowledged records are kept at least, should Redis lose what it confirmed",
    )
    max_body: Bytes = setting(
        "WEIR_PROXY_MAX_BODY", default="64MiB", description="the largest request body; a larger one gets 413"
    )
    max_upload: Bytes = setting(
        "WEIR_PROXY_MAX_UPLOAD",
        default="1GiB",
        description="the largest form or file, which is sent on as it comes; a larger one gets 413",
    )
    min_body_rate: Annotated[int, Field(ge=0, le=1 << 30)] = setting(
        "WEIR_PROXY_MIN_BODY_RATE",
        default=500,
        description="bytes a second that a request's body must come with, or it gets 408; 0 for any rate",
    )
    max_target: Bytes = setting(
        "WEIR_PROXY_MAX_TARGET",
        default="8KiB",
        description="the longest path with its query; a longer one gets 414",
    )
    max_header: Bytes = setting(
        "WEIR_PROXY_MAX_HEADER", default="16KiB", description="the largest header; a larger one gets 431"
    )
    max_headers: Bytes = setting(
        "WEIR_PROXY_MAX_HEADERS", default="64KiB", description="all headers together; larger ones get 431"
    )
    max_fields: Annotated[int, Field(ge=10, le=10_000)] = setting(
        "WEIR_PROXY_MAX_FIELDS", default=100, description="headers of a request; more get 431"
    )
    max_chunk_extension: Bytes = setting(
        "WEIR_PROXY_MAX_CHUNK_EXTENSION",
        default="1KiB",
        description="what may stand beside the size of a chunk; more gets 400",
    )
    max_requests: Annotated[int, Field(ge=0, le=1 << 30)] = setting(
        "WEIR_PROXY_MAX_REQUESTS",
        default=100_000,
        description="requests over one connection, which closes after that; 0 for any number",
    )
    max_connections: Annotated[int, Field(ge=0, le=1 << 20)] = setting(
        "WEIR_PROXY_MAX_CONNECTIONS",
        default=20_000,
        description="client connections per worker; more get 503; 0 for any number",
    )
    max_connections_per_address: Annotated[int, Field(ge=0, le=1 << 20)] = setting(
        "WEIR_PROXY_MAX_CONNECTIONS_PER_ADDRESS",
        default=1_000,
        description="connections per worker from one address (IPv6: one /64); more get 429; 0 for any number;"
        " not counted are this machine's own and those of trusted proxies",
    )
    trusted_proxies: Annotated[Names, AfterValidator(_networks)] = setting(
        "WEIR_TRUSTED_PROXIES",
        default="",
        description="proxies in front whose X-Forwarded headers are believed and passed on: addresses or"
        " networks, separated by commas",
    )
    max_in_flight: Annotated[int, Field(ge=1, le=1_000_000)] = setting(
        "WEIR_PROXY_MAX_IN_FLIGHT", default=10_000, description="requests in flight per worker; more get 503"
    )
    head_timeout: Seconds = setting(
        "WEIR_PROXY_HEAD_TIMEOUT", default="10s", description="how long a client may take to send its headers"
    )
    keep_alive: Seconds = setting(
        "WEIR_PROXY_KEEP_ALIVE", default="75s", description="how long an idle client connection is kept"
    )
    stall_timeout: Seconds = setting(
        "WEIR_PROXY_STALL_TIMEOUT",
        default="2m",
        description="how long a client may leave its answer unread when no more of it can be held",
    )
    drain: Seconds = setting(
        "WEIR_PROXY_DRAIN", default="30s", description="how long requests in flight may finish at a stop"
    )
    connect_timeout: Seconds = setting(
        "WEIR_UPSTREAM_CONNECT_TIMEOUT",
        default="5s",
        description="how long connecting to an upstream may take",
    )
    first_byte_timeout: Seconds = setting(
        "WEIR_UPSTREAM_FIRST_BYTE_TIMEOUT",
        default="10m",
        description="how long an upstream may take to begin its answer",
    )
    idle_timeout: Seconds = setting(
        "WEIR_UPSTREAM_IDLE_TIMEOUT",
        default="5m",
        description="how long an upstream may pause within its answer",
    )
    total_timeout: Seconds = setting(
        "WEIR_UPSTREAM_TOTAL_TIMEOUT", default="1h", description="how long an answer may take in all"
    )

    def client_limits(self) -> ClientLimits:
        """How much one client may have, as the workers are told."""
        return ClientLimits(
            target_bytes=self.max_target,
            header_bytes=self.max_header,
            head_bytes=self.max_headers,
            fields=self.max_fields,
            chunk_extension_bytes=self.max_chunk_extension,
            requests=self.max_requests,
            connections=self.max_connections,
            connections_of_address=self.max_connections_per_address,
            stalled=self.stall_timeout,
            trusted=self.trusted_proxies,
        )
