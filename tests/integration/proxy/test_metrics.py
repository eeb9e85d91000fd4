"""The proxy's metrics over the real admin listener: of all workers, exact through kills, without secrets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.load import Ledger
from tests.support.processes import children, command_line
from tests.support.promtool import assert_promtool_passes
from tests.support.proxy import ask
from tests.support.raw_http import fetch
from tests.support.records import marker
from tests.support.waiting import eventually

from weir.events import UsageSource

if TYPE_CHECKING:
    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

    from weir.events import RequestEvent

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY: Final = "weir-key-of-the-notebook-team"
UPSTREAM_KEY: Final = "sk-upstream-very-secret"
TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
SECRETS: Final = [
    ("Authorization", f"Bearer {KEY}"),
    ("x-weir-user", "ada-lovelace"),
    ("x-weir-project", "difference-engine"),
    ("x-weir-ticket", "ticket-4711"),
    ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),
]
MOST_MODELS: Final = 3
README: Final = (Path(__file__).parents[3] / "README.md").read_text()

Sample = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture(scope="module")
def proxy_settings(tmp_path_factory: pytest.TempPathFactory, fake: FakeLLM) -> dict[str, str]:
    config = tmp_path_factory.mktemp("config") / "weir.yaml"
    config.write_text(
        json.dumps(
            {
                "upstreams": [{"name": "main", "url": fake.url, "api_key_env": "MAIN_KEY"}],
                "clients": [{"name": "notebooks", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
            }
        )
    )
    return {
        "WEIR_CONFIG": str(config),
        "MAIN_KEY": UPSTREAM_KEY,
        "WEIR_PROXY_WORKERS": "2",
        "WEIR_PROXY_METRICS_MODELS": str(MOST_MODELS),
    }


async def scrape(proxy: Process) -> str:
    answer = await fetch(proxy.announced["admin_url"], "GET", "/metrics")
    assert answer.status == 200
    return answer.body.decode()


def samples(text: str) -> dict[Sample, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(found: dict[Sample, float], name: str, **labels: str) -> float:
    """All samples of that name with these labels, whatever others they have."""
    return sum(
        value for (own, having), value in found.items() if own == name and having.issuperset(labels.items())
    )


async def when_all_are_counted(proxy: Process) -> str:
    """The metrics, once they count every record that was written, and none is to come."""

    async def all_counted() -> str:
        found = samples(text := await scrape(proxy))
        in_flight = total(found, "weir_proxy_in_flight")
        finished = total(found, "weir_proxy_requests_total")
        return text if in_flight == 0 and finished == total(found, "weir_proxy_journaled_total") else ""

    return await eventually(all_counted, "every request is counted")


async def some_of_each(proxy: Process) -> list[str]:
    marks: list[str] = []
    for model, stream, times in (
        ("answer", False, 4),
        ("answer", True, 4),
        ("tools", True, 2),
        ("answer:503", False, 2),
        ("answer:reset", True, 2),
        ("answer:429", False, 2),
    ):
        for _ in range(times):
            marks.append(marker())
            await ask(proxy.url, model, marks[-1], stream=stream, headers=SECRETS)
    return marks


def outcomes(records: list[RequestEvent]) -> Counter[tuple[str, str]]:
    return Counter((event.outcome.value, f"{(event.status_code or 0) // 100}xx") for event in records)


async def test_they_say_what_the_records_say(proxy: Process, records: Records) -> None:
    before = samples(await when_all_are_counted(proxy))
    events = await records.of_all(await some_of_each(proxy), deadline=30)
    after = samples(await when_all_are_counted(proxy))

    def grown(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    for (outcome, status_class), times in outcomes(events).items():
        assert grown("weir_proxy_requests_total", outcome=outcome, status_class=status_class) == times
    duration = "weir_proxy_request_duration_seconds"
    assert grown(f"{duration}_count") == grown(f"{duration}_bucket", le="+Inf") == len(events)
    assert grown(f"{duration}_sum") == pytest.approx(
        sum(e.duration_ms or 0.0 for e in events) / 1000, abs=0.001
    )
    streams = [event for event in events if event.stream and event.time_to_first_token_ms is not None]
    assert grown("weir_proxy_time_to_first_token_seconds_count") == len(streams)
    reported = [event for event in events if event.usage_source is UsageSource.REPORTED]
    for kind, tokens in (
        ("input", sum(event.prompt_tokens or 0 for event in reported)),
        ("output", sum(event.completion_tokens or 0 for event in reported)),
    ):
        assert grown("weir_proxy_tokens_total", type=kind) == tokens > 0
        assert grown("gen_ai_client_token_usage_sum", gen_ai_token_type=kind) == tokens
    assert grown("weir_proxy_upstream_errors_total", upstream="main", cause="status_5xx") == 2
    assert grown("weir_proxy_upstream_errors_total", upstream="main", cause="disconnected") == 2
    assert grown("weir_proxy_overhead_seconds_count", endpoint="chat.completions") == len(events)
    model = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai"}
    assert grown("gen_ai_client_operation_duration_seconds_count", **model) == len(events)


async def test_nobodys_secret_is_in_them(proxy: Process) -> None:
    marks = await some_of_each(proxy)
    refused = await ask(proxy.url, "answer", marks[0], headers=[("Authorization", "Bearer guessed-key")])
    assert refused.status == 401
    text = await when_all_are_counted(proxy)
    secrets = [value for _, value in SECRETS] + [KEY, UPSTREAM_KEY, TRACE, "guessed-key", "notebooks", *marks]
    assert [secret for secret in secrets if secret in text] == []
    assert re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-", text) is None, "no request's id"


async def test_models_are_bounded(proxy: Process) -> None:
    for number in range(20):
        await ask(proxy.url, f"model-{number}", marker(), headers=SECRETS)
        await ask(proxy.url, f"made-up-{number}:503", marker(), headers=SECRETS)
    found = samples(await when_all_are_counted(proxy))
    models = {dict(labels)["model"] for name, labels in found if name == "weir_proxy_requests_total"}
    assert len(models - {"other", ""}) <= MOST_MODELS
    assert total(found, "weir_proxy_requests_total", model="other") >= 20
    assert not [labels for _, labels in found if "made-up" in str(labels)]


async def test_promtool_passes_and_the_readme_lists_them(proxy: Process, tmp_path: Path) -> None:
    await some_of_each(proxy)
    text = await when_all_are_counted(proxy)
    families = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert families == set(re.findall(r"^\| `((?:weir_proxy|gen_ai)_\w+)` \|", README, re.MULTILINE))
    assert_promtool_passes(text, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers through /proc")
async def test_killed_workers_set_no_counter_back_and_leave_no_request_out(
    proxy: Process, records: Records
) -> None:
    before = samples(await when_all_are_counted(proxy))
    ledger = Ledger(proxy.url, headers=SECRETS)
    scraped = [before]

    async def workers() -> list[int]:
        async def both() -> list[int]:
            found = [pid for pid in children(proxy.pid) if "weir.proxy.worker" in command_line(pid)]
            return found if len(found) == 2 else []

        return await eventually(both, "two workers run")

    async def kill_workers() -> None:
        for number, answers in enumerate((50, 30, 70, 20)):
            await ledger.more(answers)
            scraped.append(samples(await scrape(proxy)))
            os.kill((await workers())[number % 2], signal.SIGKILL)
            scraped.append(samples(await scrape(proxy)))
        await ledger.more(100)

    await ledger.load(8, kill_workers)
    scraped.append(samples(await when_all_are_counted(proxy)))

    for earlier, later in pairwise(scraped):
        fallen = [
            sample
            for sample, value in earlier.items()
            if sample[0].endswith(("_total", "_count", "_sum", "_bucket")) and later.get(sample, 0) < value
        ]
        assert fallen == []

    def grown(name: str, **labels: str) -> float:
        return total(scraped[-1], name, **labels) - total(before, name, **labels)

    await records.of_all(ledger.whole, deadline=30)
    crashed = grown("weir_proxy_requests_total", outcome="internal_error")
    assert crashed == grown("weir_proxy_crash_records_total")
    assert grown("weir_proxy_requests_total", outcome="completed") >= len(ledger.whole)

    async def all_came() -> bool:
        await records.read()
        return len(records.events) == total(scraped[-1], "weir_proxy_requests_total")

    await eventually(all_came, "there are as many records as requests were counted")
    assert Counter(event.outcome.value for event in records.events) == {
        outcome: times
        for outcome in ("completed", "internal_error", "upstream_error", "truncated", "client_error")
        if (times := total(scraped[-1], "weir_proxy_requests_total", outcome=outcome))
    }


async def test_gauges_of_a_dead_worker_are_not_shown(proxy: Process) -> None:
    """What was in flight in it is not in flight any more."""
    waiting = [
        asyncio.create_task(ask(proxy.url, "answer:silent", marker(), headers=SECRETS)) for _ in range(6)
    ]

    async def in_flight() -> bool:
        return total(samples(await scrape(proxy)), "weir_proxy_in_flight") == len(waiting)

    await eventually(in_flight, "all are in flight")
    for pid in children(proxy.pid):
        os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*waiting, return_exceptions=True)
    await when_all_are_counted(proxy)
