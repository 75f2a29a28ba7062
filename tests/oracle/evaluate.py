"""What a search finds among all resources, one resource after the other. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from tests.oracle import compartments, matching
from tests.oracle.drawing import Resource
from tests.oracle.parameters import PARAMETERS, Parameter
from tests.oracle.query import Chain, Clause, Combined, Filter, Has, Include, Negated, Search, Written
from tests.oracle.values import Value, values

SETS = ("in", "not-in", "above", "below")
"""The modifiers of a token that stand for several codes."""

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
        if isinstance(wanted, Written):
            return self.meets(key, wanted.part)
        if isinstance(wanted, Negated):
            return not self.meets(key, wanted.part)
        if isinstance(wanted, Combined):
            return (all if wanted.operator == "and" else any)(self.meets(key, part) for part in wanted.parts)
        if isinstance(wanted, Chain):
            return any(
                self.meets(other, wanted.part)
                for other in self.referred(key, wanted.code)
                if knows(other.partition("/")[0], wanted.part) and wanted.to in ("", other.partition("/")[0])
            )
        return any(self.meets(other, wanted.part) for other in self.referring(key, wanted.source, wanted.code))

    def _clause(self, key: str, wanted: Clause) -> bool:
        if wanted.code in ("_list", "_in"):
            return any(key in self.listed(value if "/" in value else f"List/{value}") for value in wanted.values)
        resource_type, found = key.partition("/")[0], self.found(key, wanted.code)
        if wanted.modifier == "missing":
            return any((not found) == (value == "true") for value in wanted.values)
        if wanted.modifier in SETS and parameter_of(resource_type, wanted.code).kind == "token":
            codes = {pair for value in wanted.values for pair in self._codes(wanted.modifier, matching.plain(value))}
            hit = any(pair in codes for one in found for pair in matching.codings(one))
            return hit != (wanted.modifier == "not-in")
        parameter = parameter_of(resource_type, wanted.code)
        if wanted.modifier == "text" or parameter.kind == "words":
            if wanted.code == "value-string":
                # The text of a concept and the displays of its codings are one place to look for words.
                codes = matching.worded(parameter_of(resource_type, "value-concept"), self.found(key, "value-concept"))
                found = [*found, *(Value("string", text) for text in codes)]
            has = [matching.words(text) for text in matching.worded(parameter, found)]
            return any(matching.words(matching.plain(value)) <= one for value in wanted.values for one in has)
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

    def _codes(self, modifier: str, value: str) -> set[tuple[str | None, str | None]]:
        """The (system, code) pairs of a value set, or those above or below a code."""
        if modifier in ("in", "not-in"):
            parts = self.resources[value]["compose"]["include"]
            return {(part["system"], concept["code"]) for part in parts for concept in part["concept"]}
        system, code = value.split("|")
        pairs = hierarchy([one for one in self.resources.values() if one.get("url") == system])
        lines = [line for line in pairs if code in line]
        kept = [line[line.index(code) :] if modifier == "below" else line[: line.index(code) + 1] for line in lines]
        return {(system, one) for line in kept for one in line}

    # Joins.

    @cached_property
    def _edges(self) -> dict[str, dict[str, list[str]]]:
        """Of each resource, by the code of a reference, the resources that it leads to."""
        return {
            key: {
                code: [other for one in found for other in self._leads_to(one)]
                for code, found in by_code.items()
                if PARAMETERS[key.partition("/")[0]][code].kind == "reference"
            }
            for key, by_code in self._found.items()
        }

    def _leads_to(self, found: Value) -> list[str]:
        """The resources that a reference or a canonical leads to; one with a version leads to that version alone."""
        if found.type != "canonical":
            return [other for other in matching.pointed(found) if other in self.resources]
        url, _, version = found.value.partition("|")
        return [
            key for key, one in self.resources.items() if one.get("url") == url and version in ("", one.get("version"))
        ]

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

    def listed(self, owner: str) -> list[str]:
        """What a List, Group or CareTeam has as its members, such as those of "List/1"."""
        codes = {"List": "item", "Group": "member", "CareTeam": "participant"}
        return self.referred(owner, codes[owner.partition("/")[0]]) if owner in self.resources else []

    def in_compartment(self, key: str, owner: str) -> bool:
        """Whether a resource is in the compartment of ``owner``, such as "Patient/1"."""
        kind, resource_type = owner.partition("/")[0], key.partition("/")[0]
        codes = compartments.CODES[kind].get(resource_type, ())
        pointed = (other for code in codes for one in self.found(key, code) for other in matching.pointed(one))
        return owner in pointed or (key == owner and compartments.CODES[kind].get(resource_type) == ())

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


def hierarchy(code_systems: Iterable[Resource]) -> list[list[str]]:
    """Each line of concepts of code systems, from a root down to a leaf."""

    def lines(concept: Resource) -> list[list[str]]:
        below = [line for child in concept.get("concept", []) for line in lines(child)]
        return [[concept["code"], *line] for line in below or [[]]]

    return [line for one in code_systems for concept in one["concept"] for line in lines(concept)]


def parameter_of(resource_type: str, code: str) -> Parameter:
    """A parameter of the hand-written table, or _lastUpdated."""
    return LAST_UPDATED if code == "_lastUpdated" else PARAMETERS[resource_type][code]


def knows(resource_type: str, wanted: Filter) -> bool:
    """Whether a filter can be asked of a type."""
    if isinstance(wanted, Combined):
        return all(knows(resource_type, part) for part in wanted.parts)
    if isinstance(wanted, Has | Negated | Written) or wanted.code in ("_lastUpdated", "_list", "_in"):
        return True
    return wanted.code in PARAMETERS.get(resource_type, {})
