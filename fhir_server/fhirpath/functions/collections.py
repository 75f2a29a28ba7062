"""Filtering, subsetting, combining, walking and aggregating collections. https://hl7.org/fhirpath/N1/#filtering-and-projection"""

from __future__ import annotations

from fhir_server.fhirpath import nodes
from fhir_server.fhirpath.errors import EvaluationError, Unsupported
from fhir_server.fhirpath.evaluation import Context, Step, boolean, integer, single, wrap
from fhir_server.fhirpath.functions.existence import distinct_items, matching
from fhir_server.fhirpath.functions.registry import Call, function, plain
from fhir_server.fhirpath.nodes import Item
from fhir_server.fhirpath.values import equality_key


@function("where", 1, loops=True)
def where(call: Call) -> Step:
    """The items that meet the criterion."""
    source, criterion = call.source, call.arguments[0]
    return lambda focus, context: matching(source(focus, context), criterion, context)


def project(items: list[Item], projection: Step, context: Context) -> list[Item]:
    """The results for each item, one after the other."""
    context.spend(len(items))
    outer = context.index
    out: list[Item] = []
    for index, item in enumerate(items):
        context.index = index
        out += projection([item], context)
    context.index = outer
    context.spend(len(out))
    return out


@function("select", 1, loops=True)
def select(call: Call) -> Step:
    """What the projection gives for each item."""
    source, projection = call.source, call.arguments[0]
    return lambda focus, context: project(source(focus, context), projection, context)


@function("repeat", 1, loops=True)
def repeat(call: Call) -> Step:
    """What the projection gives for each item, and for its results in turn, until nothing new appears."""
    source, projection = call.source, call.arguments[0]

    def run(focus: list[Item], context: Context) -> list[Item]:
        pending, seen, out = source(focus, context), set(), []
        while pending:
            found = []
            for item in project(pending, projection, context):
                key = equality_key(item)
                if key not in seen:
                    seen.add(key)
                    found.append(item)
            out += found
            pending = found
        return out

    return run


@function("aggregate", 1, 2, loops=True)
def aggregate(call: Call) -> Step:
    """Fold the items into $total. https://hl7.org/fhirpath/N1/#aggregates"""
    source, step = call.source, call.arguments[0]
    start = call.arguments[1] if len(call.arguments) > 1 else None

    def run(focus: list[Item], context: Context) -> list[Item]:
        items = source(focus, context)
        context.spend(len(items))
        outer = (context.index, context.total)
        total = start(focus, context) if start else []
        for index, item in enumerate(items):
            context.index, context.total = index, total
            total = step([item], context)
            context.spend(len(total))
        context.index, context.total = outer
        return total

    return run


@function("iif", 2, 3, loops=True)
def iif(call: Call) -> Step:
    """The second argument where the first is true, else the third; each sees the input collection as its focus."""
    source, (condition, then, *rest) = call.source, call.arguments

    def run(focus: list[Item], context: Context) -> list[Item]:
        items = source(focus, context)
        if boolean(condition(items, context)) is True:
            return then(items, context)
        return rest[0](items, context) if rest else []

    return run


@function("trace", 1, 2, loops=True)
def trace(call: Call) -> Step:
    """The input: a log of values would be a log of patients, so nothing is written. https://hl7.org/fhirpath/N1/#trace"""
    return call.source


@plain("single")
def single_(items: list[Item]) -> list[Item]:
    """The one item. Raises EvaluationError for several."""
    return wrap(single(items))


@plain("first")
def first(items: list[Item]) -> list[Item]:
    """The first item."""
    return items[:1]


@plain("last")
def last(items: list[Item]) -> list[Item]:
    """The last item."""
    return items[-1:]


@plain("tail")
def tail(items: list[Item]) -> list[Item]:
    """All but the first item."""
    return items[1:]


@plain("skip", 1)
def skip(items: list[Item], number: list[Item]) -> list[Item]:
    """All but the first ``number`` items."""
    return items[max(integer(number) or 0, 0) :]


@plain("take", 1)
def take(items: list[Item], number: list[Item]) -> list[Item]:
    """The first ``number`` items."""
    return items[: max(integer(number) or 0, 0)]


@plain("intersect", 1)
def intersect(items: list[Item], other: list[Item]) -> list[Item]:
    """The distinct items that are in both collections."""
    keys = {equality_key(item) for item in other}
    return distinct_items([item for item in items if equality_key(item) in keys])


@plain("exclude", 1)
def exclude(items: list[Item], other: list[Item]) -> list[Item]:
    """The items that are not in the other collection, duplicates kept."""
    keys = {equality_key(item) for item in other}
    return [item for item in items if equality_key(item) not in keys]


@plain("union", 1)
def union(items: list[Item], other: list[Item]) -> list[Item]:
    """The distinct items of both collections, as the operator | gives them."""
    return distinct_items(items + other)


@function("combine", 1)
def combine(call: Call) -> Step:
    """The items of both collections, duplicates kept."""
    source, other = call.source, call.arguments[0]

    def run(focus: list[Item], context: Context) -> list[Item]:
        out = source(focus, context) + other(focus, context)
        context.spend(len(out))
        return out

    return run


@function("children")
def children(call: Call) -> Step:
    """The elements directly below each item."""
    source = call.source
    return lambda focus, context: [child for item in source(focus, context) for child in nodes.children(item)]


@function("descendants")
def descendants(call: Call) -> Step:
    """Every element below each item."""
    source = call.source

    def run(focus: list[Item], context: Context) -> list[Item]:
        out = []
        for item in nodes.descendants(source(focus, context)):
            out.append(item)
            context.budget -= 1
            if context.budget < 0:
                raise EvaluationError("The expression visits too many elements")
        return out

    return run


@function("type")
def type_(call: Call) -> Step:
    """Reflection is not offered: no expression of R4 uses it."""
    raise Unsupported("type() is not supported; use is, as or ofType()")
