"""Where resources are read that a message tells of. https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Resource = Mapping[str, Any]


class Sources(Protocol):
    """The resources that a destination may see."""

    def read(self, kind: str, number: str, version: int = 0) -> Resource | None:
        """A resource as it is now, or a version of it; None for what is not there, was deleted, or is out of reach."""

    def reports_of(self, number: str) -> Sequence[Resource]:
        """The DiagnosticReports that an Observation is a result of, itself or as a member of one."""


def found(sources: Sources, reference: Resource | None, container: Resource) -> Resource | None:
    """What a Reference leads to: a contained resource, one of the store, else what the Reference says itself.

    That is the identifier and the display, None where it says nothing.
    """
    if not reference:
        return None
    path = str(reference.get("reference", ""))
    if path.startswith("#"):
        return next((one for one in container.get("contained", ()) if one.get("id") == path[1:]), None)
    kind, _, number = path.partition("/")
    if number and "/" not in number and not kind.endswith(":"):
        resource = sources.read(kind, number)
        if resource is not None:
            return resource
    said: dict[str, Any] = {}
    if reference.get("identifier"):
        said["identifier"] = [reference["identifier"]]
    if reference.get("display"):
        said["display"] = reference["display"]
    return said or None


class Instead:
    """Sources where one resource is another one than is stored."""

    def __init__(self, sources: Sources, resource: Resource) -> None:
        self._sources = sources
        self._path = (resource["resourceType"], resource["id"])
        self._resource = resource

    def read(self, kind: str, number: str, version: int = 0) -> Resource | None:
        """The resource itself, or what is stored."""
        return self._resource if (kind, number) == self._path else self._sources.read(kind, number, version)

    def reports_of(self, number: str) -> Sequence[Resource]:
        """What is stored."""
        return self._sources.reports_of(number)


class Impossible(Exception):
    """A change of which no message can be made; the text says why and quotes nothing of a resource."""


class Untold(Exception):
    """A change that no message tells, as it should be; the text says why and quotes nothing of a resource."""
