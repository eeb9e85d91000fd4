"""What a straightforward proxy in Python costs: aiohttp's server and client on uvloop, and nothing else.

python aiohttp_proxy.py LISTEN_PORT UPSTREAM_PORT
"""

from __future__ import annotations

import sys

import aiohttp
import uvloop
from aiohttp import web

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date"})


async def application(upstream: str) -> web.Application:
    session = aiohttp.ClientSession(
        auto_decompress=False, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout()
    )

    async def relay(request: web.Request) -> web.StreamResponse:
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        body = await request.read()
        async with session.request(
            request.method, upstream + request.raw_path, headers=headers, data=body
        ) as answer:
            kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
            if "Content-Length" in answer.headers:
                plain = web.Response(status=answer.status, body=await answer.read())
                plain.headers.clear()
                plain.headers.extend(kept)
                return plain
            response = web.StreamResponse(status=answer.status)
            response.headers.extend(kept)
            await response.prepare(request)
            async for data in answer.content.iter_any():
                await response.write(data)
            return response

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", relay)

    async def close(_: web.Application) -> None:
        await session.close()

    app.on_cleanup.append(close)
    return app


def main() -> None:
    listen, upstream = sys.argv[1:3]
    uvloop.install()
    web.run_app(
        application(f"http://127.0.0.1:{upstream}"),
        host="127.0.0.1",
        port=int(listen),
        print=None,
        access_log=None,
    )


if __name__ == "__main__":
    main()
