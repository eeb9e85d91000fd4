"""The proxy's metrics as Prometheus reads them: summed over workers, bounded, passed by promtool."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.measures import new_measures, new_table
from tests.support.promtool import assert_promtool_passes
from tests.unit.proxy.measures.test_measures import exchange

from weir.events import Outcome
from weir.proxy.endpoints import ENDPOINTS
from weir.proxy.exchange import AnswerFacts, RequestFacts, Usage
from weir.proxy.metering.measures import cells
from weir.proxy.metering.measures.labels import Labels, ModelNames, all_causes
from weir.proxy.parent import genai
from weir.proxy.parent.exposition import FAMILIES, KEPT_CLOSED, Gathering, Totals, expose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weir.proxy.exchange import Exchange
    from weir.proxy.metering.measures.table import Table

ALL: Final = (*FAMILIES, *genai.FAMILIES)
README: Final = (Path(__file__).parents[4] / "README.md").read_text()
LABELS: Final = {
    *("endpoint", "model", "variant", "status_class", "outcome", "type", "upstream", "cause", "le"),
    *("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model"),
    *("gen_ai_token_type", "error_type"),
}


def table_of(*requests: Exchange, most: int = 10) -> Table:
    """What a worker shows that has had these requests."""
    table = new_table()
    measures = new_measures(table, most=most)
    for request in requests:
        measures.observe(request, 3.0, 1)
    measures.show()
    return table


def gathered(*tables: Table, most: int = 10) -> Totals:
    return Gathering(ModelNames(most)).gather(tables)


def text_of(totals: Totals) -> str:
    class Collector:
        def collect(self) -> Iterable[Any]:
            return expose(ALL, totals)

    registry = CollectorRegistry()
    registry.register(Collector())  # pyright: ignore[reportArgumentType] - a collector by its shape
    return generate_latest(registry).decode()


def samples(totals: Totals) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text_of(totals)):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def value(totals: Totals, name: str, **labels: str) -> float:
    """The sample with exactly these labels; those of the default traffic need not be said."""
    return samples(totals)[name, frozenset(labels.items())]


STREAM: Final = exchange(
    facts=RequestFacts(model="llama3", stream=True),
    answer=AnswerFacts(
        model="llama3-8b", usage=Usage(100, 11, 111, 30, None, 7), first_token_at=1.5, last_token_at=2.5
    ),
)
FAILED: Final = exchange(
    outcome=Outcome.UPSTREAM_ERROR,
    status_code=502,
    error_type="upstream_unreachable",
)
TRAFFIC: Final = {"endpoint": "chat.completions", "model": "llama3-8b", "variant": "canary"}
GEN_AI: Final = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "vllm",
    "gen_ai_request_model": "llama3",
    "gen_ai_response_model": "llama3-8b",
}


def test_workers_are_added_up() -> None:
    totals = gathered(table_of(STREAM, STREAM), table_of(STREAM, FAILED))
    good = {"status_class": "2xx", "outcome": "completed"}
    bad = {"model": "llama3", "status_class": "5xx", "outcome": "upstream_error"}
    assert value(totals, "weir_proxy_requests_total", **TRAFFIC, **good) == 3
    assert value(totals, "weir_proxy_requests_total", **TRAFFIC | bad) == 1
    assert value(totals, "weir_proxy_request_duration_seconds_sum", **TRAFFIC) == 6
    assert value(totals, "weir_proxy_request_duration_seconds_count", **TRAFFIC) == 3
    assert value(totals, "weir_proxy_request_duration_seconds_bucket", **TRAFFIC, le="1.28") == 0
    assert value(totals, "weir_proxy_request_duration_seconds_bucket", **TRAFFIC, le="2.56") == 3
    assert value(totals, "weir_proxy_request_duration_seconds_bucket", **TRAFFIC, le="+Inf") == 3
    assert value(totals, "weir_proxy_time_to_first_token_seconds_sum", **TRAFFIC) == 1.5
    assert value(totals, "weir_proxy_time_per_output_token_seconds_sum", **TRAFFIC) == pytest.approx(0.3)
    assert value(totals, "weir_proxy_tokens_total", **TRAFFIC, type="input") == 300
    assert value(totals, "weir_proxy_tokens_total", **TRAFFIC, type="output") == 33
    assert value(totals, "weir_proxy_tokens_total", **TRAFFIC, type="cache_read") == 90
    assert value(totals, "weir_proxy_tokens_total", **TRAFFIC, type="reasoning") == 21
    assert value(totals, "weir_proxy_upstream_errors_total", upstream="gpu", cause="unreachable") == 1


def test_the_names_of_opentelemetry() -> None:
    totals = gathered(table_of(STREAM, STREAM, FAILED))
    duration = "gen_ai_client_operation_duration_seconds"
    assert value(totals, f"{duration}_count", **GEN_AI, error_type="") == 2
    unanswered = GEN_AI | {"gen_ai_response_model": "", "error_type": "upstream_error"}
    assert value(totals, f"{duration}_count", **unanswered) == 1
    assert value(totals, "gen_ai_server_request_duration_seconds_sum", **GEN_AI, error_type="") == 4
    usage = "gen_ai_client_token_usage"
    assert value(totals, f"{usage}_bucket", **GEN_AI, gen_ai_token_type="input", le="64.0") == 0
    assert value(totals, f"{usage}_bucket", **GEN_AI, gen_ai_token_type="input", le="256.0") == 2
    assert value(totals, f"{usage}_sum", **GEN_AI, gen_ai_token_type="output") == 22
    assert value(totals, "gen_ai_server_time_to_first_token_seconds_sum", **GEN_AI) == 1
    assert value(totals, "gen_ai_server_time_per_output_token_seconds_count", **GEN_AI) == 2


def test_times_of_tokens_are_those_of_successful_answers_under_their_names() -> None:
    broken = exchange(outcome=Outcome.TRUNCATED, facts=STREAM.facts, answer=STREAM.answer)
    names = {name for name, _ in samples(gathered(table_of(broken)))}
    assert "weir_proxy_time_to_first_token_seconds_sum" in names
    assert "gen_ai_server_time_to_first_token_seconds_sum" not in names


def test_what_reached_no_model_is_no_operation_of_one() -> None:
    rejected = exchange(upstream=None, outcome=Outcome.REJECTED, status_code=400)
    found = {name for name, _ in samples(gathered(table_of(rejected)))}
    assert "weir_proxy_requests_total" in found
    assert not {name for name in found if name.startswith("gen_ai")}


def test_the_operations_are_those_of_endpoints() -> None:
    assert set(genai.OPERATIONS) <= {endpoint.operation for endpoint in ENDPOINTS}
    assert set(genai.OPERATIONS.values()) == {"chat", "text_completion", "embeddings"}
    readers = {
        e.operation for e in ENDPOINTS if e.dialect in {"openai.chat", "anthropic.messages", "ollama.chat"}
    }
    assert readers <= set(genai.OPERATIONS)


def test_models_are_bounded_over_all_workers_and_never_change_their_label() -> None:
    gathering = Gathering(ModelNames(2))
    one, two = table_of(exchange("a"), exchange("b")), table_of(exchange("c"), exchange("a"))
    before = gathering.gather([one])
    after = gathering.gather([one, two])

    def by_model(totals: Totals) -> dict[str, float]:
        found: dict[str, float] = {}
        for labels, numbers in totals.items():
            found[labels.model] = found.get(labels.model, 0) + numbers[cells.REQUESTS]
        return found

    assert by_model(before) == {"a": 1, "b": 1}
    assert by_model(after) == {"a": 2, "b": 1, "other": 1}


def test_promtool_passes_it(tmp_path: Path) -> None:
    lost = exchange(model='odd "name"\\', outcome=Outcome.TIMEOUT, status_code=None)
    assert_promtool_passes(text_of(gathered(table_of(STREAM, FAILED, lost))), tmp_path)


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_families_keep_to_prometheus_ways(family: Any) -> None:
    assert set(family.labels) <= LABELS
    assert family.help.endswith(".")
    assert not family.name.endswith(("_total", "_ms", "_milliseconds"))
    for source, _ in family.parts:
        assert isinstance(source, cells.Histogram) == family.is_histogram
        if family.is_histogram and source.bounds is not cells.TOKENS:
            assert family.name.endswith("_seconds")


def test_labels_are_no_more_than_what_a_series_has() -> None:
    assert set(Labels.__struct_fields__).isdisjoint({"user", "api_key_id", "request_id", "project", "tenant"})


def test_what_was_read_is_what_was_written() -> None:
    """The parent decodes what the worker encodes."""
    ((text, _),) = table_of(STREAM).read().series
    assert msgspec.json.decode(text, type=Labels).model == "llama3-8b"


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_the_readme_lists_it(family: Any) -> None:
    name = family.name if family.is_histogram else f"{family.name}_total"
    row = re.search(rf"^\| `{name}` \| (.*) \| (.*) \|$", README, re.MULTILINE)
    assert row, f"README's table of metrics lacks {name}"
    said_above = GEN_AI if name.startswith("gen_ai") else {}
    assert row[1] == ", ".join(f"`{label}`" for label in family.labels if label not in said_above)
    if "cause" in family.labels:
        assert [cause for cause in (*all_causes(), KEPT_CLOSED) if f"`{cause}`" not in row[2]] == []
