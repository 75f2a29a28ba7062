"""The text of a query as its one operation, within limits that hold before anything is parsed.

https://spec.graphql.org/October2021/#sec-Document. Lexer and parser are graphql-core's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphql import GraphQLSyntaxError
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Lexer,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Source,
    TokenKind,
    parse,
)

from fhir_server.graphql.problems import RequestError
from fhir_server.search.suggest import shown


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one query may ask for.

    ``length`` is in characters, ``nesting`` counts brackets of every kind, ``depth`` levels of fields. ``fields`` are
    those of the query with its fragments written out; ``values`` those of the answer. ``resources`` and ``searches``
    bound what is read for it.
    """

    length: int = 50_000
    tokens: int = 5_000
    nesting: int = 64
    fragments: int = 50
    depth: int = 12
    fields: int = 2_000
    resources: int = 1_000
    searches: int = 50
    values: int = 200_000
    errors: int = 100


DEFAULT_LIMITS = Limits()

_OPENING = frozenset((TokenKind.BRACE_L, TokenKind.PAREN_L, TokenKind.BRACKET_L))
_CLOSING = frozenset((TokenKind.BRACE_R, TokenKind.PAREN_R, TokenKind.BRACKET_R))


@dataclass(frozen=True, slots=True)
class Document:
    """The operation to execute, and the fragments that it may use."""

    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]


def read(text: str, operation_name: str, limits: Limits = DEFAULT_LIMITS) -> Document:
    """Parse a query and choose its operation; ``operation_name`` "" takes the only one.

    Raises RequestError for what is no query, goes beyond a limit, has fragments in a circle, or changes anything.
    """
    document = _parsed(text, limits)
    operations: list[OperationDefinitionNode] = []
    fragments: dict[str, FragmentDefinitionNode] = {}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            operations.append(definition)
        elif isinstance(definition, FragmentDefinitionNode):
            if definition.name.value in fragments:
                raise RequestError(f"There are two fragments {shown(definition.name.value)}.", definition)
            fragments[definition.name.value] = definition
        else:
            raise RequestError("A query holds operations and fragments only.", definition)
    if len(fragments) > limits.fragments:
        raise RequestError(f"The query has more than {limits.fragments} fragments.", code="too-costly")
    operation = _chosen(operations, operation_name)
    _check_depth(operation, fragments, limits)
    return Document(operation, fragments)


def _parsed(text: str, limits: Limits) -> DocumentNode:
    if len(text) > limits.length:
        raise RequestError(f"The query is longer than {limits.length} characters.", code="too-long")
    try:
        source = Source(text)
        # The parser descends by recursion: how deep is known, and bounded, before it starts.
        lexer, tokens, nesting = Lexer(source), 0, 0
        while (kind := lexer.advance().kind) is not TokenKind.EOF:
            tokens += 1
            nesting += (kind in _OPENING) - (kind in _CLOSING)
            if tokens > limits.tokens or nesting > limits.nesting:
                raise RequestError(
                    f"The query has more than {limits.tokens} tokens, or {limits.nesting} brackets in one another.",
                    code="too-costly",
                )
        return parse(source)
    except GraphQLSyntaxError as error:
        place = error.locations[0] if error.locations else None
        where = f" at line {place.line}, column {place.column}" if place else ""
        raise RequestError(f"The query is no GraphQL: {error.message}{where}.", code="structure") from None


def _chosen(operations: list[OperationDefinitionNode], name: str) -> OperationDefinitionNode:
    names = [operation.name.value if operation.name else "" for operation in operations]
    if len(set(names)) < len(names) or ("" in names and len(names) > 1):
        raise RequestError("Each of several operations has a name of its own.")
    if not operations:
        raise RequestError('The query has no operation; write one such as { PatientList(name: "ann") { id } }.')
    if not name and len(operations) > 1:
        raise RequestError("The query has several operations: operationName says which one is wanted.")
    if name and name not in names:
        raise RequestError(f"The query has no operation {shown(name)}.")
    operation = operations[names.index(name) if name else 0]
    if operation.operation is not OperationType.QUERY:
        raise RequestError(
            f"A {operation.operation.value} is not possible here; resources are changed over REST.",
            operation,
            code="not-supported",
        )
    return operation


def _check_depth(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode], limits: Limits
) -> None:
    known: dict[int, int] = {}
    open_fragments: list[str] = []

    def depth(selections: SelectionSetNode) -> int:
        found = known.get(id(selections))
        if found is None:
            found = known[id(selections)] = max((below(node) for node in selections.selections), default=0)
        return found

    def below(node: object) -> int:
        if isinstance(node, FieldNode):
            return 1 + (depth(node.selection_set) if node.selection_set else 0)
        if isinstance(node, InlineFragmentNode):
            return depth(node.selection_set)
        if not isinstance(node, FragmentSpreadNode):
            raise TypeError(type(node).__name__)
        name = node.name.value
        if name in open_fragments:
            raise RequestError(f"The fragment {shown(name)} holds itself.", node)
        fragment = fragments.get(name)
        if fragment is None:
            raise RequestError(f"There is no fragment {shown(name)}.", node)
        open_fragments.append(name)
        found = depth(fragment.selection_set)
        open_fragments.pop()
        return found

    if depth(operation.selection_set) > limits.depth:
        raise RequestError(f"The query is deeper than {limits.depth} levels of fields.", operation, code="too-costly")
