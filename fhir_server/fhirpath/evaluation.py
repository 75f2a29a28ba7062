"""What every compiled step shares: the context, and how collections become single values. https://hl7.org/fhirpath/N1/"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath.errors import EvaluationError
from fhir_server.fhirpath.nodes import Item, Node
from fhir_server.fhirpath.values import kind_of, system

TRUSTED_BUDGET = 1 << 60
UNTRUSTED_BUDGET = 500_000
"""Items that an expression sent by a client may look at, so that nested loops end."""

MAX_TEXT = 1_000_000
MAX_BITS = 4_096


class Context:
    """The state of one evaluation: the environment variables, and the loop that is running."""

    __slots__ = ("budget", "context", "index", "memo", "now", "resource", "root", "total")

    def __init__(self, context: Node, resource: Node, root: Node, memo: dict[Any, Any], budget: int) -> None:
        self.context = context
        self.resource = resource
        self.root = root
        self.memo = memo
        self.budget = budget
        self.index = 0
        self.total: list[Item] = []
        self.now: datetime | None = None

    def spend(self, count: int) -> None:
        """Count work against the budget. Raises EvaluationError once it is used up."""
        self.budget -= count
        if self.budget < 0:
            raise EvaluationError("The expression visits too many elements")

    def clock(self) -> datetime:
        """The same instant however often an evaluation asks. https://hl7.org/fhirpath/N1/#current-date-and-time-functions"""
        if self.now is None:
            self.now = datetime.now().astimezone()
        return self.now


Step = Callable[[list[Item], Context], list[Item]]
"""A compiled expression: from the focus ($this, as a collection) to its result."""


def single(items: list[Item]) -> Item:
    """The one item, None for an empty collection. Raises EvaluationError for several."""
    if len(items) > 1:
        raise EvaluationError(f"One item is needed where there are {len(items)}")
    return items[0] if items else None


def boolean(items: list[Item]) -> bool | None:
    """Singleton evaluation as a boolean: an item that is no boolean counts as true.

    https://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections
    """
    if not items:
        return None
    value = single(items)
    if isinstance(value, Node):
        value = value.value
        if value is None:
            return None
    return value if isinstance(value, bool) else True


def _typed(items: list[Item], wanted: type | tuple[type, ...], name: str) -> Any:
    item = single(items)
    if item is None:
        return None
    value = item.value if isinstance(item, Node) else item
    if value is None:
        return None
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise EvaluationError(f"A {name} is needed where there is a {kind_of(system(item))}")
    return value


def string(items: list[Item]) -> str | None:
    """The one string, None for none. Raises EvaluationError for anything else."""
    value: str | None = _typed(items, str, "String")
    return value


def integer(items: list[Item]) -> int | None:
    """The one integer, None for none. Raises EvaluationError for anything else."""
    value: int | None = _typed(items, int, "Integer")
    return value


def number(items: list[Item]) -> int | Decimal | None:
    """The one integer or decimal, None for none. Raises EvaluationError for anything else."""
    value: int | Decimal | None = _typed(items, (int, Decimal), "number")
    return value


def wrap(value: Any) -> list[Item]:
    """A value as a collection; None as the empty one."""
    return [] if value is None else [value]
