"""Starting: what a proxy must be told, and that it says clearly what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.support.processes import NotReadyError
from tests.support.proxy import start_proxy

if TYPE_CHECKING:
    from pathlib import Path

NO_REDIS = "redis://127.0.0.1:1/0"


def refusal(tmp_path: Path, settings: dict[str, str]) -> str:
    """What a proxy that does not start says."""
    with pytest.raises(NotReadyError) as caught:
        start_proxy(NO_REDIS, tmp_path / "data", settings)
    said = str(caught.value)
    assert "Traceback" not in said
    assert "it ended before it was ready" in said
    return said


def test_without_any_upstream_it_does_not_start(tmp_path: Path) -> None:
    said = refusal(tmp_path, {})
    assert "WEIR_UPSTREAM_URL" in said
    assert "WEIR_DEMO" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEIR_PROXY_LISTEN", "nowhere"),
        ("WEIR_PROXY_WORKERS", "many"),
        ("WEIR_PROXY_WORKERS", "0"),
        ("WEIR_UPSTREAM_URL", "ftp://example.com"),
        ("WEIR_UPSTREAM_IDLE_TIMEOUT", "soon"),
        ("WEIR_CONFIG", "/no/such/file.yaml"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    said = refusal(tmp_path, {"WEIR_UPSTREAM_URL": "http://127.0.0.1:9", name: value})
    assert name in said
    assert value in said


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ("upstreams: [", "weir.yaml"),
        ("- upstreams", "weir.yaml"),
        (json.dumps({"upstreams": [{"name": "a"}]}), "url"),
        (json.dumps({"upstreams": [{"name": "a", "url": "http://h", "provider": "nobody"}]}), "nobody"),
        (json.dumps({"upstreams": [{"name": "a", "url": "http://h", "modles": ["x"]}]}), "modles"),
        (json.dumps({"upstreams": [{"name": "a", "url": "http://h"}] * 2}), "a"),
        (json.dumps({"upstreams": [{"name": "a", "url": "http://h", "api_key_env": "UNSET"}]}), "UNSET"),
        (json.dumps({"upstreams": [{"name": "a", "url": "http://h"}], "clients": [{"name": "c"}]}), "sha256"),
    ],
)
def test_a_bad_configuration_is_explained(tmp_path: Path, config: str, word: str) -> None:
    path = tmp_path / "weir.yaml"
    path.write_text(config)
    said = refusal(tmp_path, {"WEIR_CONFIG": str(path)})
    assert word in said
    assert "WEIR_CONFIG" in said


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    first = start_proxy(NO_REDIS, tmp_path / "first", {"WEIR_DEMO": "1"})
    try:
        address = first.url.removeprefix("http://")
        said = refusal(tmp_path, {"WEIR_DEMO": "1", "WEIR_PROXY_LISTEN": address})
        assert "WEIR_PROXY_LISTEN" in said
        assert address.rpartition(":")[2] in said
    finally:
        assert first.stop() == 0, first.stderr


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    data = tmp_path / "file" / "data"
    said = refusal(tmp_path, {"WEIR_DEMO": "1", "WEIR_DATA_DIR": str(data)})
    assert str(data) in said
    assert "WEIR_DATA_DIR" in said
