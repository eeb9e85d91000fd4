"""What became of every accepted request."""

from __future__ import annotations

from pydantic import Field

from weir.metrics_api.answers.answer import Answer


class PipelineNumbers(Answer):
    """Requests by where they are. A number that is not known is null."""

    accepted: int | None = Field(description="Requests of which each gets exactly one row.")
    in_flight: int | None = Field(description="Of them, not finished yet.")
    in_journal: int | None = Field(description="Records on a proxy's disk that Redis has not confirmed.")
    in_stream: int | None = Field(description="Records in Redis that are not stored.")
    stored: int | None = Field(description="Rows written, those included that retention has deleted since.")
    dead_lettered: int | None = Field(
        description="Records that cannot be stored and were put aside; replayed ones no more."
    )
    dropped: int | None = Field(
        description="Records that a proxy gave up and counted: its journal was full or damaged."
    )
    unaccounted: int | None = Field(
        description="Requests of which nobody knows where they are. 0, or something is broken."
    )


class PipelineLife(PipelineNumbers):
    """One life of one proxy, from start to end. The proxy's own numbers are as of its last report."""

    proxy_id: str
    boot_id: str
    alive: bool = Field(description="Whether it reported itself in the last 15 s.")
    closed: bool = Field(description="It has ended, and nothing of it is under way any more.")
    reported_at: int = Field(description="When it last gave these numbers, Unix ms by the proxy's clock.")
    crashed: int = Field(description="Requests that were in flight in a process that died: each has a row.")
    in_journal_bytes: int | None
    unknown: dict[str, str] = Field(description="Why a number is null, by its name.")


class Pipeline(Answer):
    """Where every accepted request is, and how far reading is behind."""

    now: int = Field(description="Unix ms.")
    total: PipelineNumbers = Field(description="Over all lives of all proxies, since accounts are kept.")
    lag_entries: int | None = Field(description="Entries in Redis that are not stored.")
    lag_seconds: float | None = Field(description="Age of the oldest of them; 0 when there is none.")
    dead_letters: int | None = Field(description="Dead letters that wait to be replayed or dropped.")
    proxies: list[PipelineLife] | None = Field(
        description="Proxies that live, those that ended with something under way or unaccounted, and the "
        "newest others; by name, newest life first."
    )
    not_listed: int = Field(description="Lives that have ended well and are only in the total.")
    unknown: dict[str, str] = Field(description="Why a number of the total, or a list, is null, by its name.")
