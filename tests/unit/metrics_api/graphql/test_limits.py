"""What a query may cost: right below each limit it passes, right above it is refused."""

from __future__ import annotations

import time

import pytest
from graphql import GraphQLError, get_introspection_query, parse

from weir.metrics_api.graphql import limits
from weir.metrics_api.graphql.limits import TooCostlyError, check_document, check_text


def check(query: str) -> None:
    check_text(query)
    check_document(parse(query))


def nested(depth: int) -> str:
    return "{ a " * depth + "}" * depth


def fragments(count: int) -> str:
    """A chain of fragments, each in the one before."""
    chain = [f"fragment f{i} on Query {{ ...f{i + 1} }}" for i in range(count - 1)]
    return " ".join(["{ ...f0 }", *chain, f"fragment f{count - 1} on Query {{ a }}"])


def aliases(count: int) -> str:
    return "{ summary { " + " ".join(f"a{i}: to" for i in range(count)) + " } }"


def directives(count: int) -> str:
    return "{ a " + "@skip(if: false) " * count + "}"


def fields(count: int) -> str:
    return "{ a { " + " ".join(f"f{i}" for i in range(count - 1)) + " } }"


def repeats(count: int) -> str:
    return "{ a { " + "b " * count + "} }"


def reports(count: int) -> str:
    return "{ " + " ".join(f"r{i}" for i in range(count)) + " }"


def tokens(count: int) -> str:
    """Exactly so many; the commas are none."""
    return "{ a(x: [" + "1, " * (count - 9) + "]) }"


def through_fragments(count: int) -> str:
    """Fields that are written once and asked for often."""
    spreads = " ".join(f"a{i % 25} {{ ...f }}" for i in range(count // 20))
    return f"{{ x {{ {spreads} }} }} fragment f on A {{ {' '.join(f'f{i}' for i in range(18))} }}"


@pytest.mark.parametrize(
    ("passes", "fails", "words"),
    [
        (nested(10), nested(11), "more than 10 fields deep"),
        (aliases(30), aliases(31), "more than 30 aliases"),
        (directives(50), directives(51), "more than 50 directives"),
        (fields(500), fields(501), "more than 500 fields"),
        (repeats(20), repeats(21), "more than 20 times"),
        (reports(10), reports(11), "more than 10 reports"),
        (tokens(2000), tokens(2001), "more than 2000 tokens"),
        (fragments(20), fragments(21), "more than 20 deep inside one another"),
        (through_fragments(400), through_fragments(520), "more than 500 fields"),
    ],
)
def test_each_limit_is_where_it_is_said_to_be(passes: str, fails: str, words: str) -> None:
    check(passes)
    with pytest.raises(TooCostlyError, match=words) as refused:
        check(fails)
    assert refused.value.extensions == {"code": "query_too_costly"}


@pytest.mark.parametrize(
    "query",
    [
        "{ a { ...f } } fragment f on A { ...g } fragment g on A { ...f }",
        "{ " + "a { " * 9 + "...f" + " }" * 9 + " } fragment f on A { b { c { d } } }",
        "query A { a } query B { " + " ".join(f"r{i}" for i in range(11)) + " }",
        "{ a } fragment unused on A { " + "b " * 21 + "}",
        "{ variants { snapshots { timestamp } } " + " ".join(f"r{i}" for i in range(9)) + " }",
        "{ ... @skip(if: true) { a } " + "... @skip(if: true) { a } " * 50 + "}",
        "query ($x: Int " + "@d " * 51 + ") { a }",
        "[" * 50,
        "{ a(x: " + "[" * 41 + "]" * 41 + ") }",
        "x" * 65_537,
        "{" * 100_000,
    ],
)
def test_there_is_no_way_around_them(query: str) -> None:
    with pytest.raises(GraphQLError):
        check(query)


def test_what_tools_ask_passes() -> None:
    check(get_introspection_query(descriptions=True, input_value_deprecation=True))


@pytest.mark.parametrize(
    "query",
    [
        '"' * 60_000,
        "#" * 60_000,
        "#\n" * 30_000,
        '{ a(x: "' + "x" * 60_000,
        "{ " + "a" * 60_000,
        "," * 65_000,
    ],
)
def test_long_texts_are_judged_quickly(query: str) -> None:
    start = time.process_time()
    with pytest.raises(GraphQLError):
        check(query)
    assert time.process_time() - start < 3.0


def test_the_limits_are_those_that_are_documented() -> None:
    assert (limits.DEEPEST, limits.MOST_ALIASES, limits.MOST_DIRECTIVES, limits.MOST_TOKENS) == (
        10,
        30,
        50,
        2000,
    )
