"""A small reading of the definitions pack, independent of the product's validator: what is wrong with a resource?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fhir_server.r4.definitions import Definitions, Element, TypeRef

_PRIMITIVES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "boolean": (bool, ""),
    "integer": (int, ""),
    "positiveInt": (int, ""),
    "unsignedInt": (int, ""),
    "decimal": ((int, Decimal), ""),
    "id": (str, r"[A-Za-z0-9\-.]{1,64}"),
    "code": (str, r"\S+( \S+)*"),
    "date": (str, r"\d{4}(-\d\d(-\d\d)?)?"),
    "dateTime": (str, r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d))?)?)?"),
    "instant": (str, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"),
    "time": (str, r"\d\d:\d\d:\d\d"),
    "base64Binary": (str, r"[A-Za-z0-9+/]+=*"),
}


def faults(definitions: Definitions, resource: dict[str, Any]) -> Iterator[str]:
    """Unknown and missing elements, wrong JSON types and formats, codes outside required bindings, wrong targets."""
    kind = resource["resourceType"]
    body = {name: value for name, value in resource.items() if name != "resourceType"}
    yield from _object(definitions, kind, body, kind)


def _object(definitions: Definitions, type_name: str, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict) or not value:
        yield f"{path}: an object with something in it was due"
        return
    elements = definitions.types[type_name].elements
    named = {name: (element, ref) for element in elements.values() for name, ref in element.json_names().items()}
    for name in value.keys() - named.keys():
        yield f"{path}.{name}: unknown"
    for element in elements.values():
        present = [name for name in element.json_names() if name in value]
        if len(present) > 1 or (element.min and not present):
            yield f"{path}.{element.name}: {len(present)} of {element.min}..{element.max}"
    for name, each in value.items():
        if name in named:
            element, ref = named[name]
            yield from _element(definitions, element, ref, each, f"{path}.{name}")


def _element(definitions: Definitions, element: Element, ref: TypeRef, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list) != (element.max != 1):
        yield f"{path}: a list where none is due, or the other way round"
        return
    values = value if isinstance(value, list) else [value]
    if not values:
        yield f"{path}: empty list"
    for each in values:
        if definitions.types[ref.code].kind == "primitive":
            yield from _primitive(ref.code, each, path)
        else:
            yield from _object(definitions, ref.code, each, path)
        if element.value_set:
            yield from _bound(definitions.value_sets[element.value_set], each, path)
        if ref.code == "Reference" and ref.targets and each["reference"].split("/")[0] not in ref.targets:
            yield f"{path}: {each['reference']} is none of {ref.targets}"


def _primitive(code: str, value: Any, path: str) -> Iterator[str]:
    kind, pattern = _PRIMITIVES.get(code, (str, r"(?s).+"))
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        yield f"{path}: {value!r} is no {code}"
    elif pattern and not re.fullmatch(pattern, value):
        yield f"{path}: {value!r} is not written as {code}"


def _bound(codes: dict[str, tuple[str, ...]], value: Any, path: str) -> Iterator[str]:
    """An enumerable value set holds every code; one of MIME types or languages is not enumerable and holds none."""
    if not codes:
        return
    if isinstance(value, str):
        if all(value not in known for known in codes.values()):
            yield f"{path}: {value} is not among {codes}"
        return
    codings = value.get("coding", [value])
    if not any(coding["code"] in codes.get(coding["system"], ()) for coding in codings):
        yield f"{path}: {codings} are not among {codes}"
