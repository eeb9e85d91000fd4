"""What the gateway can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator
from yarl import URL

from weir.servicekit.hosts import HostNames
from weir.servicekit.settings import ServiceSettings, setting
from weir.servicekit.values import Bytes, Listen

CHECKOUT_SPA: Final = Path(__file__).parents[5] / "frontend" / "dist"
"""Where `npm run build` puts the SPA in a checkout."""


def parse_backend_url(text: str) -> str:
    """The address of a metrics API, without a slash at its end.

    Raises:
        ValueError: the text is not one.
    """
    example = "such as http://127.0.0.1:8002"
    try:
        url = URL(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a URL; write the address of the metrics API, {example}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"{text!r} is not an http:// or https:// URL; write the metrics API's, {example}")
    if url.query_string or url.fragment:
        raise ValueError(f"{text!r} has a query or a fragment; write only the address, {example}")
    return text.rstrip("/")


BackendUrl = Annotated[str, AfterValidator(parse_backend_url)]


class DashboardSettings(ServiceSettings):
    """The settings of `weir dashboard`."""

    listen: Listen = setting(
        "WEIR_DASHBOARD_LISTEN",
        default="127.0.0.1:3000",
        description="where the dashboard listens; port 0 takes a free one",
    )
    hosts: HostNames = setting(
        "WEIR_DASHBOARD_HOSTS",
        default="",
        description="more host names it answers for, besides local ones and dashboard; .example.com for all "
        "names below, * for any",
    )
    backend_url: BackendUrl = setting(
        "WEIR_BACKEND_URL",
        default="http://127.0.0.1:8002",
        description="the metrics API that /api and /graphql are relayed to",
    )
    spa_dir: Path = setting(
        "WEIR_SPA_DIR",
        default=CHECKOUT_SPA,
        description="the folder of the built single-page application; default: frontend/dist of the checkout",
    )
    max_body: Bytes = setting(
        "WEIR_DASHBOARD_MAX_BODY",
        default="8MiB",
        description="the largest request body that is relayed to the metrics API",
    )
