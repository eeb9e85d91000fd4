"""Query parameters: known ones only, each once, each read strictly."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn

from weir.servicekit.errors import ProblemError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aiohttp import web


def parameters(request: web.Request, known: Collection[str]) -> dict[str, str]:
    """The parameters of a request.

    Raises:
        ProblemError: one is unknown or given twice.
    """
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            refuse(f"{name[:40]!r} is not a parameter of {request.path}; known are {listed}")
        if name in found:
            refuse(f"{name} is given twice; give it once, several values separated by commas")
        found[name] = value
    return found


def whole_number(values: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A number from 1 to `most`.

    Raises:
        ProblemError: it is not one.
    """
    text = values.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        refuse(f"{name}={text[:40]!r} is not a number from 1 to {most}")
    return int(text)


def one_of(values: Mapping[str, str], name: str, allowed: Collection[str]) -> str | None:
    """One of the allowed values, None when it is not given.

    Raises:
        ProblemError: it is another one.
    """
    text = values.get(name)
    if text is not None and text not in allowed:
        refuse(f"{name}={text[:40]!r} is unknown; write one of {', '.join(allowed)}")
    return text


def refuse(detail: str) -> NoReturn:
    raise ProblemError(HTTPStatus.BAD_REQUEST, "invalid_parameter", detail)
