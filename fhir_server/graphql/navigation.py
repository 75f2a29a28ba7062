"""Choosing among the values of a list, and naming them by what they are. https://hl7.org/fhir/R4/graphql.html#list"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fhir_server.fhirpath.compiler import compile_tree
from fhir_server.fhirpath.evaluation import Context, Step
from fhir_server.fhirpath.nodes import Node, root
from fhir_server.fhirpath.parser import parse_once
from fhir_server.graphql.plan import FieldPlan
from fhir_server.graphql.problems import FieldError
from fhir_server.graphql.values import text

_LONGEST_EXPRESSION = 1_000


@dataclass(slots=True)
class Budget:
    """How many items all expressions of one query may still look at."""

    left: int = 1_000_000


def chosen(plan: FieldPlan, items: list[Any], type_name: str, resource: dict[str, Any], budget: Budget) -> list[Any]:
    """The items that meet the arguments; then ``_offset``, ``_count`` and @first cut the list.

    ``resource`` is what %resource stands for. Raises FieldError for an expression that cannot be evaluated.
    """
    arguments = plan.arguments
    for name, value in arguments.items():
        if name == "fhirpath":
            expression = str(value)
            items = [
                item
                for item in items
                if item is not None and evaluated(plan, expression, item, type_name, resource, budget) == [True]
            ]
        elif name not in ("_offset", "_count"):
            wanted = text(value)
            items = [item for item in items if isinstance(item, dict) and text(item.get(name)) == wanted]
    if plan.field.repeats:
        start, count = arguments.get("_offset"), arguments.get("_count")
        items = items[start if isinstance(start, int) else 0 :]
        if isinstance(count, int):
            items = items[:count]
    return items[:1] if plan.first else items


def slice_name(
    plan: FieldPlan, position: int, item: Any, type_name: str, resource: dict[str, Any], budget: Budget
) -> str:
    """The key of one item of a list under @slice: the field's own, and behind a dot what the expression gives.

    ``$index`` is the item's place in the list, from 0. Raises FieldError.
    """
    if plan.slice == "$index":
        return f"{plan.key}.{position}"
    found = evaluated(plan, plan.slice, item, type_name, resource, budget)
    if len(found) != 1 or not isinstance(found[0], str | int):
        raise FieldError(f"@slice gives {len(found)} names for an item; one text is needed.", plan.node)
    return f"{plan.key}.{text(found[0])}"


def evaluated(
    plan: FieldPlan, expression: str, item: Any, type_name: str, resource: dict[str, Any], budget: Budget
) -> list[Any]:
    """What an expression gives for the item: JSON and System values. Raises FieldError."""
    if len(expression) > _LONGEST_EXPRESSION:
        raise FieldError(f"A FHIRPath expression has {_LONGEST_EXPRESSION} characters at most.", plan.node)
    try:
        container = root(resource)
        focus = root(item, type_name)
        context = Context(focus, container, container, {}, budget.left)
        found = _compiled(expression)([focus], context)
    except (ValueError, RecursionError) as error:
        # FhirPathSyntaxError, Unsupported and EvaluationError are ValueErrors, and speak of the expression alone.
        raise FieldError(f"The FHIRPath expression cannot be evaluated: {error}", plan.node) from None
    budget.left = context.budget - 1
    return [one.value if isinstance(one, Node) else one for one in found]


@lru_cache(maxsize=256)
def _compiled(expression: str) -> Step:
    return compile_tree(parse_once(expression))
