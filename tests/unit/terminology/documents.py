"""Code systems and value sets in memory, for the tests of evaluating them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from fhir_server.terminology.budget import Budget
from fhir_server.terminology.code_system import CodeSystem, Hierarchy
from fhir_server.terminology.expansion import Expander
from fhir_server.terminology.value_set import ValueSet

Document = dict[str, Any]


class Documents:
    """A library of documents by URL, the one of a version asked for or else the last given."""

    def __init__(self, *documents: Document) -> None:
        self.documents = documents

    def _last(self, resource_type: str, url: str, version: str) -> bytes | None:
        found = [
            one
            for one in self.documents
            if (one["resourceType"], one["url"]) == (resource_type, url) and version in ("", one.get("version"))
        ]
        return json.dumps(found[-1]).encode() if found else None

    def value_set(self, url: str, version: str) -> ValueSet | None:
        body = self._last("ValueSet", url, version)
        return None if body is None else msgspec.json.decode(body, type=ValueSet)

    def code_system(self, url: str, version: str) -> CodeSystem | None:
        body = self._last("CodeSystem", url, version)
        return None if body is None else msgspec.json.decode(body, type=CodeSystem)


def code_system(url: str, *concepts: Document, **elements: Any) -> Document:
    """A complete CodeSystem."""
    return {
        "resourceType": "CodeSystem", "url": url, "status": "active", "content": "complete", "concept": list(concepts),
        **elements,
    }  # fmt: skip


def value_set(url: str, *include: Document, exclude: Iterable[Document] = (), **elements: Any) -> Document:
    """A ValueSet with a compose."""
    compose: Document = {"include": list(include)}
    if exclude:
        compose["exclude"] = list(exclude)
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose, **elements}


def concept(code: str, *children: Document, **properties: object) -> Document:
    """A concept with those below it; properties are booleans, or texts taken for codes."""
    written = [
        {"code": name, ("valueBoolean" if isinstance(value, bool) else "valueCode"): value}
        for name, value in properties.items()
    ]
    found: Document = {"code": code, "display": f"The {code}"}
    if written:
        found["property"] = written
    if children:
        found["concept"] = list(children)
    return found


def filtered(system: str, *filters: tuple[str, str, str]) -> Document:
    """An include of the concepts that meet filters of (property, op, value)."""
    return {"system": system, "filter": [dict(zip(("property", "op", "value"), one, strict=True)) for one in filters]}


def listed(system: str, *codes: str) -> Document:
    """An include of codes one by one."""
    return {"system": system, "concept": [{"code": code} for code in codes]}


def hierarchy(document: Document) -> Hierarchy:
    """The concepts of a CodeSystem."""
    return Hierarchy(msgspec.json.decode(json.dumps(document), type=CodeSystem), Budget())


def expander(*documents: Document) -> Expander:
    """What evaluates these documents alone."""
    return Expander(Documents(*documents), Budget())


def codes(url: str, *documents: Document) -> str:
    """The codes of a value set without their systems, in the order found, with spaces between."""
    return " ".join(code for _, code in expander(*documents).canonical(url))
