"""What a query may cost, judged before it is validated: a few bytes can ask for years of work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    Source,
    TokenKind,
)
from graphql.language.lexer import Lexer

if TYPE_CHECKING:
    from graphql import SelectionSetNode

MOST_CHARACTERS: Final = 65_536
MOST_TOKENS: Final = 2_000
MOST_NESTED: Final = 40
"""Brackets of any kind inside one another: more than a query needs, less than the parser can bear."""
DEEPEST: Final = 10
DEEPEST_INTROSPECTION: Final = 20
"""Tools ask for types of types of types; the schema is small."""
MOST_ALIASES: Final = 30
MOST_DIRECTIVES: Final = 50
MOST_FIELDS: Final = 500
MOST_REPEATS: Final = 20
"""Of one field in one place: validation compares each with each."""
MOST_REPORTS: Final = 10
SNAPSHOTS: Final = "snapshots"
MOST_SPREADS: Final = 20
"""Fragments inside one another."""

_OPENING: Final = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
_CLOSING: Final = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})


class TooCostlyError(GraphQLError):
    """The query asks for more than one query may."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} Ask in several queries.", extensions={"code": "query_too_costly"})


def check_text(query: str) -> None:
    """Count tokens and brackets before anything is parsed.

    Raises:
        TooCostlyError: there are too many.
        GraphQLError: it is not GraphQL.
    """
    if len(query) > MOST_CHARACTERS:
        raise TooCostlyError(f"The query is longer than {MOST_CHARACTERS} characters.")
    lexer = Lexer(Source(query))
    tokens = nested = 0
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        tokens += 1
        nested += (token.kind in _OPENING) - (token.kind in _CLOSING)
        if tokens > MOST_TOKENS:
            raise TooCostlyError(f"The query has more than {MOST_TOKENS} tokens.")
        if nested > MOST_NESTED:
            raise TooCostlyError(f"The query nests brackets more than {MOST_NESTED} deep.")


def check_document(document: DocumentNode) -> None:
    """Walk every operation with its fragments spread out, and every fragment that none of them uses.

    Raises:
        TooCostlyError: a limit is exceeded.
    """
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    walk = _Walk(fragments)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            walk.count_directives(len(node.directives))
            walk.count_directives(sum(len(variable.directives) for variable in node.variable_definitions))
            walk.visit(node.selection_set)
    for fragment in fragments.values():
        walk.count_directives(len(fragment.directives))
        if fragment.name.value not in walk.spread:
            walk.visit(fragment.selection_set)  # validation reads it, used or not


class _Walk:
    """Counts over the whole document, and depths on the way."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._fields = self._aliases = self._directives = self._reports = 0
        self._places = Counter[tuple[str, ...]]()
        self.spread: set[str] = set()

    def visit(self, selections: SelectionSetNode, place: _Place | None = None) -> None:
        place = place or _Place()
        for node in selections.selections:
            self.count_directives(len(node.directives))
            if isinstance(node, FieldNode):
                self._field(node, place)
            elif isinstance(node, InlineFragmentNode):
                self.visit(node.selection_set, place.in_fragment())
            elif isinstance(node, FragmentSpreadNode):
                self._spread(node, place)

    def count_directives(self, count: int) -> None:
        self._directives += count
        if self._directives > MOST_DIRECTIVES:
            raise TooCostlyError(f"The query has more than {MOST_DIRECTIVES} directives.")

    def _field(self, node: FieldNode, place: _Place) -> None:
        name = node.name.value
        place = place.in_field(name, node.alias.value if node.alias else name)
        self._places[place.path] += 1
        self._fields += 1
        self._aliases += node.alias is not None
        self._reports += place.depth == 1 and not place.introspection
        self._reports += name == SNAPSHOTS  # asked for each variant
        if self._fields > MOST_FIELDS:
            raise TooCostlyError(f"The query asks for more than {MOST_FIELDS} fields, fragments spread out.")
        if self._aliases > MOST_ALIASES:
            raise TooCostlyError(f"The query has more than {MOST_ALIASES} aliases.")
        if self._places[place.path] > MOST_REPEATS:
            raise TooCostlyError(f"The query asks for one field more than {MOST_REPEATS} times.")
        if self._reports > MOST_REPORTS:
            raise TooCostlyError(f"The query asks for more than {MOST_REPORTS} reports.")
        if node.selection_set is not None:
            self.visit(node.selection_set, place)

    def _spread(self, node: FragmentSpreadNode, place: _Place) -> None:
        place = place.in_fragment()
        fragment = self._fragments.get(node.name.value)
        if fragment is not None:
            self.spread.add(node.name.value)
            self._fields += 1  # so that fragments of fragments without fields end as well
            self.visit(fragment.selection_set, place)


@dataclass(frozen=True, slots=True)
class _Place:
    """How deep a selection is."""

    path: tuple[str, ...] = ()
    spreads: int = 0
    introspection: bool = False

    @property
    def depth(self) -> int:
        return len(self.path)

    def in_field(self, name: str, key: str) -> _Place:
        introspection = self.introspection or name.startswith("__")
        deepest = DEEPEST_INTROSPECTION if introspection else DEEPEST
        if self.depth >= deepest:
            raise TooCostlyError(f"The query is more than {deepest} fields deep.")
        return _Place((*self.path, key), self.spreads, introspection)

    def in_fragment(self) -> _Place:
        if self.spreads >= MOST_SPREADS:
            raise TooCostlyError(f"Fragments are more than {MOST_SPREADS} deep inside one another.")
        return _Place(self.path, self.spreads + 1, self.introspection)
