"""The same processes as the proxy's own tests."""

from __future__ import annotations

from tests.integration.proxy.conftest import fake, proxy, proxy_settings, records, redis_server

__all__ = ["fake", "proxy", "proxy_settings", "records", "redis_server"]
