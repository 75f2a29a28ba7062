"""What a transaction has to look up before it can write: criteria, conditional references, versions.

https://hl7.org/fhir/R4/http.html#trules. All of it happens inside the database transaction that writes, and sees what
that has written so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from fhir_server.errors import Conflict, FhirError, NotFound, PreconditionFailed
from fhir_server.interactions.bundle_plan import Plan, Planned, twice
from fhir_server.interactions.conditional import criteria, find, target_id
from fhir_server.interactions.context import Context
from fhir_server.interactions.entry import Problems
from fhir_server.interactions.search import Match
from fhir_server.r4.rewriting import Name, Occurrence, path_to


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
        match = find(self.ctx, planned.criteria)
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
        for url, link in self.plan.links.items():
            if link is planned or link.same_as is planned:
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
        tried: set[str] = set()
        for planned in many:
            for occurrence in conditional_references(planned):
                text = occurrence.targets[0]
                if text in self.names or text in tried:
                    continue
                tried.add(text)
                resource_type, _, query = text.partition("?")
                try:
                    match = find(self.ctx, criteria(resource_type, query))
                except FhirError as error:
                    self._report(text, error)
                else:
                    if match is not None:
                        self.names[text] = Name(f"{resource_type}/{match.id}", match.version)
        self.problems.raise_all()

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
        for text in texts:
            self._report(text, PreconditionFailed("Nothing matches this conditional reference."))
        self.problems.raise_all()

    def _report(self, text: str, error: FhirError) -> None:
        """Note the error wherever this conditional reference stands."""
        for planned in self.plan.waiting:
            for occurrence in conditional_references(planned):
                if occurrence.targets[0] == text:
                    where = f"{planned.entry.location}.resource.{path_to(planned.entry.resource, occurrence)}"
                    issues = [replace(issue, expression=where) for issue in error.issues]
                    self.problems.add(planned.entry, type(error)(issues=issues))


def conditional_references(planned: Planned) -> Iterable[Occurrence]:
    """The references by query in an entry's resource. https://hl7.org/fhir/R4/http.html#trules"""
    return (occurrence for occurrence in planned.occurrences if occurrence.conditional)
