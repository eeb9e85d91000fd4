"""The accounts in a journal folder: what became of the records of writers of which nothing else is left.

`<boot id>.account` holds the sums of a life's finished writers. It is replaced as a whole, and a writer that
is in it counts once however often it is put there, so a crash between that and the removal of the writer's
own files changes nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec

from weir.events.journal_marks import marks_path

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

ACCOUNT_SUFFIX: Final = ".account"


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """As in weir.events.accounts.Account."""

    accepted: int = 0
    journaled: int = 0
    crashed: int = 0
    acknowledged: int = 0
    dropped: int = 0
    in_flight: int = 0
    in_journal: int = 0
    in_journal_bytes: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class _Page(msgspec.Struct, kw_only=True):
    """One life of a proxy."""

    sums: Tally = Tally()
    """Of writers whose files are gone for good."""
    writers: dict[str, Tally] = {}
    """Of writers whose files may still be there."""


class Ledger:
    """All accounts of one folder."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pages: dict[str, _Page] = {}
        for path in sorted(directory.glob(f"*{ACCOUNT_SUFFIX}")):
            try:
                self._pages[path.stem] = msgspec.json.decode(path.read_bytes(), type=_Page)
            except msgspec.DecodeError:
                logger.error("a damaged account is left alone", extra={"file": path.name})  # noqa: TRY400 - says it all

    @property
    def boots(self) -> list[str]:
        return list(self._pages)

    def tally(self, boot_id: str) -> Tally:
        """The sums of a life's finished writers."""
        page = self._pages.get(boot_id, _Page())
        return sum(page.writers.values(), page.sums)

    def has(self, writer: str) -> bool:
        """Whether a writer is in its life's sums already."""
        page = self._pages.get(boot_of(writer))
        return page is not None and writer in page.writers

    def settle(self, writer: str, tally: Tally) -> None:
        """Put a finished writer into its life's sums. Its files are removed after that, not before.

        Raises:
            OSError: it cannot be written; nothing has changed.
        """
        boot_id = boot_of(writer)
        old = self._pages.get(boot_id, _Page())
        gone = [name for name in old.writers if not marks_path(self._directory, name).exists()]
        page = _Page(
            sums=sum((old.writers[name] for name in gone), old.sums),
            writers={name: one for name, one in old.writers.items() if name not in gone} | {writer: tally},
        )
        path = self._path(boot_id)
        fresh = path.with_suffix(".account-new")
        fresh.write_bytes(msgspec.json.encode(page))
        fresh.replace(path)
        self._pages[boot_id] = page

    def remove(self, boot_id: str) -> None:
        """The account has been published and needs no keeping any more."""
        self._pages.pop(boot_id, None)
        self._path(boot_id).unlink(missing_ok=True)

    def _path(self, boot_id: str) -> Path:
        return self._directory / f"{boot_id}{ACCOUNT_SUFFIX}"


def boot_of(writer: str) -> str:
    """The life of the proxy to which a writer belongs."""
    return writer.rpartition("-")[0]
