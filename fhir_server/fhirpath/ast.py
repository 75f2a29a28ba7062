"""The syntax tree of FHIRPath: frozen, comparable, hashable values. https://hl7.org/fhirpath/N1/#formal-specifications

``str(node)`` writes the expression back; parsing what was written gives an equal tree. ``position`` is the offset in
the text where the node's own token stood (0-based); it takes no part in comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

PRECEDENCE: dict[str, int] = {
    **dict.fromkeys(("*", "/", "div", "mod"), 9),
    **dict.fromkeys(("+", "-", "&"), 8),
    **dict.fromkeys(("is", "as"), 7),
    "|": 6,
    **dict.fromkeys(("<=", "<", ">", ">="), 5),
    **dict.fromkeys(("=", "~", "!=", "!~"), 4),
    **dict.fromkeys(("in", "contains"), 3),
    "and": 2,
    **dict.fromkeys(("or", "xor"), 1),
    "implies": 0,
}
"""How tightly each infix operator binds, tightest highest. https://hl7.org/fhirpath/N1/#operator-precedence"""

_UNARY, _POSTFIX = 10, 11
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
RESERVED = frozenset(("and", "div", "false", "implies", "mod", "or", "true", "xor"))
"""Words that name an element only between backticks; ``as``, ``contains``, ``in`` and ``is`` need none."""

CALENDAR_UNITS = frozenset(
    word + plural
    for word in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
)
"""Units of time written without quotes. https://hl7.org/fhirpath/N1/#time-valued-quantities"""

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}


def _quote(text: str) -> str:
    return "'" + "".join(_ESCAPES.get(char, char) for char in text) + "'"


def _name(text: str) -> str:
    if _IDENTIFIER.match(text) and text not in RESERVED:
        return text
    return "`" + "".join("\\`" if char == "`" else _ESCAPES.get(char, char) for char in text) + "`"


def _wrap(node: Node, binding: int) -> str:
    return str(node) if node.binding >= binding else f"({node})"


@dataclass(frozen=True, slots=True)
class Node:
    """Anything in the tree."""

    position: int = field(default=0, compare=False, kw_only=True, repr=False)

    @property
    def binding(self) -> int:
        """How tightly the node's outermost operator binds; says whether brackets are needed around it."""
        return _POSTFIX

    def children(self) -> tuple[Node, ...]:
        """The nodes directly below, in the order of the text."""
        return ()

    def walk(self) -> Iterator[Node]:
        """The node and everything below it, parents first."""
        pending: list[Node] = [self]
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.children()))


@dataclass(frozen=True, slots=True)
class Empty(Node):
    """``{}``, the empty collection."""

    def __str__(self) -> str:
        return "{}"


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A boolean (bool), string (str), integer (int) or decimal (Decimal). https://hl7.org/fhirpath/N1/#literals"""

    value: bool | str | int | Decimal

    def __str__(self) -> str:
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return _quote(self.value) if isinstance(self.value, str) else str(self.value)

    # True == 1 and 1 == Decimal("1.0") in Python, but they are different literals.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and type(self.value) is type(other.value) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash((type(self.value), str(self)))


@dataclass(frozen=True, slots=True)
class DateTimeLiteral(Node):
    """``@2015-02-04``, ``@2015-02-04T14:30Z`` or ``@T14:30``. https://hl7.org/fhirpath/N1/#date

    ``kind`` is date, dateTime or time. ``text`` lacks the @, the T that ends a dateTime without a time, and the T that
    begins a time.
    """

    kind: str
    text: str

    def __str__(self) -> str:
        if self.kind == "time":
            return f"@T{self.text}"
        return f"@{self.text}T" if self.kind == "dateTime" and "T" not in self.text else f"@{self.text}"


@dataclass(frozen=True, slots=True)
class QuantityLiteral(Node):
    """``4.5 'mg'`` or ``4 days``; ``calendar`` says that the unit is a word without quotes."""

    value: Decimal
    unit: str
    calendar: bool = False

    def __str__(self) -> str:
        return f"{self.value} {self.unit if self.calendar else _quote(self.unit)}"


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """``%resource``, ``%context``, ``%`vs-name` ``. https://hl7.org/fhirpath/N1/#environment-variables"""

    name: str

    def __str__(self) -> str:
        return f"%{_name(self.name)}"


@dataclass(frozen=True, slots=True)
class Special(Node):
    """``$this``, ``$index`` or ``$total``; ``name`` is without the dollar sign."""

    name: str

    def __str__(self) -> str:
        return f"${self.name}"


@dataclass(frozen=True, slots=True)
class TypeName(Node):
    """A type specifier such as ``Quantity``, ``FHIR.Patient`` or ``System.String``; ``namespace`` may be ""."""

    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{_name(self.namespace)}.{_name(self.name)}" if self.namespace else _name(self.name)


@dataclass(frozen=True, slots=True)
class Member(Node):
    """An element of ``source``, or of the focus when source is None: the first step of a path.

    A first step may also name a type (``Patient.name``): the tree does not decide which.
    """

    source: Node | None
    name: str

    def children(self) -> tuple[Node, ...]:
        return () if self.source is None else (self.source,)

    def __str__(self) -> str:
        return _name(self.name) if self.source is None else f"{_wrap(self.source, _POSTFIX)}.{_name(self.name)}"


@dataclass(frozen=True, slots=True)
class Function(Node):
    """A function call on ``source``, or on the focus when source is None.

    The argument of ``as``, ``is`` and ``ofType`` is a TypeName.
    """

    source: Node | None
    name: str
    arguments: tuple[Node, ...] = ()

    def children(self) -> tuple[Node, ...]:
        return self.arguments if self.source is None else (self.source, *self.arguments)

    def __str__(self) -> str:
        call = f"{_name(self.name)}({', '.join(map(str, self.arguments))})"
        return call if self.source is None else f"{_wrap(self.source, _POSTFIX)}.{call}"


@dataclass(frozen=True, slots=True)
class Indexer(Node):
    """``source[index]``."""

    source: Node
    index: Node

    def children(self) -> tuple[Node, ...]:
        return (self.source, self.index)

    def __str__(self) -> str:
        return f"{_wrap(self.source, _POSTFIX)}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``-operand`` or ``+operand``."""

    operator: str
    operand: Node

    @property
    def binding(self) -> int:
        return _UNARY

    def children(self) -> tuple[Node, ...]:
        return (self.operand,)

    def __str__(self) -> str:
        return self.operator + _wrap(self.operand, _UNARY)


@dataclass(frozen=True, slots=True)
class Operator(Node):
    """``left operator right``, every operator being left-associative."""

    operator: str
    left: Node
    right: Node

    @property
    def binding(self) -> int:
        return PRECEDENCE[self.operator]

    def children(self) -> tuple[Node, ...]:
        return (self.left, self.right)

    def __str__(self) -> str:
        return f"{_wrap(self.left, self.binding)} {self.operator} {_wrap(self.right, self.binding + 1)}"


@dataclass(frozen=True, slots=True)
class TypeOperation(Node):
    """``operand is Type`` or ``operand as Type``."""

    operator: str
    operand: Node
    type: TypeName

    @property
    def binding(self) -> int:
        return PRECEDENCE[self.operator]

    def children(self) -> tuple[Node, ...]:
        return (self.operand, self.type)

    def __str__(self) -> str:
        return f"{_wrap(self.operand, self.binding)} {self.operator} {self.type}"
