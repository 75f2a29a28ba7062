"""What a transaction has to look up before it can write: criteria, conditional references, versions.

https://hl7.org/fhir/R4/http.html#trules. All of it happens inside the database transaction that writes, and sees what
that has written so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice

from fhir_server.errors import Conflict, FhirError, NotFound, PreconditionFailed, TooLarge
from fhir_server.interactions.bundle_plan import Plan, Planned, twice
from fhir_server.interactions.conditional import Criteria, criteria, find, target_id
from fhir_server.interactions.context import Context
from fhir_server.interactions.entry_problems import Problems
from fhir_server.interactions.search import Match
from fhir_server.r4.rewriting import Name, Occurrence, path_to

MAX_QUERIES = 5_000
"""Searches that one transaction may need; each takes about a millisecond."""

MAX_REPORTED = 100
"""Conditional references that an answer lists."""


class Lookup:
    """What one attempt at a plan has found out; the plan itself stays as it was.

    ``ids`` are what entries write to and ``matches`` what their criteria found, by the entries' index; ``expected`` is
    the version of a match that must be current when it is written to. ``names`` are what fullUrls and conditional
    references stand for.
    """

    def __init__(self, ctx: Context, made: Plan, problems: Problems) -> None:
        self.ctx = ctx
        self.plan = made
        self.problems = problems
        self.names: dict[str, Name] = dict(made.names)
        self.ids = {p.entry.index: p.id for p in (*made.deletes, *made.contents, *made.patches)}
        self.matches: dict[int, Match] = {}
        self.expected: dict[int, int | None] = {}
        self._pinned: dict[str, int] = {}
        self._queries = 0
        self._urls: dict[int, list[str]] = {}
        for url, planned in made.links.items():
            self._urls.setdefault((planned.same_as or planned).entry.index, []).append(url)

    def path(self, planned: Planned) -> str:
        """What the entry's resource is called: "Patient/1"."""
        return f"{planned.entry.resource_type}/{self.ids[planned.entry.index]}"

    def paths(self) -> list[str]:
        """What is written to, as far as it is known by now, apart from new resources."""
        many = (*self.plan.deletes, *self.plan.updates, *self.plan.patches)
        return [self.path(p) for p in many if self.ids[p.entry.index] and (p.entry.id or p.entry.method == "DELETE")]

    def each(self, many: Iterable[Planned], work: Callable[[Planned], None]) -> None:
        """Do it for each entry, noting what fails."""
        for planned in many:
            try:
                work(planned)
            except FhirError as error:
                self.problems.add(planned.entry, error)

    # Criteria

    def criteria(self, many: Iterable[Planned]) -> None:
        """Find what conditional entries mean. https://hl7.org/fhir/R4/http.html#cond-update"""
        self.each((planned for planned in many if planned.same_as is None), self._criteria)

    def _criteria(self, planned: Planned) -> None:
        if planned.criteria is None:
            return
        match = self._find(planned.criteria)
        if match is not None:
            self.matches[planned.entry.index] = match
        if planned.entry.method == "POST":
            if match is not None:
                self._name_existing(planned, match)
            return
        self._target(planned, match)
        if planned.entry.full_url in self.names:
            self.names[planned.entry.full_url] = Name(self.path(planned))

    def _name_existing(self, planned: Planned, match: Match) -> None:
        name = Name(f"{planned.entry.resource_type}/{match.id}", match.version, assigned=True)
        for url in self._urls.get(planned.entry.index, ()):
            self.names[url] = name

    def _target(self, planned: Planned, match: Match | None) -> None:
        entry, index = planned.entry, planned.entry.index
        if entry.method == "PUT":
            self.ids[index] = target_id(match, entry.resource.get("id"))
            if planned.expect is None:
                self.expected[index] = match.version if match else 0
        elif match is not None:
            self.ids[index] = match.id
        elif entry.method == "PATCH":
            raise NotFound(f"No {entry.resource_type} matches the criteria.")

    def refuse_overlap(self) -> None:
        """Note entries whose criteria led to a resource that another entry writes."""
        paths: dict[str, Planned] = {}
        for planned in (*self.plan.deletes, *self.plan.updates, *self.plan.patches):
            if self.ids[planned.entry.index]:
                first = paths.setdefault(self.path(planned), planned)
                if first is not planned:
                    self.problems.add(planned.entry, twice(planned, first))

    # Versions

    def pin_versions(self) -> None:
        """Find the versions that updates will make, where a reference asks to name them."""
        for planned in self.plan.waiting:
            for occurrence in planned.occurrences:
                url = occurrence.targets[0]
                if not occurrence.resolve or occurrence.conditional or self.names[url].version is not None:
                    continue
                target = self.plan.links[url]
                resource_type, resource_id = target.entry.resource_type, self.ids[target.entry.index]
                stored = self.ctx.store.read(target.ctx.access, resource_type, resource_id)
                self._pinned[url] = stored.version + 1 if stored else 1
                self.names[url] = self.names[url]._replace(version=self._pinned[url])

    def check_version(self, planned: Planned, version: int | None) -> None:
        """Raise Conflict where references already name another version than the entry has written."""
        if self._pinned.get(planned.entry.full_url, version) != version:
            raise Conflict(
                f"{self.path(planned)} is being changed by others; try again.", headers=[("Retry-After", "1")]
            )

    # Conditional references

    def in_order(self) -> tuple[list[Planned], list[Planned]]:
        """What waits, but may be written at once, and what may refer by query to what this transaction writes.

        Conditional references come last, says the specification; those that cannot match anything new come first here,
        so that nearly all resources are written by one statement.
        """
        written = {planned.entry.resource_type for planned in (*self.plan.contents, *self.plan.patches)}
        early: list[Planned] = []
        late: list[Planned] = []
        for planned in self.plan.waiting:
            if planned.entry.method == "POST" and planned.entry.index in self.matches:
                continue
            searched = (o.targets[0].partition("?")[0] for o in conditional_references(planned))
            (early if written.isdisjoint(searched) else late).append(planned)
        return early, late

    def resolve(self, many: Iterable[Planned]) -> None:
        """Look up their conditional references, each query once; those that match nothing stay without a name.

        Raises for those that match several, or cannot be searched.
        """
        tried: dict[str, FhirError | None] = {}
        for planned in many:
            for occurrence in conditional_references(planned):
                text = occurrence.targets[0]
                if text not in self.names and text not in tried:
                    tried[text] = self._resolve(text)
        self._refuse({text: error for text, error in tried.items() if error is not None})

    def _resolve(self, text: str) -> FhirError | None:
        resource_type, _, query = text.partition("?")
        try:
            match = self._find(criteria(resource_type, query))
        except FhirError as error:
            return error
        if match is not None:
            self.names[text] = Name(f"{resource_type}/{match.id}", match.version)
        return None

    def _find(self, wanted: Criteria) -> Match | None:
        self._queries += 1
        if self._queries > MAX_QUERIES:
            raise TooLarge(
                f"The transaction looks up more than {MAX_QUERIES} criteria and conditional references: split it."
            )
        return find(self.ctx, wanted)

    def is_resolved(self, planned: Planned) -> bool:
        """Whether each of its conditional references has a name."""
        return all(occurrence.targets[0] in self.names for occurrence in conditional_references(planned))

    def forget(self, resource_types: set[str]) -> None:
        """These types have been written: what was found by query may not be the only match any more."""
        for text in [
            text for text in self.names if text.partition("?")[0] in resource_types and text not in self.plan.links
        ]:
            del self.names[text]

    def refuse_unresolved(self, many: Iterable[Planned]) -> None:
        """Raise where a conditional reference of theirs matches nothing."""
        texts = {o.targets[0] for planned in many for o in conditional_references(planned)} - set(self.names)
        self._refuse(dict.fromkeys(texts, PreconditionFailed("Nothing matches this conditional reference.")))

    def _refuse(self, failed: Mapping[str, FhirError]) -> None:
        """Raise for these conditional references, wherever they stand; for the first ones, if they are very many."""
        places = (
            (planned, occurrence)
            for planned in self.plan.waiting
            for occurrence in conditional_references(planned)
            if occurrence.targets[0] in failed
        )
        for planned, occurrence in islice(places, MAX_REPORTED if failed else 0):
            error = failed[occurrence.targets[0]]
            where = planned.entry.at(f"resource.{path_to(planned.entry.resource, occurrence)}")
            issues = [replace(issue, expression=where) for issue in error.issues]
            self.problems.add(planned.entry, type(error)(issues=issues))
        self.problems.raise_all()


def conditional_references(planned: Planned) -> Iterable[Occurrence]:
    """The references by query in an entry's resource. https://hl7.org/fhir/R4/http.html#trules"""
    return (occurrence for occurrence in planned.occurrences if occurrence.conditional)
