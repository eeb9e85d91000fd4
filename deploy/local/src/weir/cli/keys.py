"""New keys for the proxy's clients. The configuration holds their digests; a key itself is shown once."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

PREFIX: Final = "weir-"
"""So that people and secret scanners know a key when they see it."""
RANDOM_BYTES: Final = 32
_NAME: Final = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A client's name and its key."""

    name: str
    key: str = field(repr=False)

    @classmethod
    def draw(cls, name: str) -> NewKey:
        """A key of 256 random bits.

        Raises:
            ValueError: the proxy would not take such a name.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is not a name; write 1 to 64 letters, digits, dots, dashes and underscores"
            )
        return cls(name, PREFIX + secrets.token_urlsafe(RANDOM_BYTES))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.key.encode()).hexdigest()

    @property
    def yaml(self) -> str:
        """The lines that let the client in; the name in quotes, because 2024 or `on` would not be a text."""
        return f'clients:\n  - name: "{self.name}"\n    sha256: {self.sha256}\n'
