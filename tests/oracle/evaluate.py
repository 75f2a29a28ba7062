"""What a search finds among all resources, one resource after the other. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from tests.oracle import compartments, matching
from tests.oracle.drawing import Resource
from tests.oracle.parameters import PARAMETERS, Parameter
from tests.oracle.query import Chain, Clause, Filter, Has, Include, Search
from tests.oracle.values import Value, values

LAST_UPDATED = Parameter("date", ())


def key_of(resource: Resource) -> str:
    """``Type/id``"""
    return f"{resource['resourceType']}/{resource['id']}"


class Universe:
    """All resources of a tenant, each value of each parameter found once.

    ``updated`` gives the ``meta.lastUpdated`` that the server shows, by ``Type/id``.
    """

    def __init__(self, resources: Iterable[Resource], updated: dict[str, str] | None = None) -> None:
        self.resources = {key_of(one): one for one in resources}
        self.updated = updated or {}
        self._found = {
            key: {code: values(one, resource, resource) for code, one in PARAMETERS[resource["resourceType"]].items()}
            for key, resource in self.resources.items()
        }

    def found(self, key: str, code: str) -> list[Value]:
        """The values of a parameter in the resource ``key``."""
        if code == "_lastUpdated":
            return [Value("instant", self.updated[key])]
        return self._found[key][code]

    def of_type(self, *types: str) -> list[str]:
        """The keys of all resources of some types."""
        return [key for key in self.resources if key.partition("/")[0] in types]

    def matches(self, search: Search) -> set[str]:
        """The keys of what a search matches, in no order."""
        return {
            key
            for key in self.of_type(*search.types)
            if (not search.compartment or self.in_compartment(key, search.compartment))
            and all(self.meets(key, one) for one in search.filters)
        }

    def meets(self, key: str, wanted: Filter) -> bool:
        """Whether one resource meets one filter."""
        if isinstance(wanted, Clause):
            return self._clause(key, wanted)
        if isinstance(wanted, Chain):
            return any(
                self.meets(other, wanted.part)
                for other in self.referred(key, wanted.code)
                if knows(other.partition("/")[0], wanted.part) and wanted.to in ("", other.partition("/")[0])
            )
        return any(self.meets(other, wanted.part) for other in self.referring(key, wanted.source, wanted.code))

    def _clause(self, key: str, wanted: Clause) -> bool:
        if wanted.code == "_list":
            return any(key in self.listed(matching.plain(value)) for value in wanted.values)
        resource_type, found = key.partition("/")[0], self.found(key, wanted.code)
        if wanted.modifier == "missing":
            return any((not found) == (value == "true") for value in wanted.values)
        parameter = parameter_of(resource_type, wanted.code)
        typed = [
            f"Patient/{value}" if wanted.code == "patient" and "/" not in value and not wanted.modifier else value
            for value in wanted.values
        ]
        modifier = "" if wanted.modifier == "not" else wanted.modifier
        hit = any(
            matching.value_matches(parameter, one, value, modifier, self.resources[key])
            for value in typed
            for one in found
        )
        return hit != (wanted.modifier == "not")

    # Joins.

    @cached_property
    def _edges(self) -> dict[str, dict[str, list[str]]]:
        """Of each resource, by the code of a reference, the resources that it leads to."""
        return {
            key: {
                code: [other for one in found for other in matching.pointed(one) if other in self.resources]
                for code, found in by_code.items()
                if PARAMETERS[key.partition("/")[0]][code].kind == "reference"
            }
            for key, by_code in self._found.items()
        }

    @cached_property
    def _sources(self) -> dict[str, list[tuple[str, str]]]:
        """Of each resource, what refers to it: the key of the source and the code."""
        found: dict[str, list[tuple[str, str]]] = {key: [] for key in self.resources}
        for key, by_code in self._edges.items():
            for code, others in by_code.items():
                for other in others:
                    found[other].append((key, code))
        return found

    def referred(self, key: str, code: str) -> list[str]:
        """What a reference of a resource leads to; ``code`` "*" stands for every reference."""
        edges = self._edges[key]
        return [one for others in edges.values() for one in others] if code == "*" else edges.get(code, [])

    def referring(self, key: str, source: str, code: str) -> list[str]:
        """What refers to a resource; ``source`` or ``code`` may be "*"."""
        return [
            other for other, by in self._sources[key] if source in ("*", other.partition("/")[0]) and code in ("*", by)
        ]

    def listed(self, list_id: str) -> list[str]:
        """What the entries of a List lead to, but for those that it marks as deleted."""
        found = self.resources.get(f"List/{list_id.removeprefix('List/')}", {"entry": []})
        return [
            matching.target(entry["item"]["reference"]) for entry in found["entry"] if not entry.get("deleted", False)
        ]

    def in_compartment(self, key: str, owner: str) -> bool:
        """Whether a resource is in the compartment of ``owner``, such as "Patient/1"."""
        kind, resource_type = owner.partition("/")[0], key.partition("/")[0]
        codes = compartments.CODES[kind].get(resource_type, ())
        pointed = (other for code in codes for one in self.found(key, code) for other in matching.pointed(one))
        return owner in pointed or (key == owner and resource_type in compartments.CODES[kind])

    # Includes.

    def included(self, page: Iterable[str], includes: Iterable[Include]) -> set[str]:
        """What the includes add to the matches of one page."""
        matches, wanted = set(page), list(includes)
        found: set[str] = set()
        fresh = matches
        first = True
        while fresh:
            reached = {
                other
                for one in wanted
                if first or one.iterate
                for key in fresh
                for other in self._included_from(key, one)
            }
            fresh = reached - found - matches
            found |= fresh
            first = False
        return found

    def _included_from(self, key: str, wanted: Include) -> list[str]:
        resource_type = key.partition("/")[0]
        if wanted.reverse:
            if wanted.target not in ("", resource_type):
                return []
            return self.referring(key, wanted.source, wanted.code)
        if wanted.source not in ("*", resource_type):
            return []
        return [other for other in self.referred(key, wanted.code) if wanted.target in ("", other.partition("/")[0])]


def parameter_of(resource_type: str, code: str) -> Parameter:
    """A parameter of the hand-written table, or _lastUpdated."""
    return LAST_UPDATED if code == "_lastUpdated" else PARAMETERS[resource_type][code]


def knows(resource_type: str, wanted: Filter) -> bool:
    """Whether a filter can be asked of a type."""
    if isinstance(wanted, Has) or wanted.code in ("_lastUpdated", "_list"):
        return True
    return wanted.code in PARAMETERS.get(resource_type, {})
