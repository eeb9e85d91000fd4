"""Certificates: what is taken, what is refused and in which words, and that sessions are taken up again."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from tests.support.certificates import Authority, encrypted, self_signed

from weir.proxy.config import load_config
from weir.proxy.providers import PROVIDERS
from weir.proxy.settings import ProxySettings
from weir.proxy.tls import TlsPair, client_context, server_context
from weir.servicekit.settings import SettingsError, load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import Pair

    from weir.proxy.worker_plan import Config


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.sign("server")


def read(config: Path | None = None, **environ: str) -> Config:
    told = {"WEIR_UPSTREAM_URL": "https://one.test", **environ}
    if config is not None:
        told["WEIR_CONFIG"] = str(config)
    return load_config(load(ProxySettings, told), told, frozenset(PROVIDERS))


def test_without_files_it_is_plain_http_and_the_systems_authorities() -> None:
    config = read()
    assert config.tls is None
    assert config.upstreams[0].ca is None


def test_a_pair_is_read_and_never_shown(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    """A chain may have notes between its certificates, and key and certificate may be in one file."""
    both = tmp_path / "both.pem"
    chain = f"leaf:\n{pair.certificate.read_text()}issuer (größer):\n{authority.pair.certificate.read_text()}"
    both.write_text(pair.key.read_text() + chain)
    config = read(WEIR_PROXY_TLS_CERT=str(both), WEIR_PROXY_TLS_KEY=str(both))
    assert config.tls is not None
    assert config.tls.certificate.count(b"BEGIN CERTIFICATE") == 2
    assert b"PRIVATE" not in config.tls.certificate
    assert pair.key.read_text().splitlines()[1] not in repr(config)
    server_context(config.tls)


def test_one_without_the_other_is_refused(pair: Pair) -> None:
    with pytest.raises(SettingsError, match="WEIR_PROXY_TLS_CERT is set and WEIR_PROXY_TLS_KEY is not"):
        read(WEIR_PROXY_TLS_CERT=str(pair.certificate))
    with pytest.raises(SettingsError, match="WEIR_PROXY_TLS_KEY is set and WEIR_PROXY_TLS_CERT is not"):
        read(WEIR_PROXY_TLS_KEY=str(pair.key))


def test_what_cannot_be_used_is_named(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    other, locked, broken = authority.sign("other"), tmp_path / "locked.key", tmp_path / "broken.pem"
    encrypted(pair, locked)
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    large = tmp_path / "large"
    large.write_bytes(b"x" * (1 << 20 | 1))
    none = tmp_path / "none.pem"
    cases = [
        (none, pair.key, rf"WEIR_PROXY_TLS_CERT: {none} cannot be read: No such file"),
        (tmp_path, pair.key, r"WEIR_PROXY_TLS_CERT: .* cannot be read: Is a directory"),
        (large, pair.key, r"WEIR_PROXY_TLS_CERT: .* is too large for PEM"),
        (pair.key, pair.key, r"WEIR_PROXY_TLS_CERT: .* has no certificate in it"),
        (pair.certificate, none, r"WEIR_PROXY_TLS_KEY: .* cannot be read: No such file"),
        (pair.certificate, pair.certificate, r"WEIR_PROXY_TLS_KEY: .* has no private key in it"),
        (pair.certificate, other.key, r"WEIR_PROXY_TLS_KEY: the key is not the certificate's"),
        (pair.certificate, locked, r"WEIR_PROXY_TLS_KEY: the key is encrypted"),
        (broken, pair.key, r"WEIR_PROXY_TLS_KEY: the certificate or the key is damaged"),
    ]
    for certificate, key, words in cases:
        with pytest.raises(SettingsError, match=words):
            read(WEIR_PROXY_TLS_CERT=str(certificate), WEIR_PROXY_TLS_KEY=str(key))


def test_authorities_of_upstreams(authority: Authority, tmp_path: Path) -> None:
    """One for all in the environment, one's own in the file; a relative path is beside the file."""
    own = tmp_path / "own.pem"
    own.write_bytes(self_signed(tmp_path / "self").certificate.read_bytes())
    config = tmp_path / "weir.yaml"
    config.write_text(
        "upstreams: [{name: own, url: 'https://a.test', ca: own.pem},"
        " {name: general, url: 'https://b.test'}, {name: plain, url: 'http://c.test'}]"
    )
    everybody = str(authority.pair.certificate)
    found = {one.name: one.ca for one in read(config, WEIR_UPSTREAM_CA=everybody).upstreams}
    general = authority.pair.certificate.read_text()
    assert found == {"own": own.read_text(), "general": general, "plain": None, "default": general}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{name: a, url: 'http://a.test', ca: own.pem}", "upstream a: ca is for https"),
        ("{name: a, url: 'https://a.test', ca: gone.pem}", r"upstream a: ca: .*gone.pem cannot be read"),
        ("{name: a, url: 'https://a.test', ca: key.pem}", r"upstream a: ca: .*key.pem has no certificate"),
        ("{name: a, url: 'https://a.test', ca: bad.pem}", "upstream a: ca: there is no certificate in it"),
        ("{name: a, url: 'https://a.test', ca: ''}", r"upstreams\.0\.ca: "),
    ],
)
def test_an_authority_that_cannot_be_used_is_named(pair: Pair, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "own.pem").write_bytes(pair.certificate.read_bytes())
    (tmp_path / "key.pem").write_bytes(pair.key.read_bytes())
    (tmp_path / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    config = tmp_path / "weir.yaml"
    config.write_text(f"upstreams: [{text}]")
    with pytest.raises(SettingsError, match=words):
        read(config)


class Meeting:
    """A client's and a server's TLS, without a network between them."""

    def __init__(self, client: ssl.SSLContext, server: ssl.SSLContext, host: str = "localhost") -> None:
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._wires = ((up, ssl.MemoryBIO()), (down, ssl.MemoryBIO()))
        self.client = client.wrap_bio(down, up, server_hostname=host)
        self.server = server.wrap_bio(up, down, server_side=True)

    def shake(self) -> None:
        """The handshake, and a word of the server, which brings the tickets."""
        for _ in range(4):
            for one in (self.client, self.server):
                try:
                    one.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        self.server.write(b"hello")
        assert self.client.read(5) == b"hello"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_by_host(authority: Authority, pair: Pair, version: ssl.TLSVersion) -> None:
    server = pair.server()
    server.minimum_version = server.maximum_version = version
    client = client_context(authority.pair.certificate.read_text())
    for host, resumed in [
        ("localhost", False),
        ("localhost", True),
        ("127.0.0.1", False),
        ("localhost", True),
    ]:
        meeting = Meeting(client, server, host)
        meeting.shake()
        assert (meeting.client.session_reused, meeting.server.session_reused) == (resumed, resumed)


def test_a_handshake_that_failed_leaves_no_session(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    """Else a server that could not prove itself would be believed the next time."""
    client, false = client_context(authority.pair.certificate.read_text()), self_signed(tmp_path).server()
    for _ in range(2):
        with pytest.raises(ssl.SSLCertVerificationError):
            Meeting(client, false).shake()
    meeting = Meeting(client, pair.server())
    meeting.shake()
    assert not meeting.client.session_reused


def test_an_upstreams_own_certificate_can_be_all_that_is_trusted(tmp_path: Path) -> None:
    own = self_signed(tmp_path)
    client = client_context(own.certificate.read_text())
    Meeting(client, own.server()).shake()


def test_what_clients_are_met_with(pair: Pair) -> None:
    context = server_context(TlsPair(pair.certificate.read_bytes(), pair.key.read_bytes()))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.verify_mode == ssl.CERT_NONE
