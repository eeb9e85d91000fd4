"""The reconciliation over real processes: a proxy, a Redis, a metrics API, and what is done to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from tests.support.builders import make_event
from tests.support.processes import until
from tests.support.proxy import CHAT, completion, start_proxy

from weir.events import encode
from weir.events.accounts import Account
from weir.events.stream import ACCOUNTS, FIELD, REQUESTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.metrics_api import MetricsApi
    from tests.support.processes import Process
    from tests.support.redis_server import RedisServer

    from weir.events import RequestEvent

DEMO = {"WEIR_DEMO": "1"}


def ask(proxy: Process, count: int) -> None:
    with httpx.Client(trust_env=False, timeout=20) as client:
        for number in range(count):
            assert client.post(proxy.url + CHAT, json=completion("demo", f"m{number}")).status_code == 200


def reconciled(api: MetricsApi, accepted: int) -> dict[str, Any]:
    """The report in which every one of so many requests is stored."""

    def report() -> dict[str, Any] | None:
        found = api.json("/api/pipeline")
        total = found["total"]
        return found if total["accepted"] == total["stored"] == accepted else None

    return until(report, f"{accepted} requests are accepted and stored", 30)


def numbered(count: int) -> list[RequestEvent]:
    return [make_event(started_at=None, journal="b1-1", sequence=number + 1) for number in range(count)]


def tell(api: MetricsApi, **numbers: Any) -> None:
    """What a proxy says of itself."""
    account = Account(proxy_id="proxy-1", boot_id="b1", sent_at=1, **numbers)
    api.redis.hset(ACCOUNTS, "proxy-1/b1", json.dumps({"closed": False, **_fields(account)}))


def _fields(account: Account) -> dict[str, Any]:
    return {name: getattr(account, name) for name in account.__struct_fields__}


def test_every_request_is_accounted_for_over_lives_of_proxy_and_api(
    api: MetricsApi, redis_server: RedisServer, tmp_path: Path
) -> None:
    proxy = start_proxy(redis_server.url, tmp_path / "proxy", DEMO)
    ask(proxy, 20)
    report = reconciled(api, 20)
    (life,) = report["proxies"]
    assert (life["alive"], life["closed"], life["unaccounted"], life["unknown"]) == (True, False, 0, {})
    api.process.kill9()
    ask(proxy, 10)
    proxy.kill9()
    successor = start_proxy(redis_server.url, tmp_path / "proxy", DEMO)
    ask(successor, 5)
    api.start()
    report = reconciled(api, 35)
    assert report["total"]["unaccounted"] in {0, None}
    until(lambda: _settled(api), "nothing is missing and the first life is closed", 30)
    assert successor.stop() == 0
    total = api.json("/api/pipeline")["total"]
    assert total == {
        **dict.fromkeys(total, 0),
        "accepted": 35,
        "stored": 35,
    }
    until(lambda: _closed(api) == 2, "who has stopped has no account open", 30)
    gauge = 'weir_pipeline_requests{place="unaccounted"} 0.0'
    until(lambda: gauge in api.get("/metrics").text, "Prometheus is told, too", 30)
    assert api.json("/readyz")["checks"]["pipeline"]["ok"]


def _settled(api: MetricsApi) -> bool:
    report = api.json("/api/pipeline")
    return report["total"]["unaccounted"] == 0 and _closed(api) == 1


def _closed(api: MetricsApi) -> int:
    return sum(life["closed"] for life in api.json("/api/pipeline")["proxies"])


@pytest.mark.timeout(240)
def test_unread_entries_that_somebody_trims_are_noticed_and_written_off(api: MetricsApi) -> None:
    events = numbered(30)
    api.send(events[:10])
    api.wait_for(10)
    api.process.kill9()
    api.send(events[10:])
    api.redis.xtrim(REQUESTS, maxlen=5, approximate=False)
    tell(api, accepted=30, journaled=30, acknowledged=30)
    api.start()
    until(lambda: api.json("/api/pipeline")["total"]["stored"] == 15, "what is left is stored")
    until(lambda: "15 records are being looked for" in _why(api), "the others are missed")
    assert api.json("/api/pipeline")["total"]["unaccounted"] is None, "not before they cannot come again"
    written_off = command(api, "write-off")
    assert (written_off.returncode, written_off.stderr) == (0, "")
    assert written_off.stdout == "proxy-1/b1: 15\nwrote off 15 requests\n"
    total = api.json("/api/pipeline")["total"]
    assert (total["accepted"], total["stored"], total["dead_lettered"]) == (30, 15, 15)
    assert total["unaccounted"] == 0
    assert command(api, "write-off").stdout == "nothing is unaccounted for\n", "it is not counted twice"
    api.process.kill9()
    unanswered = command(api, "write-off")
    assert unanswered.returncode == 2
    assert "start it, or set WEIR_API_LISTEN" in unanswered.stderr


def command(api: MetricsApi, *words: str) -> subprocess.CompletedProcess[str]:
    """Run by an operator beside this metrics API."""
    redis = cast("dict[str, Any]", api.redis.get_connection_kwargs())
    env = {
        **os.environ,
        "REDIS_URL": f"redis://{redis['host']}:{redis['port']}/0",
        "WEIR_API_LISTEN": api.url.removeprefix("http://"),
    }
    return subprocess.run(
        [sys.executable, "-m", "weir.metrics_api", *words],
        env=env, cwd=api.data, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


def _why(api: MetricsApi) -> str:
    return api.json("/api/pipeline")["unknown"].get("unaccounted", "")


def test_dead_letters_are_accounted_for_replayed_and_dropped(api: MetricsApi) -> None:
    good, bad = numbered(2)
    broken = encode(bad).replace(b'"proxy_id":"proxy-1"', b'"proxy_id":"proxy-1","stream":"SECRET"', 1)
    broken = broken.replace(b',"stream":true', b"", 1)
    api.send([good])
    api.redis.xadd(REQUESTS, {FIELD: broken})
    tell(api, accepted=2, journaled=2, acknowledged=2)
    api.wait_for(1)
    until(lambda: api.json("/api/pipeline")["dead_letters"] == 1, "it is put aside")
    total = api.json("/api/pipeline")["total"]
    assert (total["stored"], total["dead_lettered"], total["unaccounted"]) == (1, 1, 0)

    listed = command(api, "dead-letters", "list")
    assert (listed.returncode, listed.stdout.splitlines()[-1]) == (0, "1 dead letter")
    assert "proxy-1/b1" in listed.stdout
    assert "SECRET" not in listed.stdout
    assert command(api, "dead-letters", "replay", "--all").stdout == "replayed 1 dead letter\n"
    until(lambda: api.json("/api/pipeline")["dead_letters"] == 1, "it is as odd as it was")
    unknown = command(api, "dead-letters", "drop", "1-1")
    assert (unknown.returncode, unknown.stdout) == (2, "dropped 0 dead letters\n")
    assert command(api, "dead-letters", "drop", "--all").stdout == "dropped 1 dead letter\n"
    report = api.json("/api/pipeline")
    assert (report["dead_letters"], report["total"]["dead_lettered"], report["total"]["unaccounted"]) == (
        0,
        1,
        0,
    )
    assert command(api, "dead-letters", "list", "--json").stdout == ""
