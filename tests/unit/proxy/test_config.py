"""The operator's YAML and environment: what is wrong is said with how to mend it; no key for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from weir.proxy.config import DEMO, load_config
from weir.proxy.providers import PROVIDERS
from weir.proxy.settings import ProxySettings
from weir.servicekit.settings import SettingsError, load

if TYPE_CHECKING:
    from pathlib import Path

    from weir.proxy.worker_plan import Config

SHA = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
ONE = "upstreams: [{name: one, url: 'http://one.test/v1'%s}]\n"


def read(tmp_path: Path, text: str | bytes | None = None, **environ: str) -> Config:
    if text is not None:
        path = tmp_path / "weir.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        environ["WEIR_CONFIG"] = str(path)
    return load_config(load(ProxySettings, environ), environ, frozenset(PROVIDERS))


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    text = f"""
upstreams:
  - name: gpu-1
    url: http://10.0.0.5:8000/v1
    provider: vllm
    variant: canary
    models: [llama3.1, "qwen*"]
    rename: {{fast: llama3.1}}
    weight: 2
    timeouts: {{first_byte: 2m}}
    headers: {{X-Team: blue}}
    api_key_env: GPU_KEY
clients:
  - {{name: ci, sha256: {SHA}}}
"""
    config = read(tmp_path, text, GPU_KEY=" sk-1\n", WEIR_UPSTREAM_CONNECT_TIMEOUT="7s")
    (upstream,) = config.upstreams
    assert (upstream.name, upstream.provider, upstream.variant) == ("gpu-1", "vllm", "canary")
    assert (upstream.models, upstream.rename, upstream.weight) == (
        ("llama3.1", "qwen*"),
        {"fast": "llama3.1"},
        2.0,
    )
    assert upstream.timeouts is not None
    assert (upstream.timeouts.connect, upstream.timeouts.first_byte) == (7.0, 120.0)
    assert (upstream.api_key, upstream.headers) == ("sk-1", (("X-Team", "blue"),))
    assert config.clients == {SHA: "ci"}
    assert "sk-1" not in repr(upstream)


def test_an_upstreams_key_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-3\n")
    text = ONE % ", api_key_env: GPU_KEY"
    assert read(tmp_path, text, GPU_KEY_FILE=str(file)).upstreams[0].api_key == "sk-3"
    with pytest.raises(SettingsError, match="GPU_KEY and GPU_KEY_FILE are both set"):
        read(tmp_path, text, GPU_KEY="sk-3", GPU_KEY_FILE=str(file))
    with pytest.raises(SettingsError, match=r"^GPU_KEY_FILE: .* cannot be read"):
        read(tmp_path, text, GPU_KEY_FILE=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ("", "end"),
        (", provider: vllm", "each"),
        (", provider: llamacpp", "never"),
        (", provider: vllm, ask_usage: end", "end"),
        (", provider: sglang, ask_usage: each", "each"),
        (", ask_usage: never", "never"),
    ],
)
def test_what_streams_are_asked_for(tmp_path: Path, more: str, asked: str) -> None:
    assert read(tmp_path, ONE % more).upstreams[0].ask_usage == asked


def test_an_upstream_of_the_environment_comes_last(tmp_path: Path) -> None:
    config = read(
        tmp_path, ONE % "", WEIR_UPSTREAM_URL="http://127.0.0.1:11434", WEIR_UPSTREAM_API_KEY="sk-2\n"
    )
    assert [(one.name, one.provider, one.api_key) for one in config.upstreams] == [
        ("one", "openai", None),
        ("default", "ollama", "sk-2"),
    ]


@pytest.mark.parametrize("text", [None, "", "clients: []"])
def test_the_demo_stands_in_only_where_nothing_else_is(tmp_path: Path, text: str | None) -> None:
    assert read(tmp_path, text, WEIR_DEMO="1").upstreams == (DEMO,)
    assert DEMO not in read(tmp_path, ONE % "", WEIR_DEMO="1").upstreams
    with pytest.raises(SettingsError, match="set WEIR_UPSTREAM_URL"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("upstreams: [", r"is not YAML at line 1, column \d+"),
        (b"\xff\xfe\x00", "is not YAML"),
        ("- a", "the file: "),
        ("upstreams: {}", "upstreams: "),
        ("routes: []", "routes: "),
        (ONE % ", modles: [x]", r"upstreams\.0\.modles: "),
        (ONE % ", models: llama", r"upstreams\.0\.models: "),
        (ONE % ", weight: 0", r"upstreams\.0\.weight: "),
        (ONE % ", weight: .inf", r"upstreams\.0\.weight: "),
        (ONE % ", weight: .nan", r"upstreams\.0\.weight: "),
        (ONE % ", variant: beta", r"upstreams\.0\.variant: "),
        (ONE % ", timeouts: {idle: soon}", r"upstreams\.0\.timeouts\.idle: .*soon"),
        (ONE % ", provider: nobody", "unknown provider 'nobody'; write one of anthropic, "),
        (ONE % ", provider: echo", "unknown provider 'echo'"),
        (ONE % ", api_key_env: UNSET", "UNSET is unset or empty; set it"),
        (ONE % ", api_key_env: BAD_KEY", "BAD_KEY: it has characters that no key has"),
        (ONE % ', headers: {"X-A": "b\\r\\nX-C: d"}', r"upstreams\.0\.headers\.X-A: "),
        (ONE % ', headers: {"X A": "b"}', r"upstreams\.0\.headers"),
        (ONE % ', headers: {"X-A\\n": "b"}', r"upstreams\.0\.headers"),
        (ONE % ', headers: {"HOST": "b"}', "the header HOST is written by the proxy itself"),
        (ONE % ', headers: {"Transfer-Encoding": "b"}', "the header Transfer-Encoding is written"),
        (ONE % ', headers: {"accept-encoding": "br"}', "the header accept-encoding is written"),
        ("upstreams: [{name: 'a b', url: 'http://h'}]", r"upstreams\.0\.name: "),
        ("upstreams: [{name: a, url: 'h:80'}]", r"upstreams\.0\.url: write an upstream URL like"),
        ("upstreams: [{name: a, url: 'http://u:p@h'}]", r"upstreams\.0\.url: an upstream URL has no user"),
        ("upstreams: [{name: a, url: 'http://h/a b'}]", r"upstreams\.0\.url: an upstream URL has only ASCII"),
        ("upstreams: [{name: a, url: 'http://h/é'}]", r"upstreams\.0\.url: an upstream URL has only ASCII"),
        (
            'upstreams: [{name: a, url: "http://h/\\r\\nX: y"}]',
            r"upstreams\.0\.url: an upstream URL has only",
        ),
        ("upstreams: [{name: a, url: 'http://h:99999'}]", r"upstreams\.0\.url: "),
        ("upstreams: [{name: a, url: 'http://h'}, {name: a, url: 'http://i'}]", "two upstreams 'a'"),
        (ONE % "" + "clients: [{name: a}]", r"clients\.0\.sha256: "),
        (ONE % "" + f"clients: [{{name: a, sha256: {SHA.upper()}}}]", r"clients\.0\.sha256: "),
        (ONE % "" + f"clients: [{{name: a, sha256: {SHA}}}, {{name: b, sha256: {SHA}}}]", "two client keys"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        read(tmp_path, text, BAD_KEY="sk-1\r\nX-Evil: 1")
    assert "sk-1" not in str(caught.value)


def test_a_name_taken_by_the_environments_upstream(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="two upstreams 'default'"):
        read(tmp_path, "upstreams: [{name: default, url: 'http://h'}]", WEIR_UPSTREAM_URL="http://i")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml cannot be read: No such file"):
        read(tmp_path, WEIR_CONFIG=str(tmp_path / "nowhere.yaml"))


@pytest.mark.parametrize(
    ("environ", "text", "is_refused"),
    [
        ({"WEIR_PROXY_LISTEN": "0.0.0.0:0"}, ONE % ", api_key_env: KEY", True),
        ({"WEIR_PROXY_LISTEN": "[::]:0"}, ONE % ", api_key_env: KEY", True),
        ({"WEIR_PROXY_LISTEN": "127.0.0.1:0"}, ONE % ", api_key_env: KEY", False),
        ({"WEIR_PROXY_LISTEN": "[::1]:0"}, ONE % ", api_key_env: KEY", False),
        ({"WEIR_PROXY_LISTEN": "0.0.0.0:0"}, ONE % "", False),
        ({"WEIR_PROXY_LISTEN": "0.0.0.0:0", "WEIR_ALLOW_ANONYMOUS": "1"}, ONE % ", api_key_env: KEY", False),
        (
            {"WEIR_PROXY_LISTEN": "0.0.0.0:0"},
            ONE % ", api_key_env: KEY" + f"clients: [{{name: a, sha256: {SHA}}}]",
            False,
        ),
        (
            {"WEIR_PROXY_LISTEN": "0.0.0.0:0", "WEIR_UPSTREAM_URL": "http://h", "WEIR_UPSTREAM_API_KEY": "k"},
            None,
            True,
        ),
    ],
)
def test_a_key_of_ours_behind_an_open_port_is_refused(
    tmp_path: Path, environ: dict[str, str], text: str | None, is_refused: bool
) -> None:
    environ = {**environ, "KEY": "sk-1"}
    if is_refused:
        with pytest.raises(SettingsError, match=r"anyone who reaches .* could use the key of upstream"):
            read(tmp_path, text, **environ)
    else:
        assert read(tmp_path, text, **environ).upstreams


@pytest.mark.parametrize("key", ["", "  ", "\n"])
def test_an_empty_key_is_refused(key: str) -> None:
    with pytest.raises(SettingsError, match=r"WEIR_UPSTREAM_API_KEY.*it is empty"):
        load(ProxySettings, {"WEIR_UPSTREAM_API_KEY": key})


def test_a_bad_key_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        load(ProxySettings, {"WEIR_UPSTREAM_API_KEY": "sk-1 sk-2"})
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEIR_PROXY_LISTEN", "8001"),
        ("WEIR_PROXY_WORKERS", "0"),
        ("WEIR_PROXY_ID", "a/b"),
        ("WEIR_PROXY_ID", ""),
        ("WEIR_UPSTREAM_URL", "http://"),
        ("WEIR_PROXY_MAX_BODY", "lots"),
        ("WEIR_PROXY_MAX_IN_FLIGHT", "0"),
        ("WEIR_PROXY_DRAIN", "-1s"),
        ("WEIR_OPEN_ENDPOINTS", "files,keys"),
    ],
)
def test_a_bad_setting_is_named_with_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        load(ProxySettings, {name: value})
    assert value in str(caught.value)


def test_defaults_are_safe() -> None:
    settings = load(ProxySettings, {})
    assert settings.listen.is_loopback
    assert settings.admin_listen.is_loopback
    assert (settings.open_endpoints, settings.cors_origins, settings.proxy_protocol) == ((), (), False)
    assert not settings.allow_anonymous
    assert not settings.demo
