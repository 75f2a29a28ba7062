"""Queries answered without a store, and a query that asks for everything that a resource holds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fhir_server.graphql.document import DEFAULT_LIMITS, Limits, read
from fhir_server.graphql.execute import Execution
from fhir_server.graphql.load import Loader
from fhir_server.graphql.plan import Planner
from fhir_server.graphql.values import Variables
from fhir_server.search.registry import STANDARD

BASE = "http://localhost/t/clinic/fhir"


def answer(resource: dict[str, Any], query: str, limits: Limits = DEFAULT_LIMITS, **given: Any) -> dict[str, Any]:
    """The data of a query on a resource that needs nothing else; errors under ``errors``."""
    document = read(query, "", limits)
    planner = Planner(document, Variables(document.operation, given), limits, STANDARD)
    sets = (document.operation.selection_set,)
    planner.check(resource["resourceType"], sets)
    context: Any = SimpleNamespace(base_url=BASE)
    execution = Execution(planner, Loader(context, limits), limits)
    data = execution.run(resource["resourceType"], resource, sets)
    return {"data": data} | ({"errors": [error.to_json() for error in execution.errors]} if execution.errors else {})


_OF_ANY_TYPE = frozenset(("contained", "resource", "outcome"))
"""The elements that may hold a resource of any type."""


def everything(*values: Any, name: str = "") -> str:
    """The selections that ask for all that the values of an element hold, "" for primitives."""
    objects = [value for value in values if isinstance(value, dict)]
    if not objects:
        return ""
    if name in _OF_ANY_TYPE and all("resourceType" in value for value in objects):
        typed = {value["resourceType"] for value in objects}
        parts = [(kind, _fields([v for v in objects if v.get("resourceType") == kind])) for kind in sorted(typed)]
        return "{ " + " ".join(f"... on {kind} {fields}" for kind, fields in parts) + " }"
    return _fields(objects)


def _fields(objects: list[dict[str, Any]]) -> str:
    parts = []
    for name in dict.fromkeys(name for value in objects for name in value):
        found = [value[name] for value in objects if name in value]
        flat = [item for one in found for item in (one if isinstance(one, list) else [one])]
        parts.append(f"{name} {everything(*flat, name=name)}")
    return "{ " + " ".join(parts) + " }"


def present(value: Any) -> Any:
    """A value of an answer without what is null because it is not there."""
    if isinstance(value, dict):
        return {name: present(inner) for name, inner in value.items() if inner is not None}
    return [present(inner) for inner in value] if isinstance(value, list) else value
