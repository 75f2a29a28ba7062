"""Existence: empty, exists, all, count, distinct ... https://hl7.org/fhirpath/N1/#existence"""

from __future__ import annotations

from fhir_server.fhirpath.evaluation import Context, Step, boolean
from fhir_server.fhirpath.functions.registry import Call, function, plain
from fhir_server.fhirpath.nodes import Item, Node
from fhir_server.fhirpath.values import equality_key


@plain("empty")
def empty(items: list[Item]) -> list[Item]:
    """True for no items."""
    return [not items]


@plain("count")
def count(items: list[Item]) -> list[Item]:
    """The number of items."""
    return [len(items)]


@plain("not")
def not_(items: list[Item]) -> list[Item]:
    """The opposite of a boolean; empty of nothing."""
    value = boolean(items)
    return [] if value is None else [not value]


@plain("hasValue")
def has_value(items: list[Item]) -> list[Item]:
    """True for one primitive that has a value, not only extensions. https://hl7.org/fhir/R4/fhirpath.html#functions"""
    if len(items) != 1:
        return [False]
    item = items[0]
    value = item.value if isinstance(item, Node) else item
    return [value is not None and not isinstance(value, dict | list)]


def distinct_items(items: list[Item]) -> list[Item]:
    """The first of each set of equal items."""
    seen = set()
    out = []
    for item in items:
        key = equality_key(item)
        if key not in seen:
            seen.add(key)
            out.append(item)
    return out


@plain("distinct")
def distinct(items: list[Item]) -> list[Item]:
    """The items without those equal to an earlier one."""
    return distinct_items(items)


@plain("isDistinct")
def is_distinct(items: list[Item]) -> list[Item]:
    """True if no two items are equal."""
    return [len({equality_key(item) for item in items}) == len(items)]


@plain("subsetOf", 1)
def subset_of(items: list[Item], other: list[Item]) -> list[Item]:
    """True if every item is in the other collection."""
    return [{equality_key(item) for item in items} <= {equality_key(item) for item in other}]


@plain("supersetOf", 1)
def superset_of(items: list[Item], other: list[Item]) -> list[Item]:
    """True if every item of the other collection is in this one."""
    return subset_of(other, items)


@plain("allTrue")
def all_true(items: list[Item]) -> list[Item]:
    """True if no item is false."""
    return [all(boolean([item]) is True for item in items)]


@plain("anyTrue")
def any_true(items: list[Item]) -> list[Item]:
    """True if an item is true."""
    return [any(boolean([item]) is True for item in items)]


@plain("allFalse")
def all_false(items: list[Item]) -> list[Item]:
    """True if no item is true."""
    return [all(boolean([item]) is False for item in items)]


@plain("anyFalse")
def any_false(items: list[Item]) -> list[Item]:
    """True if an item is false."""
    return [any(boolean([item]) is False for item in items)]


def matching(items: list[Item], criterion: Step, context: Context) -> list[Item]:
    """The items for which the criterion is true; $index is set for each."""
    context.spend(len(items))
    outer = context.index
    out = []
    for index, item in enumerate(items):
        context.index = index
        if boolean(criterion([item], context)) is True:
            out.append(item)
    context.index = outer
    return out


@function("exists", 0, 1, loops=True)
def exists(call: Call) -> Step:
    """True for an item that meets the criterion, or any item without one."""
    source = call.source
    if not call.arguments:
        return lambda focus, context: [bool(source(focus, context))]
    criterion = call.arguments[0]
    return lambda focus, context: [bool(matching(source(focus, context), criterion, context))]


@function("all", 1, loops=True)
def all_(call: Call) -> Step:
    """True if every item meets the criterion."""
    source, criterion = call.source, call.arguments[0]

    def run(focus: list[Item], context: Context) -> list[Item]:
        items = source(focus, context)
        return [len(matching(items, criterion, context)) == len(items)]

    return run
