"""A CodeSystem: its concepts, their properties, and which subsumes which. https://hl7.org/fhir/R4/codesystem.html"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from fhir_server.terminology.budget import Budget

_CONCEPT_PROPERTIES = "http://hl7.org/fhir/concept-properties#"

# Under the other two meanings a nested concept is no kind of the one around it.
# https://hl7.org/fhir/R4/valueset-codesystem-hierarchy-meaning.html
_SUBSUMING = frozenset({"", "is-a", "classified-with"})


class Coding(msgspec.Struct, frozen=True, omit_defaults=True):
    """The Coding that is a property's value. https://hl7.org/fhir/R4/datatypes.html#Coding"""

    code: str = ""


class PropertyValue(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One property of a concept. https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.concept.property"""

    code: str = ""
    value_code: str | None = None
    value_coding: Coding | None = None
    value_string: str | None = None
    value_integer: int | None = None
    value_boolean: bool | None = None
    value_date_time: str | None = None
    value_decimal: Decimal | None = None

    @property
    def text(self) -> str:
        """The value as a filter writes it: a code, "true", "2020-02-29", "1.50"; "" when there is none."""
        if self.value_coding is not None:
            return self.value_coding.code
        if self.value_boolean is not None:
            return "true" if self.value_boolean else "false"
        for value in (self.value_code, self.value_string, self.value_date_time, self.value_integer, self.value_decimal):
            if value is not None:
                return str(value)
        return ""


class Concept(msgspec.Struct, frozen=True, omit_defaults=True):
    """A concept. https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.concept"""

    code: str = ""
    display: str = ""
    property: tuple[PropertyValue, ...] = ()
    concept: tuple[Concept, ...] = ()

    def values(self, name: str) -> list[str]:
        """The values of one property, as texts."""
        return [one.text for one in self.property if one.code == name]


class PropertyDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a property of the concepts is. https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.property"""

    code: str = ""
    uri: str = ""


class CodeSystem(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The elements of a CodeSystem that matter here; the others are skipped while reading.

    https://hl7.org/fhir/R4/codesystem-definitions.html
    """

    url: str = ""
    version: str = ""
    status: str = ""
    date: str = ""
    content: str = ""
    hierarchy_meaning: str = ""
    property: tuple[PropertyDefinition, ...] = ()
    concept: tuple[Concept, ...] = ()


class Hierarchy:
    """The concepts of one CodeSystem by code, and the is-a relationships between them.

    https://hl7.org/fhir/R4/codesystem.html#hierarchy. ``concepts`` are in the order written; ``properties`` the codes
    that the CodeSystem declares. Nesting counts unless ``hierarchyMeaning`` is grouped-by or part-of; the properties
    parent and child (by their URI or by that name) always do.
    """

    __slots__ = ("_children", "_parents", "concepts", "properties", "system")

    def __init__(self, system: CodeSystem, budget: Budget) -> None:
        self.system = system
        self.concepts: dict[str, Concept] = {}
        self.properties = frozenset(one.code for one in system.property)
        self._parents: dict[str, set[str]] = {}
        self._children: dict[str, set[str]] = {}
        nested = system.hierarchy_meaning in _SUBSUMING
        waiting: list[tuple[Concept, str]] = [(concept, "") for concept in reversed(system.concept)]
        while waiting:
            concept, around = waiting.pop()
            budget.spend(1 + len(concept.property))
            if concept.code:
                self.concepts.setdefault(concept.code, concept)
            if around and nested:
                self._relate(concept.code, around)
            waiting.extend((child, concept.code) for child in reversed(concept.concept))
        self._read_properties()

    def _read_properties(self) -> None:
        # https://hl7.org/fhir/R4/codesystem-concept-properties.html; R3 called the parent subsumedBy.
        parents = {"parent", "subsumedBy"} | self._defined_as("parent")
        children = {"child"} | self._defined_as("child")
        for concept in self.concepts.values():
            for one in concept.property:
                if one.code in parents:
                    self._relate(concept.code, one.text)
                elif one.code in children:
                    self._relate(one.text, concept.code)

    def _defined_as(self, name: str) -> set[str]:
        return {one.code for one in self.system.property if one.uri == _CONCEPT_PROPERTIES + name}

    def _relate(self, child: str, parent: str) -> None:
        if child and parent and child != parent:
            self._parents.setdefault(child, set()).add(parent)
            self._children.setdefault(parent, set()).add(child)

    def parents(self, code: str) -> Iterable[str]:
        """The codes directly above a code."""
        return self._parents.get(code, ())

    def children(self, code: str) -> Iterable[str]:
        """The codes directly below a code."""
        return self._children.get(code, ())

    def below(self, code: str, budget: Budget) -> set[str]:
        """The code and every code that it subsumes. https://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""
        return self._reached(code, self._children, budget)

    def above(self, code: str, budget: Budget) -> set[str]:
        """The code and every code that subsumes it. https://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""
        return self._reached(code, self._parents, budget)

    def _reached(self, code: str, edges: dict[str, set[str]], budget: Budget) -> set[str]:
        # A set of what was reached also ends circles, which properties can make.
        found, waiting = {code}, [code]
        while waiting:
            following = edges.get(waiting.pop(), set()) - found
            budget.spend(1 + len(following))
            found |= following
            waiting.extend(following)
        return found & self.concepts.keys()

    def __iter__(self) -> Iterator[Concept]:
        return iter(self.concepts.values())
