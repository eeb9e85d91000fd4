"""Who may come in: known by the hash of the key, wherever the client puts it."""

from __future__ import annotations

import hashlib

import pytest
from tests.support.transport import headers

from weir.proxy.access.keys import Keys
from weir.proxy.errors import ProxyError
from weir.proxy.wire.framing import read_request_head

CLIENTS = {hashlib.sha256(key).hexdigest(): name for key, name in ((b"sk-a", "ada"), (b"sk-\xff", "bob"))}


def identify(keys: Keys, *lines: str) -> str | None:
    return keys.identify(read_request_head(b"POST", b"/", "1.1", headers("Host: x", *lines)))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Authorization: Bearer sk-a", "ada"),
        ("authorization: bearer  sk-a ", "ada"),
        ("Authorization: Bearer sk-\xff", "bob"),
        ("x-api-key: sk-a", "ada"),
    ],
)
def test_a_known_key_has_a_name(line: str, name: str) -> None:
    assert identify(Keys(CLIENTS), line) == name


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Authorization: Bearer ",),
        ("Authorization: Bearer",),
        ("Authorization: Basic sk-a",),
        ("Authorization: sk-a",),
        ("Authorization: Bearer SK-A",),
        ("Authorization: Bearer sk-a x",),
        (f"Authorization: Bearer {next(iter(CLIENTS))}",),
        ("Authorization: Bearer wrong", "x-api-key: sk-a"),
    ],
)
def test_any_other_is_turned_away_and_not_repeated(lines: tuple[str, ...]) -> None:
    with pytest.raises(ProxyError) as caught:
        identify(Keys(CLIENTS), *lines)
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert "sk-a" not in caught.value.message
    assert "wrong" not in caught.value.message


def test_without_clients_everybody_comes_in_without_a_name() -> None:
    keys = Keys({})
    assert not keys.are_required
    assert identify(keys, "Authorization: Bearer anything") is None
    assert identify(keys) is None
    assert Keys(CLIENTS).are_required
