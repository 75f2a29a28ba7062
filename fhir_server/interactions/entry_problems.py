"""Errors of a bundle's entries, located in the bundle. https://hl7.org/fhir/R4/operationoutcome-definitions.html#OperationOutcome.issue.expression"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fhir_server.errors import FhirError
from fhir_server.interactions.entry import Entry, InBundle


class Problems:
    """The errors of all entries, so that a client hears of them at once."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: list[tuple[int, FhirError]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[tuple[int, FhirError]]:
        """Each error with the index of its entry."""
        return iter(self._found)

    def add(self, entry: Entry, error: FhirError) -> None:
        """Note an error of an entry; its issues are located in the bundle."""
        self._found.append((entry.index, located(entry, error)))

    def add_located(self, index: int, error: FhirError) -> None:
        """Note an error that says itself where it is."""
        self._found.append((index, error))

    def raise_all(self) -> None:
        """Raise an error of the first failing entry's class with every issue; nothing where there is none."""
        if self._found:
            self._found.sort(key=lambda found: found[0])
            first = self._found[0][1]
            raise type(first)(issues=[i for _, error in self._found for i in error.issues], headers=first.headers)


def located(entry: Entry, error: FhirError) -> FhirError:
    """The same error, its issues located in the bundle: "Patient.name" is "Bundle.entry[2].resource.name"."""
    issues = [replace(issue, expression=_located(entry, issue.expression)) for issue in error.issues]
    return type(error)(issues=issues, headers=error.headers)


def _located(entry: Entry, expression: str) -> str:
    if not expression:
        return str(entry.location)
    if isinstance(expression, InBundle):
        return str(expression)
    root, dot, rest = expression.partition(".")
    name, bracket, index = root.partition("[")
    body = entry.resource.get("resourceType") if isinstance(entry.resource, dict) else None
    if name in (body, entry.resource_type):
        return f"{entry.location}.resource{bracket}{index}{dot}{rest}"
    return f"{entry.location}.resource.{expression}"
