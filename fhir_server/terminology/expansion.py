"""The codes that a ValueSet or a place in a CodeSystem's hierarchy stands for.
https://hl7.org/fhir/R4/valueset.html#compositions"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from fhir_server.errors import BadRequest, FhirError, NotFound
from fhir_server.terminology import filters
from fhir_server.terminology.budget import MAX_DEPTH, Budget, check_count
from fhir_server.terminology.code_system import CodeSystem, Hierarchy
from fhir_server.terminology.value_set import Compose, ConceptSet, Expansion, Filter, ValueSet

Code = tuple[str, str]
"""A system and a code."""


class Library(Protocol):
    """Where ValueSets and CodeSystems are looked up. ``version`` is "" for the latest one."""

    def value_set(self, url: str, version: str) -> ValueSet | None:
        """The ValueSet of a canonical URL, or None."""

    def code_system(self, url: str, version: str) -> CodeSystem | None:
        """The CodeSystem of a canonical URL, or None."""


def implicit(url: str) -> ValueSet | None:
    """The ValueSet that a URL of SNOMED CT defines by itself: all concepts, or those that are one of them; else None.

    https://hl7.org/fhir/R4/snomedct.html#implicit
    """
    wanted = _IMPLICIT.fullmatch(url)
    if wanted is None:
        return None
    filters = (Filter("concept", "is-a", wanted["code"]),) if wanted["code"] else ()
    return ValueSet(url, compose=Compose(include=(ConceptSet(system=wanted["system"], filter=filters),)))


_IMPLICIT = re.compile(r"(?P<system>http://snomed\.info/sct)\?fhir_vs(?:=isa/(?P<code>[0-9]{6,18}))?")


class Expander:
    """Works out codes for one search, within one budget; what has been worked out is remembered."""

    __slots__ = ("_expanded", "_hierarchies", "_importing", "budget", "library")

    def __init__(self, library: Library, budget: Budget) -> None:
        self.library = library
        self.budget = budget
        self._expanded: dict[str, dict[Code, None]] = {}
        self._hierarchies: dict[tuple[str, str], Hierarchy] = {}
        self._importing: list[str] = []

    def members(self, value_set: ValueSet, name: str) -> tuple[Code, ...]:
        """The codes of a ValueSet, each once. ``name`` is how the search calls it, for messages.

        Raises NotFound for a ValueSet or CodeSystem that it needs and that is not known here, and BadRequest for one
        that cannot be evaluated or has too many codes (too-costly).
        """
        found = self._members(value_set, name)
        check_count(len(found), f"The ValueSet {name}")
        return tuple(found)

    def canonical(self, canonical: str) -> tuple[Code, ...]:
        """The codes of the ValueSet of a canonical URL with or without ``|version``. Raises like `members`."""
        found = self._imported(canonical)
        check_count(len(found), f"The ValueSet {canonical}")
        return tuple(found)

    def below(self, system: str, code: str) -> tuple[Code, ...]:
        """The code and those that it subsumes. Raises NotFound for a system or code that is not known here."""
        return self._related(system, self._hierarchy_of(system, code).below(code, self.budget))

    def above(self, system: str, code: str) -> tuple[Code, ...]:
        """The code and those that subsume it. Raises NotFound for a system or code that is not known here."""
        return self._related(system, self._hierarchy_of(system, code).above(code, self.budget))

    def _hierarchy_of(self, system: str, code: str) -> Hierarchy:
        found = self.hierarchy(system)
        if code not in found.concepts:
            raise NotFound(f"The CodeSystem {system} has no code {code}, so nothing can be said to be above or below.")
        return found

    def _related(self, system: str, codes: Iterable[str]) -> tuple[Code, ...]:
        found = tuple((system, code) for code in sorted(codes))
        check_count(len(found), f"The code of {system}")
        return found

    def hierarchy(self, system: str, version: str = "") -> Hierarchy:
        """The concepts of a CodeSystem. Raises NotFound where it is not known, or not all of it is."""
        key = (system, version)
        if key not in self._hierarchies:
            shown = f"{system}|{version}" if version else system
            resource = self.library.code_system(system, version)
            if resource is None or resource.content == "not-present":
                raise NotFound(
                    f"The CodeSystem {shown} is not known here. Store it as a CodeSystem of this url"
                    f"{' and version' if version else ''}, or search by the codes themselves."
                )
            if resource.content != "complete":
                raise NotFound(
                    f"The CodeSystem {shown} is known here with content {resource.content!r} only, so codes would be "
                    "missed. Store it with all of its concepts and content 'complete'."
                )
            self._hierarchies[key] = Hierarchy(resource, self.budget)
        return self._hierarchies[key]

    def _imported(self, canonical: str) -> dict[Code, None]:
        if canonical in self._expanded:
            return self._expanded[canonical]
        url, _, version = canonical.partition("|")
        value_set = self.library.value_set(url, version) or implicit(url)
        if value_set is None:
            raise NotFound(
                f"The ValueSet {canonical} is not known here. Store it as a ValueSet of this url"
                f"{' and version' if version else ''}, or search by the codes themselves."
            )
        found = self._members(value_set, canonical)
        self._expanded[canonical] = found
        return found

    def _members(self, value_set: ValueSet, name: str) -> dict[Code, None]:
        if name in self._importing:
            raise BadRequest(f"The ValueSet {name} imports itself, so it has no codes of its own.", code="processing")
        if len(self._importing) == MAX_DEPTH:
            raise BadRequest(
                f"The ValueSet {self._importing[0]} imports others more than {MAX_DEPTH} deep.", code="too-costly"
            )
        self._importing.append(name)
        try:
            return self._composed(value_set, name)
        finally:
            self._importing.pop()

    def _composed(self, value_set: ValueSet, name: str) -> dict[Code, None]:
        """By its definition where that can be evaluated here, else as expanded by whoever stored it."""
        if value_set.compose is None:
            problem: FhirError = BadRequest(
                f"The ValueSet {name} has neither a compose nor a whole expansion.", code="processing"
            )
        else:
            try:
                return self._evaluated(value_set.compose, name)
            except (NotFound, BadRequest) as error:
                if error.issues[0].code == "too-costly":
                    raise
                problem = error
        expanded = value_set.expansion and self._whole(value_set.expansion)
        if not expanded:
            raise problem
        return expanded

    def _whole(self, expansion: Expansion) -> dict[Code, None]:
        """The codes of a stored expansion, {} where it is a page of one only."""
        found = dict.fromkeys(expansion.codes(self.budget))
        partial = bool(expansion.offset) or (expansion.total or 0) > len(found)
        return {} if partial else found

    def _evaluated(self, compose: Compose, name: str) -> dict[Code, None]:
        found: dict[Code, None] = {}
        for include in compose.include:
            found |= self._selected(include, name)
        for exclude in compose.exclude:
            for code in self._selected(exclude, name):
                found.pop(code, None)
        return self._active(found) if compose.inactive is False else found

    def _selected(self, wanted: ConceptSet, name: str) -> dict[Code, None]:
        """What an include or exclude takes: the codes of its system that are in each value set it names.

        The specification says of several value sets both that their union and that what they share is meant; that a
        code is to be in all of them is what R5 settled on. https://hl7.org/fhir/R4/valueset.html#compositions
        """
        parts: list[dict[Code, None]] = [self._imported(one) for one in wanted.value_set if one]
        if wanted.system:
            parts.append(dict.fromkeys((wanted.system, code) for code in self._of_system(wanted, name)))
        if not parts:
            return {}
        first, *others = parts
        self.budget.spend(len(first))
        return {code: None for code in first if all(code in other for other in others)}

    def _of_system(self, wanted: ConceptSet, name: str) -> Iterable[str]:
        if wanted.concept:
            self.budget.spend(len(wanted.concept))
            return [one.code for one in wanted.concept if one.code]
        hierarchy = self.hierarchy(wanted.system, wanted.version)
        if not wanted.filter:
            return hierarchy.concepts
        first, *others = wanted.filter
        found = filters.selected(first, hierarchy, self.budget, name)
        for one in others:
            found &= filters.selected(one, hierarchy, self.budget, name)
        self.budget.spend(len(found))
        return sorted(found)

    def _active(self, found: dict[Code, None]) -> dict[Code, None]:
        """Without the codes that their CodeSystem says are inactive; one that is not known here says nothing."""
        known: dict[str, set[str]] = {}
        self.budget.spend(len(found))
        for system in {system for system, _ in found}:
            resource = self.library.code_system(system, "")
            if resource is not None and resource.content == "complete":
                known[system] = {concept.code for concept in self.hierarchy(system) if filters.is_inactive(concept)}
        return {(system, code): None for system, code in found if code not in known.get(system, ())}
