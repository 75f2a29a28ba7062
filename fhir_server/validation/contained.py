"""Contained resources in the fast pass: dom-2 to dom-5 and the local references to them. https://hl7.org/fhir/R4/references.html#contained"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.validation import references

Check = Callable[[Any, int], bool]


def check(resource: dict[str, Any], d: int, own: Check, any_resource: Check) -> bool:
    """Check a resource that has ``contained`` by its type's function ``own``, its contained resources within reach."""
    outer = references.container.contained
    references.container.contained = references.contained_types(resource)
    try:
        return own(resource, d) and not references.unreferenced(resource)
    finally:
        references.container.contained = outer


def list_check(any_resource: Check) -> Check:
    """The check of the property ``contained``."""

    def check_contained(value: Any, d: int) -> bool:
        if type(value) is not list or not value:
            return False
        ids = set()
        for item in value:
            if "contained" in item or not any_resource(item, d) or "id" not in item:
                return False
            meta = item.get("meta", {})
            if "versionId" in meta or "lastUpdated" in meta or "security" in meta:
                return False
            ids.add(item["id"])
        return len(ids) == len(value)

    return check_contained
