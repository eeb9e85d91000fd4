"""How many questions a store takes at a time: more than it can work on would only wait, and fill memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from weir.metrics_api.storage.port import StorageError

if TYPE_CHECKING:
    from collections.abc import Generator

MOST_QUESTIONS: Final = 128
"""Those being answered and those that wait."""


class TooManyQuestionsError(StorageError):
    """All places are taken; a little later there will be one."""


class Places:
    """Where questions wait."""

    def __init__(self, most: int = MOST_QUESTIONS) -> None:
        self._most = most
        self._taken = 0

    @contextmanager
    def taken(self) -> Generator[None]:
        """Take a place for the time of a question.

        Raises:
            TooManyQuestionsError: there is none.
        """
        if self._taken >= self._most:
            raise TooManyQuestionsError(f"{self._most} questions are waiting already")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
