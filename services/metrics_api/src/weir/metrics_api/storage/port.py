"""What the service asks of its database, one Protocol a question. Adapters implement them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

from weir.metrics_api.metrics.fates import NO_FATES, Fates
from weir.metrics_api.metrics.measure import Sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from weir.events import RequestEvent
    from weir.events.accounts import Account
    from weir.events.stream import StreamId
    from weir.metrics_api.metrics.measure import Cell
    from weir.metrics_api.metrics.snapshot import Totals

Level = Literal["5s", "1m", "1h", "1d"]
"""The widths of stored roll-up buckets, finest first. Days are UTC."""
Kept = Literal["requests", "5s", "1m", "1h", "1d"]
"""What is kept for a while: single requests, and each level of roll-ups."""
SECONDS: Final[dict[Level, int]] = {"5s": 5, "1m": 60, "1h": 3600, "1d": 86400}
SnapshotLevel = Literal["5s", "1m"]
MEASURES: Final[tuple[str, ...]] = (*Sums._fields, *Fates._fields)
"""What can be added up."""


class StorageError(Exception):
    """The database cannot do its work now; the message says why. Trying again later may help."""


class QueryTimeoutError(StorageError):
    """A question took longer than it may; nothing is wrong with the database."""


class UnstorableRecordError(Exception):
    """The database refuses a record for what it is; trying again does not help."""


class StorageStartError(Exception):
    """The database cannot be opened. The message says why and what to do."""


class UpkeepError(Exception):
    """A backup or a restore could not be made. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a backup or a restore has made."""

    path: Path
    bytes: int
    requests: int | None
    """Since first use; None when that is not known."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to, but without, `end`: Unix ms."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which requests: of each field one of the values; an empty tuple allows all."""

    model: tuple[str, ...] = ()
    variant: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    outcome: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    api_key_id: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    endpoint: tuple[str, ...] = ()
    status_codes: tuple[int, ...] = ()
    status_classes: tuple[int, ...] = ()
    """4 for 4xx; a request matches when its code is listed or its class is."""


@dataclass(frozen=True, slots=True)
class Page:
    """Requests, newest first, and where the next page goes on (None at the end)."""

    events: Sequence[RequestEvent]
    next_position: int | None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of buckets of one level: seconds since the epoch, from `start` up to `end`."""

    level: Level
    start: int
    end: int
    sign: Literal[1, -1] = 1
    """-1: they are in wider buckets that are asked for, and are to be taken away from them."""

    def taken_away(self) -> Segment:
        """What is added is taken away, and the reverse."""
        return Segment(self.level, self.start, self.end, -1 if self.sign == 1 else 1)


@dataclass(frozen=True, slots=True)
class RollupQuestion:
    """Sum roll-up rows by time slot and dimensions."""

    segments: tuple[Segment, ...]
    filter: Filter = field(default_factory=Filter)
    group_by: tuple[str, ...] = ()
    """Names of dimensions."""
    slot: tuple[float, float] | None = None
    """(origin, width) in seconds: the slot of a bucket is how many widths it starts after the origin."""
    measures: tuple[str, ...] = MEASURES
    """Which of MEASURES to add up; the others come back as 0. None: only groups that have distributions."""
    distributions: tuple[str, ...] = ()
    """Which histograms to merge; the others come back empty."""
    completed_times: bool = False
    """Leave the histograms of requests that did not complete empty, too: most cells are theirs."""


@dataclass(frozen=True, slots=True)
class RowQuestion:
    """Sum the newest rows themselves: slower, for what roll-ups do not know."""

    window: Window
    at_most: int
    filter: Filter = field(default_factory=Filter)
    group_by: tuple[str, ...] = ()
    """Names of dimensions, or `user`."""
    slot: tuple[float, float] | None = None
    measures: tuple[str, ...] = MEASURES
    """As in RollupQuestion, like all that follows."""
    distributions: tuple[str, ...] = ()
    completed_times: bool = False


class RollupAnswer(NamedTuple):
    """One sum. `group` has the values of `group_by`, in its order."""

    slot: int
    group: tuple[str | int | None, ...]
    cell: Cell
    fates: Fates = NO_FATES


class StoredSnapshot(NamedTuple):
    """What is stored of one bucket and variant: `totals` are of this bucket alone."""

    bucket: int
    variant: str
    totals: Totals
    requests: int
    errors: int
    request_bytes: int
    request_bytes_n: int
    response_bytes: int
    response_bytes_n: int
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    status_codes: Mapping[str, int]
    concurrent_requests: int | None
    max_workers: int | None


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Stored snapshots and, of the same moment, the running totals of every variant ever seen."""

    rows: list[StoredSnapshot]
    totals: dict[str, Totals]


MinuteRow = tuple[Any, ...]
"""Of one minute and variant: bucket, variant, the Totals of this minute alone, requests in flight, their
limit, and its Rates as JSON without braces, empty where nothing was counted. Ten thousand of them make an
answer: plain tuples, as the database gives them.
"""


@dataclass(frozen=True, slots=True)
class Minutes:
    """Snapshots of minutes and, of the same moment, the running totals of every variant ever seen."""

    rows: list[MinuteRow]
    """Newest first."""
    after: list[StoredSnapshot]
    """Oldest first, and later than all of `rows`: from the first on whose rates are not known."""
    totals: dict[str, Totals]


@dataclass(frozen=True, slots=True)
class Gauges:
    """What the proxies report of one variant at this moment."""

    concurrent_requests: int
    max_workers: int


@dataclass(frozen=True, slots=True)
class StoredSize:
    """How much the database holds. All of it is cheap to know, however large it is."""

    bytes: int
    """On disk, indexes and whatever is written ahead included."""
    requests: int
    """Since first use, those included that are no longer kept."""
    oldest_request_at: int | None
    """Unix ms; None when there is none."""


@dataclass(frozen=True, slots=True)
class StoredJournal:
    """What was stored of one journal of a proxy; deleted requests still count."""

    proxy_id: str
    journal: str
    """The proxy's boot id, a dash, a number; empty where records do not say."""
    stored: int
    numbered: int
    """Of them, those with a number."""
    last_sequence: int
    """The highest number; more than `numbered` where some in between are not stored."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """What is stored, and the last that every life of a proxy said of itself: all of one moment."""

    journals: list[StoredJournal]
    accounts: list[Account]


class RequestStore(Protocol):
    """Takes records in."""

    async def add(self, events: Sequence[RequestEvent]) -> list[RequestEvent]:
        """Store the records that are not there yet, with their roll-ups, in one transaction; return those.

        Raises:
            StorageError: nothing of it was stored.
            UnstorableRecordError: nothing of it was stored, because of one of the records.
        """
        ...


class RequestQueries(Protocol):
    """Single requests."""

    async def requests(
        self, window: Window, filter_: Filter, *, limit: int, before: int | None = None
    ) -> Page:
        """The newest requests of the window, from the position `before` on."""
        ...

    async def request(self, request_id: str) -> RequestEvent | None: ...

    async def last_request_at(self, filter_: Filter) -> int | None:
        """Start of the newest request, Unix ms, of all time."""
        ...


class RollupQueries(Protocol):
    """Sums: summaries and series."""

    async def rollups(self, question: RollupQuestion) -> list[RollupAnswer]: ...

    async def row_sums(self, question: RowQuestion) -> list[RollupAnswer]:
        """The same of rows. As many requests as `at_most` in all means that there may be more."""
        ...


class SnapshotQueries(Protocol):
    """MetricSnapshots."""

    async def snapshots(self, level: SnapshotLevel, start: int) -> Snapshots:
        """Those of all buckets from `start` (s) on, oldest first, later ones than now included."""
        ...

    async def minutes(self, start: int, variant: str | None) -> Minutes:
        """Those from `start` (s) on, of one variant or of all."""
        ...

    async def sample(self, at: int, gauges: Mapping[str, Gauges]) -> None:
        """Note the gauges of the variants at a moment (seconds since the epoch)."""
        ...


class Retention(Protocol):
    """Deletes what is no longer kept."""

    async def expire(self, level: Level, before: int, *, at_most: int) -> int:
        """Delete buckets that end before a moment (seconds since the epoch), oldest first; how many rows."""
        ...

    async def expire_requests(self, before: int, *, at_most: int) -> int:
        """Delete requests that began before a moment (Unix ms), oldest first; how many rows.

        Their sums stay. What the database can drop as a whole goes at once and is not counted.
        """
        ...

    async def forget_names(self, *, few: int) -> int:
        """Forget strings (users, models …) that no request refers to any more; how many.

        Up to `few` strings are not worth it.
        """
        ...

    async def tidy(self) -> None:
        """The database's own housekeeping."""
        ...


class AccountStore(Protocol):
    """Remembers what the reconciliation needs for ever."""

    async def accounts(self) -> Accounts: ...

    async def keep_accounts(self, accounts: Sequence[Account]) -> None:
        """Keep each in the place of an earlier one of the same life."""
        ...

    async def settled_to(self, stream: str) -> StreamId | None:
        """Up to which entry of a stream everything is stored; None when that was never noted."""
        ...

    async def note_settled(self, stream: str, entry: StreamId) -> None: ...


class Capacity(Protocol):
    """Can say how much it holds."""

    async def size(self) -> StoredSize: ...


class HealthCheckable(Protocol):
    """Can say whether it works."""

    async def check(self) -> None:
        """Return if the database answers.

        Raises:
            StorageError: it does not; the message says why.
        """
        ...


class Store(
    RequestStore,
    RequestQueries,
    RollupQueries,
    SnapshotQueries,
    Retention,
    AccountStore,
    Capacity,
    HealthCheckable,
    Protocol,
):
    """All of it: what an adapter is."""

    @property
    def kind(self) -> str:
        """`sqlite`, …"""
        ...

    async def close(self) -> None: ...
