"""The metrics API as a process of its own, and a client for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
from redis import Redis
from tests.support.processes import start, until

from weir.events import encode
from weir.events.stream import DEAD, FIELD, GROUP, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from tests.support.processes import Process

    from weir.events import RequestEvent

DEADLINE_SECONDS = 30.0
IMPATIENT = Path(__file__).with_name("impatient_api.py")


class MetricsApi:
    """Start it, kill it, start it again on the same data; send it records and ask it questions."""

    def __init__(
        self,
        redis_url: str,
        data: Path,
        settings: Mapping[str, str] | None = None,
        *,
        impatient: bool = False,
    ) -> None:
        """`impatient`: it gives up on Redis within a second."""
        self.redis = Redis.from_url(_one_server(redis_url))
        self._program = ["-P", str(IMPATIENT)] if impatient else ["-m", "weir.metrics_api"]
        self.data = data
        self._env = {
            "REDIS_URL": redis_url,
            "WEIR_DATA_DIR": str(data),
            "WEIR_API_LISTEN": "127.0.0.1:0",
            **(settings or {}),
        }
        self.process: Process
        self._client = httpx.Client(trust_env=False, timeout=DEADLINE_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
        if self.process.running():
            assert self.process.stop() == 0, self.process.stderr

    def close(self) -> None:
        """Put away what it is talked to with; the process is left as it is."""
        self._client.close()
        self.redis.close()

    @property
    def url(self) -> str:
        return self.process.url

    def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self.process = start(["python", *self._program], self._env, cwd=self.data)

    def send(self, events: Iterable[RequestEvent]) -> None:
        """As a proxy does."""
        pipe = self.redis.pipeline(transaction=False)
        for event in events:
            pipe.xadd(REQUESTS, {FIELD: encode(event)})
        pipe.execute()

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """Any answer. `from_` stands for the parameter `from`."""
        query = {name.rstrip("_"): value for name, value in parameters.items()}
        return self._client.get(self.url + path, params=query)

    def json(self, path: str, **parameters: Any) -> Any:
        """The body of an answer that must be 200."""
        response = self.get(path, **parameters)
        assert response.status_code == 200, response.text
        return response.json()

    def all_requests(self, **parameters: Any) -> list[dict[str, Any]]:
        """All pages of `/api/requests`, of the last 90 days unless told otherwise."""
        found: list[dict[str, Any]] = []
        query = {"range": "90d", "limit": 200, **parameters}
        while True:
            page = self.json("/api/requests", **query)
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        """Exactly so many requests, as soon as all that was sent is stored and acknowledged."""
        until(lambda: self.settled() and len(self.all_requests()) >= count, f"{count} requests are stored")
        found = self.all_requests()
        assert len(found) == count
        return found

    def settled(self) -> bool:
        """Whether every entry of the stream has been read and acknowledged."""
        if not self.redis.exists(REQUESTS):
            return False
        groups: Any = self.redis.xinfo_groups(REQUESTS)
        newest: Any = self.redis.xrevrange(REQUESTS, count=1)
        return any(
            group["pending"] == 0 and (not newest or group["last-delivered-id"] == newest[0][0])
            for group in groups
            if group["name"] == GROUP.encode()
        )

    def dead_letters(self) -> list[dict[str, bytes]]:
        entries: Any = self.redis.xrange(DEAD)
        return [{name.decode(): value for name, value in fields.items()} for _, fields in entries]

    def listen(self, *, last_event_id: str | None = None, **parameters: Any) -> Listening:
        headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        return Listening(self.url + "/api/events", parameters, headers)


def _one_server(url: str) -> str:
    """Of a Cluster, its first node."""
    return url.replace("redis+cluster:", "redis:").partition(",")[0]


class Listening:
    """One open `/api/events`. Use as a context manager."""

    def __init__(self, url: str, parameters: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self._client = httpx.Client(trust_env=False, timeout=DEADLINE_SECONDS)
        self._request = self._client.build_request("GET", url, params=parameters, headers=headers)
        self.lines: list[str] = []
        self.last_id: str | None = None

    def __enter__(self) -> Self:
        self.response = self._client.send(self._request, stream=True)
        self._lines = self.response.iter_lines()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.response.close()
        self._client.close()

    def messages(self) -> Iterator[dict[str, Any]]:
        """The messages as they come; `last_id` is the id of the newest one."""
        for line in self._lines:
            self.lines.append(line)
            if line.startswith("id: "):
                self.last_id = line.removeprefix("id: ")
            elif line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))

    def next(self, kind: str) -> dict[str, Any]:
        """The next message of this type."""
        for message in self.messages():
            if message["type"] == kind:
                return message
        raise AssertionError(f"the stream ended before a {kind!r} message; it said {self.lines}")

    def requests(self, count: int) -> list[str]:
        """The ids of the next `count` requests."""
        found: list[str] = []
        while len(found) < count:
            found += [row["request_id"] for row in self.next("requests")["data"]]
        return found
