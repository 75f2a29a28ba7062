"""Values of a tenant's own search parameter, found by FHIRPath's compiler. https://hl7.org/fhirpath/N1/

Only what search/paths.py cannot write as a walk through the JSON comes here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from fhir_server.fhirpath.compiler import compile_tree, run
from fhir_server.fhirpath.errors import EvaluationError
from fhir_server.fhirpath.nodes import Item, Node, root
from fhir_server.fhirpath.parser import parse_once
from fhir_server.fhirpath.quantity import Quantity
from fhir_server.fhirpath.temporal import Temporal
from fhir_server.r4 import instants
from fhir_server.store.index_rows import IndexRows

log = logging.getLogger(__name__)

BUDGET = 50_000
"""Items that one expression may look at in one resource: some 50 ms, so that a write does not become slow."""

Evaluate = Callable[[Any, dict[str, Any], IndexRows], list[tuple[str, Any]]]
"""(value, resource around it, rows) -> (type, JSON) of each value found."""

_UCUM = "http://unitsofmeasure.org"


@lru_cache(maxsize=1_024)
def evaluator(expression: str, type_name: str) -> Evaluate:
    """The values of an expression on a JSON value of a type, each with the name of its FHIR type.

    An expression that cannot be evaluated on a resource has no values there; ``rows.unevaluated`` tells that, and the
    build of a parameter's index fails by it. Raises FhirPathSyntaxError or Unsupported.
    """
    step = compile_tree(parse_once(expression))

    def evaluate(value: Any, resource: dict[str, Any], rows: IndexRows) -> list[tuple[str, Any]]:
        try:
            items = run(step, root(value, type_name), resource, resource, budget=BUDGET)
        except EvaluationError:
            rows.unevaluated.append(expression)
            return []
        except Exception as error:
            log.error("expression failed", exc_info=error)
            rows.unevaluated.append(expression)
            return []
        return [pair for item in items if (pair := typed(item)) is not None]

    return evaluate


def typed(item: Item) -> tuple[str, Any] | None:
    """An item of FHIRPath as (FHIR type, JSON); None for a primitive without value, and for a time of day."""
    if isinstance(item, Node):
        return None if item.value is None else (item.type, item.value)
    if isinstance(item, bool):
        return "boolean", item
    if isinstance(item, str):
        return None if "\0" in item else ("string", item)
    if isinstance(item, int):
        return "integer", item
    if isinstance(item, Decimal):
        return "decimal", item
    if isinstance(item, Quantity):
        unit = {"unit": item.unit} if item.calendar else {"unit": item.unit, "system": _UCUM, "code": item.unit}
        return "Quantity", {"value": item.value, **unit}
    if isinstance(item, Temporal) and item.kind != "time":
        return (item.kind, str(item)) if _is_moment(str(item)) else None
    return None


def _is_moment(text: str) -> bool:
    """Whether FHIR can write it: FHIRPath also has hours without minutes."""
    try:
        instants.interval(text)
    except ValueError:
        return False
    return True
