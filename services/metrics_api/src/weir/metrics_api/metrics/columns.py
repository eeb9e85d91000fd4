"""A batch of records turned over: for every field the values of all, in the order of the records.

What is done to each value of a field (looking its id up, rounding it, adding it up) is done to the whole
column at once: in loops that run in C, or at least without asking a record for its fields one by one.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import astuple

from weir.events import RequestEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Columns = Mapping[str, Sequence[Any]]

_FIELDS: Final = RequestEvent.__struct_fields__
_ENUMERATIONS: Final = ("outcome", "usage_source")
_value_of = attrgetter("_value_")


def columns_of(events: Iterable[RequestEvent]) -> Columns:
    """The records by field. Members of enumerations are their plain values: hashing a member is a call."""
    columns: dict[str, Sequence[Any]] = dict.fromkeys(_FIELDS, ())
    columns.update(zip(_FIELDS, zip(*map(astuple, events), strict=True), strict=False))
    for name in _ENUMERATIONS:
        columns[name] = [*map(_value_of, columns[name])]
    return columns


def model_filed(columns: Columns) -> Sequence[str | None]:
    """The model as answered, else as requested: an upstream that is down is down for the model asked for."""
    answered = columns["model"]
    if None not in answered:
        return answered
    return [
        asked if model is None else model
        for model, asked in zip(answered, columns["model_requested"], strict=True)
    ]
