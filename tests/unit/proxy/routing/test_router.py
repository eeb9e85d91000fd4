"""Which upstream: those that name the model before those that take any, by weight, of those that can."""

from __future__ import annotations

import pytest

from weir.proxy.errors import ProxyError
from weir.proxy.routing.router import Router
from weir.proxy.upstream import Address, Upstream

FAMILIES = {
    "openai": frozenset({"openai"}),
    "vllm": frozenset({"openai", "anthropic"}),
    "ollama": frozenset({"openai", "ollama"}),
}


def upstream(name: str, *models: str, weight: float = 1.0, provider: str = "openai") -> Upstream:
    return Upstream(name=name, url="http://h", models=models, weight=weight, provider=provider)


def router(*upstreams: Upstream, draw: float = 0.0) -> Router:
    return Router(upstreams, FAMILIES, draw=lambda: draw)


@pytest.mark.parametrize(
    ("model", "chosen"),
    [("llama3.1", "exact"), ("qwen-7b", "glob"), ("Qwen-7b", "any"), ("other", "any"), (None, "any")],
)
def test_the_one_that_names_the_model(model: str | None, chosen: str) -> None:
    choosing = router(upstream("any"), upstream("exact", "llama3.1"), upstream("glob", "qwen*"))
    assert choosing.choose(model).name == chosen


@pytest.mark.parametrize(
    ("draw", "chosen"), [(0.0, "a"), (0.249, "a"), (0.251, "b"), (0.749, "b"), (0.751, "c"), (0.999999, "c")]
)
def test_several_share_by_weight(draw: float, chosen: str) -> None:
    choosing = router(upstream("a"), upstream("b", weight=2), upstream("c"), draw=draw)
    assert choosing.choose("m").name == chosen


def test_rounding_never_leaves_a_request_without_one() -> None:
    choosing = router(upstream("a", weight=0.1), upstream("b", weight=0.2), draw=1.0)
    assert choosing.choose("m").name == "b"


def test_a_model_that_nobody_serves() -> None:
    with pytest.raises(ProxyError) as caught:
        router(upstream("a", "llama*")).choose("x" * 5000)
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")
    assert len(caught.value.message) < 300


def test_without_a_model_any_will_do() -> None:
    assert router(upstream("a", "llama*"), upstream("b")).choose(None).name == "a"


def test_one_that_speaks_the_family_is_preferred() -> None:
    choosing = router(upstream("a"), upstream("b", provider="ollama"), upstream("c", provider="vllm"))
    assert choosing.choose("m", "ollama").name == "b"
    assert choosing.choose("m", "anthropic").name == "c"
    assert [one.name for one in choosing.all_of("openai")] == ["a", "b", "c"]


def test_where_nobody_speaks_it_the_upstream_may_say_so_itself() -> None:
    assert router(upstream("a")).choose("m", "ollama").name == "a"


def test_a_renamed_model_is_named() -> None:
    renaming = Upstream(name="r", url="http://h", models=("x",), rename={"fast": "x-7b"})
    assert router(upstream("any"), renaming).choose("fast").name == "r"


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "prefix"),
    [
        ("http://h", "h", 80, b"h", b""),
        ("https://h", "h", 443, b"h", b""),
        ("http://h:8000/v1", "h", 8000, b"h:8000", b""),
        ("http://h:80/", "h", 80, b"h", b""),
        ("https://h:80/base/v1/", "h", 80, b"h:80", b"/base"),
        ("http://[::1]:8000", "::1", 8000, b"[::1]:8000", b""),
        ("https://h/openai/deployments", "h", 443, b"h", b"/openai/deployments"),
    ],
)
def test_where_connections_go(url: str, host: str, port: int, authority: bytes, prefix: bytes) -> None:
    address = Address.of(url)
    assert (address.host, address.port, address.authority, address.prefix) == (host, port, authority, prefix)
    assert address.tls is url.startswith("https")
