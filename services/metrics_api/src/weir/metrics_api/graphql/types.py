"""GraphQL types made from the shapes of the answers: one description, two doors."""

from __future__ import annotations

import inspect
from enum import Enum
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, NewType, Union, cast, get_args, get_origin

import strawberry
from graphql import GraphQLError
from pydantic import BaseModel
from strawberry.scalars import JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Long = NewType("Long", int)
_MOST: Final = 2**53


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MOST:
        raise GraphQLError(f"Long cannot be {str(value)[:40]!r}; write a whole number of at most 2^53")
    return value


LONG: Final = strawberry.scalar(
    name="Long",
    description="A whole number that JSON carries exactly: up to 2^53.",
    serialize=int,
    parse_value=_whole,
)


class Types:
    """Makes each type once."""

    def __init__(self) -> None:
        self._objects: dict[type[BaseModel], Any] = {}
        self._enums: dict[type[Enum], Any] = {}

    def object(self, model: type[BaseModel], extra: Mapping[str, Any] | None = None) -> Any:
        """The type of an answer, with the same names. `extra`: more Strawberry fields."""
        if model in self._objects:
            return self._objects[model]
        annotations: dict[str, Any] = {}
        namespace: dict[str, Any] = {"__annotations__": annotations, **(extra or {})}
        for name, info in model.model_fields.items():
            annotations[name] = self._output(info.annotation)
            namespace[name] = strawberry.field(description=info.description, name=info.alias or name)
        made = type(model.__name__, (), namespace)
        self._objects[model] = strawberry.type(made, description=inspect.getdoc(model))
        return self._objects[model]

    def enum(self, cls: type[Enum]) -> Any:
        """An enumeration whose names are its values, as everywhere else in the API."""
        if cls not in self._enums:
            values = [str(member.value) for member in cls]
            self._enums[cls] = enumeration(cls.__name__, values, inspect.getdoc(cls))
        return self._enums[cls]

    def _output(self, annotation: Any) -> Any:
        """What a Python annotation becomes."""
        origin: Any = get_origin(annotation)
        arguments = get_args(annotation)
        if origin in {Union, UnionType}:
            [kind] = [each for each in arguments if each is not type(None)]
            return self._output(kind) | None
        if origin is list:
            return list[self._output(arguments[0])]
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return self.object(annotation)
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return self.enum(annotation)
        plain: dict[Any, Any] = {dict: JSON, Literal: str, int: Long}
        return plain.get(origin or annotation, annotation)


def enumeration(name: str, values: Iterable[str], description: str | None = None) -> Any:
    """An enumeration whose names are its values."""
    members = cast("Any", {value: value for value in values})
    return strawberry.enum(cast("Any", Enum(name, members, type=str)), description=description)
