"""The operator's YAML: upstreams and clients; and the files with certificates.

upstreams:
  - name: gpu-1
    url: http://10.0.0.5:8000/v1
    provider: vllm
    models: [llama3.1, "qwen*"]
clients:
  - name: ci
    sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from weir.proxy.tls import (
    PemError,
    TlsPair,
    client_context,
    read_certificates,
    read_private_key,
    server_context,
)
from weir.proxy.upstream import Address, Timeouts, Upstream, read_key
from weir.proxy.worker_plan import Config
from weir.servicekit.passthrough import HOP_BY_HOP
from weir.servicekit.settings import SettingsError, read_secret_file
from weir.servicekit.values import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.proxy.settings import ProxySettings

DEMO: Upstream = Upstream(name="demo", url="", provider="echo", models=("demo",))
ASK_USAGE: Mapping[str, Literal["each", "end", "never"]] = {"vllm": "each", "llamacpp": "never"}
"""What streams are asked for where the operator does not say; llama.cpp tells its counts by itself."""
_OLLAMA_PORT = 11434
_OURS = HOP_BY_HOP | {"host", "content-length", "expect", "accept-encoding", "x-forwarded-for", "traceparent"}

Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]*$", strip_whitespace=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeoutsConfig(_Strict):
    """An upstream's own time limits, in place of the proxy's."""

    connect: Seconds | None = None
    first_byte: Seconds | None = None
    idle: Seconds | None = None
    total: Seconds | None = None


class UpstreamConfig(_Strict):
    """One entry of `upstreams`."""

    name: Name
    url: str
    provider: str = "openai"
    api_key_env: str | None = None
    variant: Literal["production", "canary"] = "production"
    models: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    timeouts: TimeoutsConfig = TimeoutsConfig()
    headers: dict[HeaderName, HeaderValue] = {}
    ca: Annotated[str, StringConstraints(min_length=1)] | None = None
    ask_usage: Literal["each", "end", "never"] | None = None

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        Address.of(url)
        return url

    @field_validator("headers")
    @classmethod
    def _are_not_ours(cls, headers: dict[str, str]) -> dict[str, str]:
        for name in headers:
            if name.lower() in _OURS:
                raise ValueError(f"the header {name} is written by the proxy itself; remove it")
        return headers


class ClientConfig(_Strict):
    """One entry of `clients`: who may come in, by the SHA-256 of the key."""

    name: Name
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ConfigFile(_Strict):
    """The whole file."""

    upstreams: tuple[UpstreamConfig, ...] = ()
    clients: tuple[ClientConfig, ...] = ()


def load_config(settings: ProxySettings, environ: Mapping[str, str], providers: frozenset[str]) -> Config:
    """Upstreams and clients from the YAML file and the environment, certificates from their files.

    Raises:
        SettingsError: a file cannot be read or is wrong, or there is no upstream at all.
    """
    file = _read(settings.config) if settings.config else ConfigFile()
    authority = _authority("WEIR_UPSTREAM_CA", settings.upstream_ca) if settings.upstream_ca else None
    upstreams = [_upstream(entry, environ, providers, settings, authority) for entry in file.upstreams]
    if settings.upstream_url is not None:
        key = settings.upstream_api_key
        upstreams.append(
            Upstream(
                name="default",
                url=settings.upstream_url,
                provider=_guess_provider(settings.upstream_url),
                api_key=key.get_secret_value() if key else None,
                ca=authority if Address.of(settings.upstream_url).tls else None,
            )
        )
    if not upstreams and settings.demo:
        upstreams.append(DEMO)
    if not upstreams:
        raise SettingsError(
            "no upstream is configured; set WEIR_UPSTREAM_URL to your model server, such as"
            " http://127.0.0.1:11434, or WEIR_CONFIG to a file with upstreams, or WEIR_DEMO=1 for a demo"
        )
    _unique(settings.config, "upstream", [upstream.name for upstream in upstreams])
    _unique(settings.config, "client", [client.name for client in file.clients])
    _unique(settings.config, "client key", [client.sha256 for client in file.clients])
    config = Config(
        upstreams=tuple(upstreams),
        clients={client.sha256: client.name for client in file.clients},
        tls=_pair(settings),
    )
    _refuse_open_relay(settings, config)
    return config


def _read(path: Path) -> ConfigFile:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return ConfigFile.model_validate({} if content is None else content)
    except OSError as error:
        raise SettingsError(f"WEIR_CONFIG: {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        where = f" at line {place.line + 1}, column {place.column + 1}" if place else ""
        raise SettingsError(f"WEIR_CONFIG: {path} is not YAML{where}") from None
    except ValidationError as error:
        lines = [
            f"WEIR_CONFIG: {path}: {'.'.join(map(str, detail['loc'])) or 'the file'}: "
            + detail["msg"].removeprefix("Value error, ")
            for detail in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from None


def _upstream(
    entry: UpstreamConfig,
    environ: Mapping[str, str],
    providers: frozenset[str],
    settings: ProxySettings,
    authority: str | None,
) -> Upstream:
    """`authority`: by which upstreams prove themselves that have none of their own."""
    path = settings.config
    if entry.provider not in providers or entry.provider == DEMO.provider:
        known = ", ".join(sorted(providers - {DEMO.provider}))
        raise SettingsError(
            f"WEIR_CONFIG: {path}: upstream {entry.name}: unknown provider"
            f" {entry.provider!r}; write one of {known}"
        )
    key: str | None = None
    if entry.api_key_env is not None:
        text = _secret(entry.api_key_env, environ)
        if not text.strip():
            raise SettingsError(
                f"WEIR_CONFIG: {path}: upstream {entry.name}: {entry.api_key_env} is unset or empty;"
                " set it to the upstream's key or remove api_key_env"
            )
        try:
            key = read_key(text)
        except ValueError as error:
            raise SettingsError(f"{entry.api_key_env}: {error}") from None
    if not Address.of(entry.url).tls:
        authority = None
        if entry.ca is not None:
            raise SettingsError(
                f"WEIR_CONFIG: {path}: upstream {entry.name}: ca is for https; correct its url or remove ca"
            )
    elif entry.ca is not None:
        place = path.parent / entry.ca if path else Path(entry.ca)
        authority = _authority(f"WEIR_CONFIG: {path}: upstream {entry.name}: ca", place)
    return Upstream(
        name=entry.name,
        url=entry.url,
        provider=entry.provider,
        variant=entry.variant,
        api_key=key,
        models=entry.models,
        rename=entry.rename,
        weight=entry.weight,
        timeouts=Timeouts(
            entry.timeouts.connect or settings.connect_timeout,
            entry.timeouts.first_byte or settings.first_byte_timeout,
            entry.timeouts.idle or settings.idle_timeout,
            entry.timeouts.total or settings.total_timeout,
        ),
        ask_usage=entry.ask_usage or ASK_USAGE.get(entry.provider, "end"),
        headers=tuple(entry.headers.items()),
        ca=authority,
    )


def _authority(what: str, path: Path) -> str:
    """The certificates in a file by which upstreams prove themselves."""
    try:
        pem = read_certificates(path).decode()
        client_context(pem)
    except PemError as error:
        raise SettingsError(f"{what}: {error}") from None
    return pem


def _pair(settings: ProxySettings) -> TlsPair | None:
    """What the public port proves itself with; None for plain HTTP."""
    certificate, key = settings.tls_cert, settings.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        has, lacks = ("KEY", "CERT") if certificate is None else ("CERT", "KEY")
        raise SettingsError(
            f"WEIR_PROXY_TLS_{has} is set and WEIR_PROXY_TLS_{lacks} is not; set both for https, or none"
        )
    name = "WEIR_PROXY_TLS_CERT"
    try:
        chain = read_certificates(certificate)
        name = "WEIR_PROXY_TLS_KEY"
        pair = TlsPair(chain, read_private_key(key))
        server_context(pair)
    except PemError as error:
        raise SettingsError(f"{name}: {error}") from None
    return pair


def _secret(name: str, environ: Mapping[str, str]) -> str:
    """The value of a variable, or what is in the file that the same name with `_FILE` names."""
    file_name = f"{name}_FILE"
    if file_name not in environ:
        return environ.get(name, "")
    if name in environ:
        raise SettingsError(f"{name} and {file_name} are both set; remove one of them")
    return read_secret_file(file_name, environ[file_name])


def _refuse_open_relay(settings: ProxySettings, config: Config) -> None:
    """A key of the operator's behind a public port would be everybody's."""
    keyed = [upstream.name for upstream in config.upstreams if upstream.api_key is not None]
    if keyed and not config.clients and not settings.listen.is_loopback and not settings.allow_anonymous:
        raise SettingsError(
            f"anyone who reaches {settings.listen} could use the key of upstream {keyed[0]};"
            " configure clients in WEIR_CONFIG, listen on 127.0.0.1, or set WEIR_ALLOW_ANONYMOUS=1"
            " if that is what you want"
        )


def _unique(path: Path | None, what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"WEIR_CONFIG: {path}: there are two {what}s {name!r}; give each its own")


def _guess_provider(url: str) -> str:
    return "ollama" if Address.of(url).port == _OLLAMA_PORT else "openai"
