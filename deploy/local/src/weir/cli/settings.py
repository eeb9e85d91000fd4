"""What `weir run` reads itself. Everything else is read by the services it starts."""

from __future__ import annotations

from pathlib import Path

from weir.servicekit.settings import ServiceSettings, setting
from weir.servicekit.values import Listen, RedisUrl, Seconds


class LauncherSettings(ServiceSettings):
    """The settings that decide what `weir run` starts, and where."""

    data_dir: Path = setting(
        "WEIR_DATA_DIR", default="data", description="the folder of everything Weir keeps; made when missing"
    )
    redis_url: RedisUrl | None = setting(
        "REDIS_URL",
        default=None,
        description="a Redis to use; without it `weir run` starts a private one",
        holds_secret=True,
    )
    upstream_url: str | None = setting(
        "WEIR_UPSTREAM_URL", default=None, description="the model server that requests are sent to"
    )
    config: Path | None = setting(
        "WEIR_CONFIG", default=None, description="a YAML file with upstreams and clients"
    )
    demo: bool = setting(
        "WEIR_DEMO",
        default=False,
        description="answer from the built-in demo model when there is no upstream",
    )
    proxy_listen: Listen = setting("WEIR_PROXY_LISTEN", default="127.0.0.1:8001")
    proxy_admin_listen: Listen = setting("WEIR_PROXY_ADMIN_LISTEN", default="127.0.0.1:9001")
    proxy_drain: Seconds = setting("WEIR_PROXY_DRAIN", default="30s")
    api_listen: Listen = setting("WEIR_API_LISTEN", "LISTEN_ADDR", default="127.0.0.1:8002")
    dashboard_listen: Listen = setting("WEIR_DASHBOARD_LISTEN", default="127.0.0.1:3000")
