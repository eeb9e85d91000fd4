"""Reading a Filter from query parameters, and testing a live record against it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from weir.events import Outcome
from weir.metrics_api.metrics.dimension import PRODUCTION
from weir.metrics_api.storage.port import Filter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEXTS: Final = ("model", "variant", "user", "project", "api_key_id", "upstream", "provider", "endpoint")
PARAMETERS: Final = (*TEXTS, "outcome", "status")
LONGEST: Final = 1024
MOST_VALUES: Final = 20
_STATUS: Final = re.compile(r"([1-5])([0-9][0-9]|xx)")
_OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)


class InvalidFilterError(ValueError):
    """A filter that cannot be read; the message names the parameter and says what to write."""


def parse_filter(parameters: Mapping[str, str]) -> Filter:
    """The filter in these parameters; names that are not filters are left alone.

    Raises:
        InvalidFilterError: a value cannot be read.
    """
    return make_filter({name: _split(name, parameters[name]) for name in PARAMETERS if name in parameters})


def make_filter(wanted: Mapping[str, Sequence[str]]) -> Filter:
    """The filter of these values, by parameter.

    Raises:
        InvalidFilterError: a value cannot be read.
    """
    lists = {name: _values(name, values) for name, values in wanted.items()}
    if "all" in lists.get("variant", ()):
        del lists["variant"]
    for outcome in lists.get("outcome", ()):
        if outcome not in _OUTCOMES:
            raise InvalidFilterError(f"outcome={outcome!r} is unknown; write one of {', '.join(_OUTCOMES)}")
    codes: list[int] = []
    classes: list[int] = []
    for status in lists.pop("status", ()):
        match = _STATUS.fullmatch(status)
        if match is None:
            raise InvalidFilterError(f"status={status!r} is not a status; write a code such as 404, or 4xx")
        if match[2] == "xx":
            classes.append(int(match[1]))
        else:
            codes.append(int(status))
    return Filter(**lists, status_codes=tuple(codes), status_classes=tuple(classes))


def matches(wanted: Filter, request: Mapping[str, Any]) -> bool:
    """Whether a request (as its document) is what the filter wants; the same answer as the database gives."""
    for name in (*TEXTS, "outcome"):
        values: tuple[str, ...] = getattr(wanted, name)
        if values and _filed(request, name) not in values:
            return False
    if not wanted.status_codes and not wanted.status_classes:
        return True
    code: int | None = request.get("status_code")
    return code is not None and (code in wanted.status_codes or code // 100 in wanted.status_classes)


def _filed(request: Mapping[str, Any], name: str) -> Any:
    """Under which value the request is filed."""
    value = request.get(name)
    if value is None and name == "model":
        return request.get("model_requested")
    if value is None and name == "variant":
        return PRODUCTION
    return value


def _split(name: str, text: str) -> list[str]:
    if len(text) > LONGEST:
        raise InvalidFilterError(f"{name} is longer than {LONGEST} characters; filter by fewer values")
    return text.split(",")


def _values(name: str, given: Sequence[str]) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(value for value in given if value))
    if not values:
        raise InvalidFilterError(f"{name} is empty; give a value, or leave the parameter out")
    if len(values) > MOST_VALUES:
        raise InvalidFilterError(f"{name} has {len(values)} values; at most {MOST_VALUES} are allowed")
    if any(len(value) > LONGEST for value in values):
        raise InvalidFilterError(f"a value of {name} is longer than {LONGEST} characters; no record has such")
    return values
