"""Request heads that were parsed before: clients repeat theirs byte for byte, but for the body's length.

A head that is found here was parsed, passed every check and was accepted when it came
first. The same bytes mean the same again: only the digits of Content-Length may differ, which are checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weir.proxy.exchange import RequestHead

_MOST: Final = 256
_LONGEST: Final = 4 << 10
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"ength: "
_NAME: Final = b"content-length"
_MOST_DIGITS: Final = 18


class KnownHeads:
    """A bounded number of heads. When there are too many, all are forgotten and learned again."""

    def __init__(self) -> None:
        self._heads: dict[bytes, RequestHead] = {}

    def __repr__(self) -> str:
        return f"<KnownHeads {len(self._heads)}>"

    def find(self, data: bytes) -> tuple[RequestHead, int] | None:
        """The head with which `data` begins and where it ends; None if it is not whole or not known."""
        end = data.find(_END, 0, _LONGEST)
        if end < 0:
            return None
        at = data.find(_LENGTH, 0, end) + len(_LENGTH)
        if at < len(_LENGTH):
            head = self._heads.get(data[:end])
            if head is None:
                return None
            head.memory.came_again = True
            return head, end + len(_END)
        stop = data.find(b"\r\n", at)
        head = self._heads.get(data[:at] + data[stop:end])
        digits = data[at:stop]
        if head is None or not digits.isdigit() or len(digits) > _MOST_DIGITS:
            return None
        head.memory.came_again = True
        return head.with_length(int(digits)), end + len(_END)

    def learn(self, data: bytes, head: RequestHead) -> None:
        """Remember the head with which `data` begins, if it is one of the plain kind."""
        end = data.find(_END, 0, _LONGEST)
        line = b"%b %b%b HTTP/1.1\r\n" % (head.method, head.path, head.query)
        if end < 0 or not data.startswith(line) or data.count(b"\r\n", 0, end) != len(head.headers):
            return
        if head.chunked or b"upgrade" in head.fields or b"expect" in head.fields:
            return
        at = data.find(_LENGTH, 0, end) + len(_LENGTH)
        if at < len(_LENGTH):
            if head.content_length is None:
                self._keep(data[:end], head)
            return
        stop = data.find(b"\r\n", at)
        name = data[data.rfind(b"\n", 0, at) + 1 : at - 2]
        if name.lower() == _NAME and data[at:stop] == head.fields[_NAME]:
            self._keep(data[:at] + data[stop:end], head)

    def forget(self) -> None:
        """What was worked out from them is no longer true."""
        self._heads.clear()

    def _keep(self, key: bytes, head: RequestHead) -> None:
        if len(self._heads) >= _MOST:
            self._heads.clear()
        self._heads[key] = head
