"""What was recorded of each version of the record and of the heartbeat is understood by this one.

`recorded/N-*.json` are the bytes as proxies of schema version N wrote them; they are added to and
never changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from weir.events import Outcome, RequestEvent, UsageSource, decode, encode
from weir.events.heartbeat import from_hash
from weir.events.request_event import SCHEMA_VERSION
from weir.metrics_api.ingest.acceptance import UnacceptableEntryError, accept
from weir.metrics_api.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDED = Path(__file__).parent / "recorded"
READABLE = ["1-full", "1-bare", "1-newer"]


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.json").read_bytes().rstrip()


def told(name: str) -> dict[str, Any]:
    return msgspec.json.decode(recorded(name))


def test_each_version_that_was_ever_written_is_recorded() -> None:
    versions = {int(file.name.partition("-")[0]) for file in RECORDED.glob("[0-9]*-*.json")}
    assert versions >= set(range(1, SCHEMA_VERSION + 1)), "record what this version writes"


@pytest.mark.parametrize("name", READABLE)
async def test_what_was_told_is_stored_what_was_not_is_unknown(name: str, tmp_path: Path) -> None:
    event = accept(recorded(name))
    store = SqliteStore.open(tmp_path / "weir.db")
    assert await store.add([event]) == [event]
    stored = await store.request(event.request_id)
    await store.close()
    assert stored is not None
    values: Mapping[str, Any] = msgspec.to_builtins(stored)
    fields = RequestEvent.__struct_fields__
    for field, value in told(name).items():
        if field == "attempts":
            known = {"upstream", "status", "ms", "error"}
            assert values[field] == [{k: v for k, v in each.items() if k in known} for each in value]
        elif field in fields and field != "schema_version":
            assert values[field] == value, field
    silent = {field for field in fields if field not in told(name)}
    assert silent & {"journal", "sequence"} == {"journal", "sequence"}, "an older proxy has no such numbers"
    defaults = {"tenant": "default", "retries": 0, "usage_source": UsageSource.MISSING, "schema_version": 1}
    for field in silent:
        assert getattr(stored, field) == defaults.get(field), field


def test_a_newer_proxy_of_the_same_version_adds_what_is_skipped() -> None:
    assert {"novelty", "cost_usd", "region"} <= set(told("1-newer"))
    again = msgspec.json.decode(encode(decode(recorded("1-newer"))))
    assert "novelty" not in again
    assert again["outcome"] == Outcome.UPSTREAM_ERROR


def test_a_version_that_is_not_known_is_put_aside_with_what_to_do() -> None:
    """Also where its fields would fail one by one: the version is the reason that helps."""
    with pytest.raises(UnacceptableEntryError, match=r"schema_version 2 is unknown.*upgrade the metrics API"):
        accept(recorded("2-unknown"))
    for version in (0, -1, SCHEMA_VERSION + 1):
        document = {**told("1-bare"), "schema_version": version}
        with pytest.raises(UnacceptableEntryError, match=f"schema_version {version} is unknown"):
            accept(msgspec.json.encode(document))


def test_a_record_that_tells_no_version_is_of_the_first() -> None:
    """It must never come to mean the version of whoever reads it."""
    assert "schema_version" not in told("1-full")
    assert decode(recorded("1-full")).schema_version == 1


@pytest.mark.parametrize("name", ["heartbeat-first", "heartbeat-newer"])
def test_heartbeats_of_older_and_newer_proxies_are_understood(name: str) -> None:
    fields = {field.encode(): msgspec.json.encode(value) for field, value in told(name).items()}
    beat = from_hash(fields)
    assert (beat.proxy_id, beat.accepted, beat.variants["production"].in_flight) == ("p-1", 10, 3)
    assert beat.in_journal == 0
