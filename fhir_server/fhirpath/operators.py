"""Infix operators as compiled steps: three-valued logic, comparison, arithmetic, sets. https://hl7.org/fhirpath/N1/#operations"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath.errors import EvaluationError
from fhir_server.fhirpath.evaluation import MAX_BITS, MAX_TEXT, Context, Step, boolean, single, wrap
from fhir_server.fhirpath.functions.existence import distinct_items
from fhir_server.fhirpath.nodes import Item
from fhir_server.fhirpath.quantity import Quantity
from fhir_server.fhirpath.temporal import Temporal, add_time
from fhir_server.fhirpath.values import compare, equal, equality_key, equivalent, kind_of, system

Number = int | Decimal


def equals(left: list[Item], right: list[Item]) -> bool | None:
    """``=`` of two collections: None where one is empty or precision leaves it open."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    answer: bool | None = True
    for a, b in zip(left, right, strict=True):
        same = equal(a, b)
        if same is False:
            return False
        answer = answer and same
    return answer


def is_equivalent(left: list[Item], right: list[Item]) -> bool:
    """``~`` of two collections, in any order."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for item in left:
        at = next((index for index, other in enumerate(rest) if equivalent(item, other)), -1)
        if at < 0:
            return False
        del rest[at]
    return True


def _opposite(value: bool | None) -> bool | None:
    return None if value is None else not value


ORDERS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def ordering(operator: str, left: Step, right: Step, *, undecided: bool | None) -> Step:
    """``<`` and its like. ``undecided`` is the answer for two values that are there but whose order is not known."""
    test = ORDERS[operator]

    def run(focus: list[Item], context: Context) -> list[Item]:
        a, b = system(single(left(focus, context))), system(single(right(focus, context)))
        if a is None or b is None:
            return []
        order = compare(a, b)
        return wrap(undecided) if order is None else [test(order)]

    return run


def _and(left: Step, right: Step) -> Step:
    def run(focus: list[Item], context: Context) -> list[Item]:
        a = boolean(left(focus, context))
        if a is False:
            return [False]
        b = boolean(right(focus, context))
        return [False] if b is False else wrap(True if a and b else None)

    return run


def _or(left: Step, right: Step) -> Step:
    def run(focus: list[Item], context: Context) -> list[Item]:
        a = boolean(left(focus, context))
        if a is True:
            return [True]
        b = boolean(right(focus, context))
        return [True] if b is True else wrap(False if a is False and b is False else None)

    return run


def _xor(left: Step, right: Step) -> Step:
    def run(focus: list[Item], context: Context) -> list[Item]:
        a, b = boolean(left(focus, context)), boolean(right(focus, context))
        return [] if a is None or b is None else [a is not b]

    return run


def _implies(left: Step, right: Step) -> Step:
    def run(focus: list[Item], context: Context) -> list[Item]:
        a = boolean(left(focus, context))
        if a is False:
            return [True]
        b = boolean(right(focus, context))
        return [True] if b is True else wrap(False if a is True and b is False else None)

    return run


def member_of(item: list[Item], collection: list[Item]) -> list[Item]:
    """``in``: empty of nothing, else whether an equal item is there. Raises EvaluationError for several on the left."""
    if not item:
        return []
    key = equality_key(single(item))
    return [any(equality_key(other) == key for other in collection)]


def _concatenate(left: list[Item], right: list[Item]) -> list[Item]:
    a, b = (system(single(side)) for side in (left, right))
    for value in (a, b):
        if value is not None and not isinstance(value, str):
            raise EvaluationError(f"& joins Strings, not a {kind_of(value)}")
    return [_bounded_text((a or "") + (b or ""))]


def _bounded_text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise EvaluationError(f"The text grows beyond {MAX_TEXT} characters")
    return text


def _numeric(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _bounded_number(value: Number) -> list[Item]:
    return [] if isinstance(value, int) and value.bit_length() > MAX_BITS else [value]


def _add(a: Any, b: Any, sign: int) -> list[Item]:
    if isinstance(a, str) and isinstance(b, str) and sign > 0:
        return [_bounded_text(a + b)]
    if _numeric(a) and _numeric(b):
        return _bounded_number(a + sign * b)
    if isinstance(a, Temporal) and isinstance(b, Quantity):
        return wrap(add_time(a, b, sign))
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        return [Quantity(a.value + sign * b.value, a.unit, a.calendar)] if a.unit == b.unit else []
    raise _no_operation("+" if sign > 0 else "-", a, b)


def _no_operation(operator: str, a: Any, b: Any) -> EvaluationError:
    return EvaluationError(f"{kind_of(a)} {operator} {kind_of(b)} is not defined")


def _multiply(a: Any, b: Any) -> list[Item]:
    if _numeric(a) and _numeric(b):
        return _bounded_number(a * b)
    for amount, factor in ((a, b), (b, a)):
        number = factor.value if isinstance(factor, Quantity) and factor.unit == "1" else factor
        if isinstance(amount, Quantity) and _numeric(number):
            return [Quantity(amount.value * number, amount.unit, amount.calendar)]
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        return [Quantity(a.value * b.value, f"{a.unit}.{b.unit}")]
    raise _no_operation("*", a, b)


def _divide(a: Any, b: Any) -> list[Item]:
    if _numeric(a) and _numeric(b):
        return [Decimal(a) / Decimal(b)] if b != 0 else []
    if isinstance(a, Quantity) and _numeric(b):
        return [Quantity(a.value / b, a.unit, a.calendar)] if b != 0 else []
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        if b.value == 0:
            return []
        return [Quantity(a.value / b.value, "1" if a.unit == b.unit else f"{a.unit}/{b.unit}")]
    raise _no_operation("/", a, b)


def _div(a: Any, b: Any) -> list[Item]:
    if not (_numeric(a) and _numeric(b)):
        raise _no_operation("div", a, b)
    if b == 0:
        return []
    return [int(Decimal(a) // Decimal(b))]  # a Decimal is divided towards zero, as wanted; an int is not


def _mod(a: Any, b: Any) -> list[Item]:
    if not (_numeric(a) and _numeric(b)):
        raise _no_operation("mod", a, b)
    if b == 0:
        return []
    rest = Decimal(a) % Decimal(b)
    return [int(rest) if isinstance(a, int) and isinstance(b, int) else rest]


_ARITHMETIC: dict[str, Callable[[Any, Any], list[Item]]] = {
    "+": lambda a, b: _add(a, b, 1),
    "-": lambda a, b: _add(a, b, -1),
    "*": _multiply,
    "/": _divide,
    "div": _div,
    "mod": _mod,
}


def _arithmetic(operator: str, left: Step, right: Step) -> Step:
    apply = _ARITHMETIC[operator]

    def run(focus: list[Item], context: Context) -> list[Item]:
        a, b = system(single(left(focus, context))), system(single(right(focus, context)))
        if a is None or b is None:
            return []
        try:
            return apply(a, b)
        except ArithmeticError:
            return []

    return run


def negate(operand: Step, operator: str) -> Step:
    """``-x`` and ``+x``."""
    sign = -1 if operator == "-" else 1

    def run(focus: list[Item], context: Context) -> list[Item]:
        value = system(single(operand(focus, context)))
        if value is None:
            return []
        if isinstance(value, Quantity):
            return [Quantity(sign * value.value, value.unit, value.calendar)]
        if not _numeric(value):
            raise EvaluationError(f"A number is needed where there is a {kind_of(value)}")
        return [sign * value]

    return run


def _pairwise(run: Callable[[list[Item], list[Item]], list[Item]]) -> Callable[[Step, Step], Step]:
    return lambda left, right: lambda focus, context: run(left(focus, context), right(focus, context))


def _union(left: Step, right: Step) -> Step:
    def run(focus: list[Item], context: Context) -> list[Item]:
        items = left(focus, context) + right(focus, context)
        context.spend(len(items))
        return distinct_items(items) if len(items) > 1 else items

    return run


BUILDERS: dict[str, Callable[[Step, Step], Step]] = {
    "and": _and,
    "or": _or,
    "xor": _xor,
    "implies": _implies,
    "|": _union,
    "=": _pairwise(lambda a, b: wrap(equals(a, b))),
    "!=": _pairwise(lambda a, b: wrap(_opposite(equals(a, b)))),
    "~": _pairwise(lambda a, b: [is_equivalent(a, b)]),
    "!~": _pairwise(lambda a, b: [not is_equivalent(a, b)]),
    "in": _pairwise(member_of),
    "contains": _pairwise(lambda a, b: member_of(b, a)),
    "&": _pairwise(_concatenate),
}
"""Every operator but those of order and arithmetic."""


def build(operator: str, left: Step, right: Step, *, undecided: bool | None = None) -> Step:
    """Compile ``left operator right``; ``undecided`` as for ``ordering``."""
    if operator in ORDERS:
        return ordering(operator, left, right, undecided=undecided)
    if operator in _ARITHMETIC:
        return _arithmetic(operator, left, right)
    return BUILDERS[operator](left, right)
