"""`/api/pipeline`: where every accepted request is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weir.metrics_api.rest.context import CLOCK, RECONCILIATION, json
from weir.metrics_api.rest.parameters import parameters

if TYPE_CHECKING:
    from aiohttp import web


async def get_pipeline(request: web.Request) -> web.Response:
    """The reconciliation, made now."""
    parameters(request, ())
    app = request.app
    return json(await app[RECONCILIATION].report(app[CLOCK].now_us()))
