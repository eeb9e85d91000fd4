"""A Filter as SQL: fixed texts with a parameter for every value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from weir.events import Outcome
from weir.metrics_api.metrics.dimension import PRODUCTION
from weir.metrics_api.storage.port import Filter
from weir.metrics_api.storage.request_row import OUTCOME_CODES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


Clause = tuple[str, list[Any]]

_NAMED: Final = {
    "model": "r.filed_model_id",
    "user": "r.user_id",
    "project": "r.project_id",
    "api_key_id": "r.api_key_id",
    "upstream": "r.upstream_id",
    "provider": "r.provider_id",
    "endpoint": "r.endpoint_id",
}
_DIMENSIONS: Final = (
    "model",
    "variant",
    "project",
    "api_key_id",
    "upstream",
    "provider",
    "endpoint",
    "outcome",
)
_NAME_ID: Final = "(select id from names where name = ?)"
_NO_NAME: Final = -1
_NOT_OK: Final = 300


def rows(wanted: Filter, ids: Mapping[str, int] | None = None) -> Clause:
    """Conditions on completion_requests as `r`, each starting with `and`.

    With `ids` of its names they hold numbers, by which PostgreSQL sees how rare what is looked for is.
    """
    clauses: list[Clause] = []
    for field, column in _NAMED.items():
        names: tuple[str, ...] = getattr(wanted, field)
        if names:
            clauses.append(_named(column, names, ids))
    if wanted.variant:
        matches, values = _named("r.variant_id", wanted.variant, ids)
        unnamed = " or r.variant_id is null" if PRODUCTION in wanted.variant else ""
        clauses.append((f"({matches}{unnamed})", values))
    if wanted.outcome:
        codes = [OUTCOME_CODES[Outcome(outcome)] for outcome in wanted.outcome]
        # what the partial index holds, said so that the planner sees it
        only_failed = " and r.outcome > 0" if 0 not in codes else ""
        clauses.append((_one_of("r.outcome", codes) + only_failed, codes))
    clauses.extend(_status(wanted, "r.status_code"))
    return _joined(clauses)


def names(wanted: Filter) -> list[str]:
    """Every string in conditions on rows that rows hold the id of."""
    return [name for field in (*_NAMED, "variant") for name in getattr(wanted, field)]


def _named(column: str, names: Sequence[str], ids: Mapping[str, int] | None) -> Clause:
    if ids is None:
        return _one_of(column, names, _NAME_ID), list(names)
    return _one_of(column, names), [ids.get(name, _NO_NAME) for name in names]


def needs_a_scan(wanted: Filter) -> bool:
    """Whether no index leads to the rows, so that a rare value would make the database read them all."""
    indexed = (wanted.model, wanted.user, wanted.project, wanted.api_key_id)
    return wanted != Filter() and not any(len(values) == 1 for values in indexed)


def dimensions(wanted: Filter) -> Clause:
    """Conditions on rollup_dimensions as `d`."""
    clauses: list[Clause] = []
    for field in _DIMENSIONS:
        values: tuple[str, ...] = getattr(wanted, field)
        if values:
            clauses.append((_one_of(f"d.{field}", values), list(values)))
    clauses.extend(_status(wanted, "d.status_code"))
    return _joined(clauses)


def of_variant(variant: str | None) -> Clause:
    """A condition on snapshots; none for all variants."""
    return ("", []) if variant is None else ("and variant = ?", [variant])


def _status(wanted: Filter, column: str) -> list[Clause]:
    if not wanted.status_codes and not wanted.status_classes:
        return []
    conditions: list[str] = []
    values: list[int] = []
    if wanted.status_codes:
        conditions.append(_one_of(column, wanted.status_codes))
        values += wanted.status_codes
    for family in wanted.status_classes:
        conditions.append(f"({column} >= ? and {column} < ?)")
        values += (family * 100, family * 100 + 100)
    smallest = min(*wanted.status_codes, *(family * 100 for family in wanted.status_classes), 999)
    only_not_ok = f" and {column} >= {_NOT_OK}" if smallest >= _NOT_OK else ""
    return [(f"({' or '.join(conditions)}){only_not_ok}", list(values))]


def _one_of(column: str, values: Sequence[object], mark: str = "?") -> str:
    if len(values) == 1:
        return f"{column} = {mark}"
    return f"{column} in ({', '.join([mark] * len(values))})"


def _joined(clauses: list[Clause]) -> Clause:
    text = "".join(f"\n  and {condition}" for condition, _ in clauses)
    return text, [value for _, values in clauses for value in values]
