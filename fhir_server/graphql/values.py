"""Values written in a query, and variables. https://spec.graphql.org/October2021/#sec-Values"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from graphql.language import (
    BooleanValueNode,
    DirectiveNode,
    EnumValueNode,
    FloatValueNode,
    IntValueNode,
    ListTypeNode,
    ListValueNode,
    NamedTypeNode,
    NonNullTypeNode,
    NullValueNode,
    OperationDefinitionNode,
    StringValueNode,
    TypeNode,
    ValueNode,
    VariableNode,
)

from fhir_server.graphql.problems import RequestError
from fhir_server.search.suggest import shown

Value = str | int | bool | Decimal | None | list[Any]
"""A value in Python; an enum value is its name."""

_SCALARS: dict[str, tuple[type, ...]] = {"Int": (int,), "Float": (int, Decimal), "Boolean": (bool,), "String": (str,)}
_MOST_DIGITS = 40


class Variables:
    """The variables of one operation, with the values that were sent for them or else their defaults.

    Raises RequestError for one that is needed and not given, or is given with a value of another type.
    """

    def __init__(self, operation: OperationDefinitionNode, given: Mapping[str, Any]) -> None:
        self._values: dict[str, Value] = {}
        for definition in operation.variable_definitions or ():
            name = definition.variable.name.value
            if name in self._values:
                raise RequestError(f"The variable {shown('$' + name)} is declared twice.", definition)
            if name in given:
                self._values[name] = _checked(name, definition.type, given[name], definition)
            elif definition.default_value is not None:
                self._values[name] = self.value(definition.default_value)
            elif isinstance(definition.type, NonNullTypeNode):
                raise RequestError(f"The variable {shown('$' + name)} needs a value.", definition, code="required")
            else:
                self._values[name] = None

    def value(self, node: ValueNode) -> Value:
        """The value that a node of the query stands for. Raises RequestError for an unknown variable or an object."""
        match node:
            case VariableNode():
                name = node.name.value
                if name not in self._values:
                    raise RequestError(f"The variable {shown('$' + name)} is not declared.", node)
                return self._values[name]
            case StringValueNode() | EnumValueNode() | BooleanValueNode():
                return node.value
            case IntValueNode() | FloatValueNode():
                if len(node.value) > _MOST_DIGITS:
                    raise RequestError("A number is longer than any that FHIR knows.", node)
                return int(node.value) if isinstance(node, IntValueNode) else Decimal(node.value)
            case NullValueNode():
                return None
            case ListValueNode():
                return [self.value(item) for item in node.values]
        raise RequestError("No argument here takes an object.", node)

    def holds(self, directives: tuple[DirectiveNode, ...]) -> bool:
        """Whether @skip and @include leave what they stand at.
        https://spec.graphql.org/October2021/#sec-Type-System.Directives"""
        for directive in directives:
            if directive.name.value in ("skip", "include"):
                wanted = self.arguments(directive).get("if")
                if not isinstance(wanted, bool):
                    raise RequestError(f"@{directive.name.value} needs the argument if, true or false.", directive)
                if wanted == (directive.name.value == "skip"):
                    return False
        return True

    def arguments(self, node: Any) -> dict[str, Value]:
        """The arguments of a field or directive by name; those that are null are as if not written."""
        found: dict[str, Value] = {}
        for argument in node.arguments or ():
            name = argument.name.value
            if name in found:
                raise RequestError(f"The argument {shown(name)} is given twice.", argument)
            found[name] = self.value(argument.value)
        return {name: value for name, value in found.items() if value is not None}


def _checked(name: str, kind: TypeNode, value: Any, definition: Any) -> Value:
    if isinstance(kind, NonNullTypeNode):
        if value is None:
            raise RequestError(f"The variable {shown('$' + name)} must not be null.", definition)
        kind = kind.type
    if value is None:
        return None
    if isinstance(kind, ListTypeNode):
        items = value if isinstance(value, list) else [value]
        return [_checked(name, kind.type, item, definition) for item in items]
    if not isinstance(kind, NamedTypeNode):
        raise TypeError(type(kind).__name__)
    # FHIR's own scalars (code, token, date ...) and ID are written as strings or numbers.
    allowed = _SCALARS.get(kind.name.value, (str, int, bool, Decimal))
    fits = isinstance(value, allowed) and (not isinstance(value, bool) or bool in allowed)
    if not fits:
        raise RequestError(f"The variable {shown('$' + name)} must be of type {kind.name.value}.", definition)
    found: Value = value
    return found


def text(value: Value) -> str:
    """A value as it stands in a search, or as the text of a primitive."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
