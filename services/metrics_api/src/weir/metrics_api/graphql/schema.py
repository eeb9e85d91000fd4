"""The schema, and how one question is answered with it."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any, Final

from graphql import GraphQLError, NoSchemaIntrospectionCustomRule, OperationDefinitionNode, parse
from strawberry import Schema
from strawberry.extensions import AddValidationRules
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from weir.metrics_api.graphql.limits import check_document, check_text
from weir.metrics_api.graphql.query import Query
from weir.metrics_api.graphql.types import LONG, Long
from weir.metrics_api.problems import problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql import DocumentNode
    from strawberry.types import ExecutionContext

    from weir.metrics_api.reports.reports import Reports

logger = logging.getLogger(__name__)

LONGEST_SECONDS: Final = 15.0
"""For a whole query; a single report has its own, shorter limit in the database."""
MOST_ERRORS: Final = 20
_SUGGESTION: Final = re.compile(r"\s*Did you mean .*\?")


class Graph:
    """Answers GraphQL queries."""

    def __init__(
        self, *, introspection: bool = True, suggestions: bool = True, seconds: float = LONGEST_SECONDS
    ) -> None:
        self._schema = _schema(introspection=introspection)
        self._suggestions = suggestions
        self._seconds = seconds
        self.introspection = introspection

    @property
    def sdl(self) -> str:
        """The schema in GraphQL's own language."""
        return self._schema.as_str() + "\n"

    async def answer(
        self, reports: Reports, query: str, variables: Mapping[str, Any] | None, operation: str | None
    ) -> dict[str, Any]:
        """What the specification calls the response: `data`, `errors`, or both."""
        try:
            check_text(query)
            document = parse(query)
            check_document(document)
            _check_choice(document, operation)
            async with asyncio.timeout(self._seconds):
                result = await self._schema.execute(
                    query,
                    variable_values=dict(variables or {}),
                    context_value=reports,
                    operation_name=operation,
                    allowed_operation_types=[OperationType.QUERY],
                )
        except GraphQLError as error:
            return {"errors": self._formatted([error])}
        except TimeoutError:
            text = f"The query took longer than {self._seconds:g} s; ask for less at once."
            return {"errors": [{"message": text, "extensions": {"code": "query_timeout"}}]}
        except (CannotGetOperationTypeError, InvalidOperationTypeError):
            text = "There is no such query; only queries are answered, no mutations and no subscriptions."
            return {"errors": [{"message": text, "extensions": {"code": "invalid_query"}}]}
        errors = {"errors": self._formatted(result.errors)} if result.errors else {}
        return errors if result.data is None and errors else {**errors, "data": result.data}

    def _formatted(self, errors: Sequence[GraphQLError]) -> list[dict[str, Any]]:
        return [self._error(error) for error in errors[:MOST_ERRORS]]

    def _error(self, error: GraphQLError) -> dict[str, Any]:
        found: dict[str, Any] = dict(error.formatted)
        if not self._suggestions:
            found["message"] = _SUGGESTION.sub("", error.message)
        cause = error.original_error
        if cause is None or isinstance(cause, GraphQLError):
            return {**found, "extensions": {"code": "invalid_query", **found.get("extensions", {})}}
        problem = problem_of(cause)
        if problem is None:
            logger.error("unforeseen error", exc_info=cause, extra={"path": error.path})
            found["message"], code = "Something unforeseen happened; the log has it.", "internal_error"
        else:
            found["message"], code = problem.detail, problem.code
        return {**found, "extensions": {"code": code}}


class _Schema(Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Says nothing: Strawberry would log each with its trace, the client's mistakes too."""


def _check_choice(document: DocumentNode, operation: str | None) -> None:
    """Strawberry would run the first of several."""
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if operation is None and len(found) > 1:
        raise GraphQLError("There are several operations; say in operationName which one is meant.")


def _schema(*, introspection: bool) -> Schema:
    return _Schema(
        Query,
        config=StrawberryConfig(auto_camel_case=False, default_resolver=_look_up, scalar_map={Long: LONG}),
        extensions=[] if introspection else [lambda: AddValidationRules([NoSchemaIntrospectionCustomRule])],
    )


def _look_up(source: Any, name: str) -> Any:
    """Reports answer with dictionaries; a name that is a word of Python has an underscore after it."""
    return source.get(name.removesuffix("_"))
