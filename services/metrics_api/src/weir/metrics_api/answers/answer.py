"""What all answers have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


def _open(schema: dict[str, Any]) -> None:
    """What is published stays open: later versions may add fields."""
    schema.pop("additionalProperties", None)


class Answer(BaseModel):
    """Every field is always there; what is not known is null."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True, json_schema_extra=_open
    )
