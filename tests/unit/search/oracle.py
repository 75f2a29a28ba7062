"""Search expressions evaluated by fhirpathpy, an engine that nobody here wrote. https://hl7.org/fhirpath/N1/"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import fhirpathpy
from fhirpathpy.engine.nodes import TypeInfo
from fhirpathpy.models import models

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import json
from fhir_server.search import extract_source
from fhir_server.search.registry import Parameter
from fhir_server.store.index_rows import IndexRows

_RESOLVE = re.compile(r"where\(resolve\(\) is (\w+)\)")
_AS_INFIX = re.compile(r"\(([\w.]+) as (\w+)\)")
_AS_FUNCTION = re.compile(r"\.as\((\w+)\)")


def rewritten(expression: str) -> str:
    """The expression in the words that fhirpathpy has.

    It resolves no references, so that their text decides; its ``as`` takes one value at most, where the standard
    parameters expect that of ``ofType``; and one type is written with a wrong capital in 4.0.1.
    """
    expression = _RESOLVE.sub(r"where(reference.startsWith('\1/') or reference.contains('/\1/'))", expression)
    expression = _AS_FUNCTION.sub(r".ofType(\1)", _AS_INFIX.sub(r"\1.ofType(\2)", expression))
    expression = expression.replace("Resource.", "")  # The engine takes it for an element.
    return expression.replace("ofType(DateTime)", "ofType(dateTime)")


@lru_cache(maxsize=4_096)
def _compiled(expression: str) -> Any:
    return fhirpathpy.compile(rewritten(expression), models["r4"])


def values(expression: str, resource: dict[str, Any]) -> list[str]:
    """The values of a published expression as sorted, distinct JSON texts."""
    # The engine remembers the model of whoever asked it for a type last, and then takes a canonical for a uri.
    TypeInfo.model = None
    return sorted({text(value) for value in _compiled(expression)(resource, {"resource": resource})})


def text(value: Any) -> str:
    """A value as JSON that does not depend on the order of its properties, or on how an engine boxes it."""
    if isinstance(value, dict):
        return "{" + ",".join(f'"{name}":{text(value[name])}' for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text, value)) + "]"
    if isinstance(value, (str, bool, int)):
        return json.dumps(value).decode()
    return str(value)


def recorded(resource_type: str, resource: dict[str, Any]) -> tuple[set[int], dict[int, set[str]]]:
    """What the generated function hands to the writing half of each type: its params, and the values of each."""
    source, names = extract_source.generate(resource_type)
    found: dict[int, set[str]] = {}

    def record(value: Any, params: tuple[int, ...], rows: IndexRows, hasher: Any) -> None:
        for param in params:
            found.setdefault(param, set()).add(text(value))

    def record_composite(param: int, kinds: Any, values: tuple[Any, ...], rows: IndexRows, hasher: Any) -> None:
        found.setdefault(param, set()).add(" $ ".join(map(text, values)))

    kept = {"is_of_type", "target", "extract"}
    replaced: dict[str, Any] = {n: f if n in kept or n.startswith("kinds") else record for n, f in names.items()}
    replaced["write_composite"] = record_composite
    exec(compile(source, resource_type, "exec"), replaced)  # noqa: S102 the code under test
    rows = IndexRows()
    replaced["extract"](resource, rows, Hasher(bytes(16)))
    return set(rows.params), found


def composite_values(parameter: Parameter, resource: dict[str, Any]) -> list[str]:
    """The combinations of a composite's component values, each as texts with " $ " between."""
    found: set[str] = set()
    for element in _compiled(parameter.expression)(resource, {}):
        combined = [""]
        for component in parameter.components:
            own = component.expression
            if own.startswith("%resource."):
                parts = values(own.replace("%resource", parameter.resource_type), resource)
            else:
                parts = sorted({text(value) for value in _of_element(own, element)})
            combined = [f"{before} $ {part}" if before else part for before in combined for part in parts]
        found.update(combined)
    return sorted(found)


def _of_element(expression: str, element: dict[str, Any]) -> list[Any]:
    """fhirpathpy knows no types below an element taken by itself; the choice's name in JSON tells them."""
    found = []
    for part in expression.split("|"):
        name, _, wanted = part.strip().partition(".as(")
        wanted = wanted.rstrip(")")
        names = [name + wanted[0].upper() + wanted[1:]] if wanted else [name]
        if name == "value" and not wanted:
            # Group.characteristic.value[x]: the parameter's own type keeps two of the five.
            names = ["valueCodeableConcept", "valueBoolean"]
        found += [element[one] for one in names if one in element]
    return found
