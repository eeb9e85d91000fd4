"""The proxy's folder in the journal: one owner at a time, found again after a crash."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final

from weir.servicekit.run import StartError

if TYPE_CHECKING:
    from pathlib import Path

_MOST_ON_ONE_HOST: Final = 100


class JournalHome:
    """A locked folder `<data dir>/journal/<proxy id>`. The kernel unlocks it when the process dies."""

    def __init__(self, proxy_id: str, directory: Path, lock_fd: int) -> None:
        self.proxy_id = proxy_id
        self.directory = directory
        self._lock_fd = lock_fd

    @classmethod
    def claim(cls, data_dir: Path, wanted_id: str) -> JournalHome:
        """Lock the folder of `wanted_id`, or of `wanted_id-2` and so on where another proxy lives in it.

        Raises:
            StartError: the folder cannot be written.
        """
        for number in range(1, _MOST_ON_ONE_HOST):
            proxy_id = wanted_id if number == 1 else f"{wanted_id}-{number}"
            directory = (data_dir / "journal" / proxy_id).resolve()
            try:
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                lock_fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise StartError(
                    f"the journal folder {directory} cannot be written: {error.strerror};"
                    " mend its permissions or set WEIR_DATA_DIR to another folder"
                ) from None
            try:
                fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock_fd)
                continue
            return cls(proxy_id, directory, lock_fd)
        raise StartError(f"{_MOST_ON_ONE_HOST} proxies already run as {wanted_id}; set WEIR_PROXY_ID")

    def close(self) -> None:
        os.close(self._lock_fd)
