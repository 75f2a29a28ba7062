"""The values of a search parameter in a resource, by its hand-written paths. https://hl7.org/fhir/R4/search.html#Introduction"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.oracle.drawing import Resource
from tests.oracle.parameters import Parameter

_STEP = re.compile(r"(\w+)(?:\[(\w+)=([\w-]+)\])?")
_TYPE = re.compile(r"(\w+)(?:\((\w+)\))?(?:=(.*))?")


class Value(NamedTuple):
    """A value, the name of its type, and the system that a code's binding implies ("" for none)."""

    type: str
    value: Any
    system: str = ""


def values(parameter: Parameter, root: Resource, resource: Resource) -> list[Value]:
    """What ``parameter`` finds below ``root``; those of a composite are the elements that have all its parts."""
    if parameter.kind == "composite":
        elements = list(_walk(root, parameter.paths[0]))
        return [
            Value("element", one) for one in elements if all(values(part, one, resource) for part in parameter.parts)
        ]
    return [found for path in parameter.paths for found in _values(path, root, resource)]


def _values(path: str, root: Resource, resource: Resource) -> Iterator[Value]:
    steps, _, named = path.partition(":")
    match = _TYPE.fullmatch(named)
    assert match is not None, path
    name, of_type, system = match.groups()
    if name == "content":
        yield Value("content", "\n".join(_texts(root)))
        return
    if name == "deceased":
        yield Value("boolean", "deceasedDateTime" in root or root.get("deceasedBoolean", False))
        return
    for one in _walk(root, steps):
        if of_type is None or _refers_to(one, of_type, resource):
            yield Value(name, one, system or "")


_WORDED = [
    *("text", "display", "title", "description", "family", "given", "prefix", "suffix", "line", "city", "state"),
    *("country", "postalCode", "name", "alias", "valueString", "onsetString", "div"),
]
"""The elements of the universe that hold words, and not codes, numbers or URLs."""


def _texts(part: Any, name: str = "") -> Iterator[str]:
    if isinstance(part, dict):
        for child, value in part.items():
            yield from _texts(value, child)
    elif isinstance(part, list):
        for value in part:
            yield from _texts(value, name)
    elif isinstance(part, str) and name in _WORDED:
        yield without_tags(part) if name == "div" else part


def without_tags(div: str) -> str:
    """What a reader of a narrative of the universe sees: bold type does not part words, paragraphs do."""
    return re.sub(r"<[^>]*>", " ", re.sub(r"</?b>", "", div))


def _walk(root: Resource, steps: str) -> Iterator[Any]:
    found: list[Any] = [root]
    for step in filter(None, steps.split(".")):
        match = _STEP.fullmatch(step)
        assert match is not None, steps
        name, condition, wanted = match.groups()
        below: list[Any] = []
        for one in found:
            child = one.get(name)
            if child is not None:
                below += child if isinstance(child, list) else [child]
        found = [one for one in below if condition is None or one.get(condition) == wanted]
    yield from found


def _refers_to(value: Resource, wanted: str, resource: Resource) -> bool:
    """``resolve() is Type``, told from the text of the reference. https://hl7.org/fhir/R4/fhirpath.html#functions"""
    text = value.get("reference", "")
    if text.startswith("#"):
        return any(one["resourceType"] == wanted for one in resource.get("contained", []) if "#" + one["id"] == text)
    return f"/{wanted}/" in "/" + text.removeprefix("http:/")
