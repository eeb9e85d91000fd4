"""The graph: its errors, and what can be switched off."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

import pytest

from weir.metrics_api.graphql.schema import Graph
from weir.metrics_api.storage.port import StorageError

if TYPE_CHECKING:
    from weir.metrics_api.reports.reports import Reports

SECRET = "sk-not-for-clients"


class Broken:
    """Reports that fail in every way."""

    async def status(self) -> Any:
        raise RuntimeError(SECRET)

    async def request(self, _request_id: str) -> Any:
        raise StorageError("disk is full")

    async def summary(self, *_question: Any) -> Any:
        await asyncio.Event().wait()


async def ask(query: str, graph: Graph | None = None, operation: str | None = None) -> dict[str, Any]:
    return await (graph or Graph()).answer(cast("Reports", Broken()), query, None, operation)


async def test_what_was_not_foreseen_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await ask("{ variants { variant } }")
    [error] = answer["errors"]
    assert error["message"] == "Something unforeseen happened; the log has it."
    assert error["extensions"] == {"code": "internal_error"}
    assert SECRET not in str(answer)
    assert SECRET in caplog.text


async def test_what_was_foreseen_has_its_code_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    answer = await ask('{ request(request_id: "x") { model } }')
    assert answer["errors"][0]["extensions"] == {"code": "unavailable"}
    assert "disk is full" in answer["errors"][0]["message"]
    assert answer["data"] == {"request": None}
    await ask("{ nothing }")
    assert caplog.records == []


async def test_a_query_that_takes_too_long_is_ended() -> None:
    answer = await ask("{ summary { to } }", Graph(seconds=0.01))
    assert answer["errors"][0]["extensions"] == {"code": "query_timeout"}


async def test_introspection_can_be_switched_off() -> None:
    query = "{ __schema { types { name } } }"
    assert "data" in await ask(query)
    refused = await ask(query, Graph(introspection=False))
    assert "introspection has been disabled" in refused["errors"][0]["message"]
    assert "data" in await ask("{ __typename metrics { slug } }", Graph(introspection=False))


@pytest.mark.parametrize(
    "query",
    [
        "{ metrics { slugg } }",
        "{ metric { slug } }",
        "{ summary(rang: 1) { to } }",
        "{ summary(by: modell) { to } }",
        "{ summary(filter: { modell: [] }) { to } }",
        "query ($x: Filte) { summary(filter: $x) { to } }",
    ],
)
async def test_suggestions_can_be_switched_off(query: str) -> None:
    assert "Did you mean" in str(await ask(query))
    answer = await ask(query, Graph(suggestions=False))
    assert answer["errors"]
    assert "Did you mean" not in str(answer)


@pytest.mark.parametrize(
    ("query", "operation", "words"),
    [
        ("mutation { x }", None, "only queries are answered"),
        ("subscription { x }", None, "only queries are answered"),
        ("query A { metrics { slug } } query B { metrics { slug } }", None, "which one is meant"),
        ("query A { metrics { slug } }", "C", "no such query"),
        ("fragment f on Metric { slug }", None, ""),
        ("{", None, "Syntax Error"),
        ("type A { b: Int }", None, ""),
        ("{ __schema { types { " + "fields { type { " * 4 + "name" + " } } " * 4 + " } } }", None, "depth"),
    ],
)
async def test_what_cannot_be_answered_is_said(query: str, operation: str | None, words: str) -> None:
    answer = await ask(query, operation=operation)
    assert words in answer["errors"][0]["message"]
    assert answer["errors"][0]["extensions"]["code"] == "invalid_query"


async def test_of_several_operations_the_named_one_is_run() -> None:
    answer = await ask("query A { metrics { slug } } query B { metrics { title } }", operation="B")
    assert set(answer["data"]["metrics"][0]) == {"title"}
