"""The OpenAPI 3.1 document, made from the description of the endpoints."""

from __future__ import annotations

import json
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from weir.metrics_api.answers.problem import Problem
from weir.metrics_api.rest.description import ENDPOINTS, JSON, SHARED

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaMode

    from weir.metrics_api.rest.description import Endpoint, Parameter

VERSION: Final = "1"
"""Of the API; what is added does not change it."""
_PROBLEM: Final = "application/problem+json"
_REFUSALS: Final = {
    HTTPStatus.BAD_REQUEST: "A parameter is wrong; `detail` names it and says what to write.",
    HTTPStatus.MISDIRECTED_REQUEST: "Asked under a host name that is not expected.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Database or Redis do not answer now, or the question took too long.",
}


class _Schemas(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - of no field
        """A name in other letters is no title."""
        return False


def document() -> dict[str, Any]:
    """The whole document."""
    shapes = {**{endpoint.name: endpoint.answer for endpoint in ENDPOINTS}, Problem.__name__: Problem}
    adapters: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        (name, "serialization", TypeAdapter(shape)) for name, shape in shapes.items()
    ]
    schemas, definitions = TypeAdapter[Any].json_schemas(
        adapters,
        ref_template="#/components/schemas/{model}",
        schema_generator=_Schemas,
    )
    answers = {name: schema for (name, _), schema in schemas.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Weir metrics API",
            "version": VERSION,
            "description": "What went through the proxies. Times are Unix milliseconds unless said "
            "otherwise. What is not known is null, never 0. An unknown parameter is an error.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            endpoint.path: {"get": _operation(endpoint, answers[endpoint.name])} for endpoint in ENDPOINTS
        },
        "components": {
            "parameters": {parameter.name: _parameter(parameter) for parameter in SHARED},
            "schemas": definitions["$defs"],
        },
    }


@cache
def text() -> str:
    """The document as it is written down."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


async def get_openapi(_request: web.Request) -> web.Response:
    """The document."""
    return web.Response(text=text(), content_type=JSON, headers={"Cache-Control": "no-cache"})


def _operation(endpoint: Endpoint, answer: Any) -> dict[str, Any]:
    refusals = dict(_REFUSALS) if endpoint.path.startswith("/api/") else {}
    if endpoint.may_be_missing:
        refusals[HTTPStatus.NOT_FOUND] = "There is none with this id."
    # OpenAPI 3.1 has no word for the messages of a stream; the schema is that of the data of each
    content = answer if endpoint.media == JSON else {"description": "The data of each message.", **answer}
    found: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "responses": {
            "200": {"description": endpoint.summary + ".", "content": {endpoint.media: {"schema": content}}},
            **{
                str(status.value): {
                    "description": text,
                    "content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for status, text in sorted(refusals.items())
            },
        },
    }
    if endpoint.description:
        found["description"] = endpoint.description
    if endpoint.parameters:
        found["parameters"] = [
            {"$ref": f"#/components/parameters/{parameter.name}"}
            if parameter in SHARED
            else _parameter(parameter)
            for parameter in endpoint.parameters
        ]
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
    if parameter.schema.get("type") == "array":
        found |= {"style": "form", "explode": False}
    return found
