"""The transaction interaction: every entry or none, in one database transaction. https://hl7.org/fhir/R4/http.html#trules

bundle_plan.py prepares what can be known before; this module looks up what cannot, and writes. Whatever a client may see of
the order (deletes, creates, updates and patches, reads) is the specification's. Rows are locked in the order of their keys, so
that parallel transactions wait for each other instead of blocking each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from fhir_server.errors import Conflict, FhirError, Issue, NotFound, PreconditionFailed
from fhir_server.interactions import bundle_response, entry_run
from fhir_server.interactions import patch as patch_interaction
from fhir_server.interactions.bundle_plan import Plan, Planned, plan, prepare_one, twice
from fhir_server.interactions.conditional import criteria, existing, find, taken, target_id
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.entry import Problems
from fhir_server.interactions.search import Match
from fhir_server.interactions.write import answer, deletion, refused
from fhir_server.r4.instants import format_instant
from fhir_server.r4.rewriting import Name, Occurrence, path_to
from fhir_server.store.resources import Write, Written
from fhir_server.store.store import Store

_CHUNK = 1000
"""Resources that one statement creates: it bounds the memory that a statement's arguments take."""

_ROUNDS = 10
"""How long a chain of new resources may be that refer to each other by query."""


def run(ctx: Context, bundle: dict[str, Any]) -> Response:
    """Run the entries and answer a transaction-response; or raise for the first entry that fails, with all issues.

    Raises BadRequest, Invalid, Forbidden, NotFound, PreconditionFailed, MultipleMatches, Conflict: nothing is written then.
    """
    quiet = entry_run.quiet(ctx)
    made = plan(quiet, bundle)
    answers = ctx.store.transaction(lambda store: _Attempt(quiet, made, store).run())
    ctx.phases.mark("sql")
    response = bundle_response.bundle("transaction-response", answers)
    ctx.phases.mark("serialise")
    return response


class _Attempt:
    """One run of the database transaction. What it finds out is kept here; the plan serves the next attempt unchanged."""

    def __init__(self, ctx: Context, made: Plan, store: Store) -> None:
        self.plan = made
        self.store = store
        self.ctx = ctx.within(store, ctx.access)
        self.problems = Problems()
        self.names: dict[str, Name] = dict(made.names)
        self.ids = {p.entry.index: p.id for p in (*made.deletes, *made.contents, *made.patches)}
        self.matches: dict[int, Match] = {}
        self.expected: dict[int, int | None] = {}
        self.versions: dict[str, int] = {}
        self.answers: dict[int, bytes] = {}

    def run(self) -> list[bytes]:
        """The answers in the order of the entries."""
        made = self.plan
        self.store.lock(*(planned.criteria.lock for planned in made.by_criteria if planned.criteria is not None))
        self.look_up(made.deletes)
        self.delete()
        self.look_up([*made.creates, *made.updates, *made.patches])
        self.refuse_overlap()
        self.problems.raise_all()
        self.pin_versions()
        early, late = self.sorted_waiting()
        self.resolve(o for planned in early for o in planned.occurrences if o.conditional)
        self.report_unresolved(early)
        ready = {p.entry.index: p.write for p in made.contents if p.write is not None}
        self.write(ready | self.prepared(early))
        self.patch()
        self.write_late(late)
        self.answer_repeated()
        self.check_versions()
        self.problems.raise_all()
        self.read()
        self.problems.raise_all()
        return [self.answers[index] for index in sorted(self.answers)]

    def each(self, many: Iterable[Planned], work: Callable[[Planned], None]) -> None:
        """Do it for each entry, noting what fails."""
        for planned in many:
            try:
                work(planned)
            except FhirError as error:
                self.problems.add(planned.entry, error)

    # Look-ups

    def look_up(self, many: Sequence[Planned]) -> None:
        """Find what conditional entries mean. https://hl7.org/fhir/R4/http.html#cond-update"""
        self.each([p for p in many if p.criteria is not None and p.same_as is None], self.look_up_one)

    def look_up_one(self, planned: Planned) -> None:
        assert planned.criteria is not None
        entry, index = planned.entry, planned.entry.index
        match = find(self.ctx, planned.criteria)
        if match is not None:
            self.matches[index] = match
        if entry.method == "POST":
            if match is not None:
                response = existing(self.ctx, entry.resource_type, match)
                self.answers[index] = bundle_response.entry(self.ctx.base_url, response)
                name = Name(f"{entry.resource_type}/{match.id}", match.version, assigned=True)
                for url, link in self.plan.links.items():
                    if link is planned or link.same_as is planned:
                        self.names[url] = name
            return
        if entry.method == "PATCH" and match is None:
            raise NotFound(f"No {entry.resource_type} matches the criteria.")
        if entry.method == "PUT":
            self.ids[index] = target_id(match, entry.resource.get("id"))
            if planned.expect is None:
                self.expected[index] = match.version if match else 0
        elif match is not None:
            self.ids[index] = match.id
        if entry.full_url in self.names:
            self.names[entry.full_url] = Name(self.path(planned))

    def path(self, planned: Planned) -> str:
        return f"{planned.entry.resource_type}/{self.ids[planned.entry.index]}"

    def refuse_overlap(self) -> None:
        """Criteria may lead to a resource that another entry writes."""
        paths: dict[str, Planned] = {}
        for planned in (*self.plan.deletes, *self.plan.updates, *self.plan.patches):
            if not self.ids[planned.entry.index]:
                continue
            first = paths.setdefault(self.path(planned), planned)
            if first is not planned:
                self.problems.add(planned.entry, twice(planned, first))

    def pin_versions(self) -> None:
        """Find the versions that updates will make, where a reference asks to name them."""
        for planned in self.plan.waiting:
            for occurrence in planned.occurrences:
                url = occurrence.targets[0]
                if not occurrence.resolve or occurrence.conditional or self.names[url].version is not None:
                    continue
                target = self.plan.links[url]
                stored = self.store.read(target.ctx.access, target.entry.resource_type, self.ids[target.entry.index])
                version = stored.version + 1 if stored else 1
                self.names[url] = self.names[url]._replace(version=version)
                self.versions[url] = version

    def check_versions(self) -> None:
        for url, version in self.versions.items():
            if self.names[url].version != version:
                self.problems.add(
                    self.plan.links[url].entry, Conflict("The resource is being changed by others; try again.")
                )

    def sorted_waiting(self) -> tuple[list[Planned], list[Planned]]:
        """What can be resolved before anything is written, and what may refer by query to what this transaction writes.

        https://hl7.org/fhir/R4/http.html#trules: conditional references come last.
        """
        written = {p.entry.resource_type for p in (*self.plan.contents, *self.plan.patches)}
        early, late = [], []
        for planned in self.plan.waiting:
            if planned.entry.index in self.matches and planned.entry.method == "POST":
                continue
            by_query = (o.targets[0].partition("?")[0] for o in planned.occurrences if o.conditional)
            (early if written.isdisjoint(by_query) else late).append(planned)
        return early, late

    def resolve(self, occurrences: Iterable[Occurrence]) -> None:
        """Look up conditional references, each query once; those that match nothing stay without a name."""
        failed: set[str] = set()
        for occurrence in occurrences:
            text = occurrence.targets[0]
            if text in self.names or text in failed:
                continue
            resource_type, _, query = text.partition("?")
            try:
                match = find(self.ctx, criteria(resource_type, query))
            except FhirError as error:
                failed.add(text)
                self.report(occurrence, error)
                continue
            if match is not None:
                self.names[text] = Name(f"{resource_type}/{match.id}", match.version)
            else:
                failed.add(text)

    def report(self, occurrence: Occurrence, error: FhirError) -> None:
        """Note an error of every entry that has the same conditional reference, where it stands."""
        for planned in self.plan.waiting:
            for other in planned.occurrences:
                if other.conditional and other.targets == occurrence.targets:
                    path = path_to(planned.entry.resource, other)
                    issue = type(error)(
                        issues=[_at(i, f"{planned.entry.location}.resource.{path}") for i in error.issues]
                    )
                    self.problems.add(planned.entry, issue)

    def report_unresolved(self, many: Iterable[Planned]) -> None:
        reported: set[str] = set()
        for planned in many:
            for occurrence in planned.occurrences:
                text = occurrence.targets[0]
                if occurrence.conditional and text not in self.names and text not in reported:
                    reported.add(text)
                    self.report(occurrence, PreconditionFailed("Nothing matches this conditional reference."))
        self.problems.raise_all()

    # Writes

    def delete(self) -> None:
        def delete_one(planned: Planned) -> None:
            resource_id, index = self.ids[planned.entry.index], planned.entry.index
            if not resource_id:
                self.answers[index] = bundle_response.entry(self.ctx.base_url, Response(204))
                return
            write = deletion(planned.entry.resource_type, resource_id, planned.expect)
            written = self.store.put(write)
            if written.status not in ("deleted", "gone"):
                raise refused(write, written)
            response = Response(204, version=written.version or None, last_updated=written.last_updated or None)
            self.answers[index] = bundle_response.entry(self.ctx.base_url, response)

        self.each(sorted(self.plan.deletes, key=self.key), delete_one)

    def key(self, planned: Planned) -> int:
        return self.store.hasher.uncached(self.path(planned))

    def prepared(self, many: Iterable[Planned]) -> dict[int, Write]:
        """Waiting entries with their references in place, validated and indexed."""
        found = {}
        for planned in many:
            index = planned.entry.index
            for occurrence in planned.occurrences:
                occurrence.write(self.names)
            expect = self.expected.get(index, planned.expect)
            write = prepare_one(planned, self.ids[index], expect, self.problems)
            if write is not None:
                found[index] = write
        self.problems.raise_all()
        return found

    def write(self, writes: dict[int, Write]) -> None:
        """Write these entries; what is new in one statement, in the order of keys."""
        creates = [p for p in self.plan.creates if p.entry.index in writes and p.entry.index not in self.matches]
        for start in range(0, len(creates), _CHUNK):
            self.create_many(creates[start : start + _CHUNK], writes, fresh=True)
        updates = sorted((p for p in self.plan.updates if p.entry.index in writes), key=self.key)
        plain = [p for p in updates if writes[p.entry.index].expect is None]
        if len(plain) > 1 and self.is_new(plain[0]):
            # Most likely all of them are: then one statement writes them.
            for start in range(0, len(plain), _CHUNK):
                self.create_many(plain[start : start + _CHUNK], writes, fresh=False)
        self.each(updates, lambda planned: self.put(planned, writes[planned.entry.index]))

    def is_new(self, planned: Planned) -> bool:
        return self.store.read(planned.ctx.access, planned.entry.resource_type, self.ids[planned.entry.index]) is None

    def create_many(self, many: list[Planned], writes: dict[int, Write], *, fresh: bool) -> None:
        """Create what does not exist; what does is left for `put`."""
        while many:
            there, last_updated = self.store.create_many([writes[p.entry.index] for p in many], fresh=fresh)
            if not there:
                break
            found = set(there)
            many = [planned for position, planned in enumerate(many) if position not in found]
        if many:
            instant = format_instant(last_updated)
            for planned in many:
                self.written(planned, writes[planned.entry.index], Written("created", 1, last_updated), instant)

    def put(self, planned: Planned, write: Write) -> None:
        """Write one version, unless `create_many` did."""
        if planned.entry.index in self.answers:
            return
        written = self.store.put(write)
        if written.status in ("created", "updated"):
            self.written(planned, write, written, format_instant(written.last_updated))
        elif planned.criteria is not None and planned.expect is None:
            if written.status == "exists":
                raise taken(write.resource_type, write.id)
            raise Conflict(f"{self.path(planned)} is being changed by others; try again.")
        else:
            raise refused(write, written)

    def written(self, planned: Planned, write: Write, written: Written, instant: str) -> None:
        entry = planned.entry
        if self.ctx.prefer.returning == "minimal":
            status = 201 if written.status == "created" else 200
            self.answers[entry.index] = bundle_response.written(
                f"{write.resource_type}/{write.id}", status, written.version, instant
            )
        else:
            self.answers[entry.index] = bundle_response.entry(self.ctx.base_url, answer(self.ctx, write, written))
        if entry.full_url in self.versions:
            self.names[entry.full_url] = self.names[entry.full_url]._replace(version=written.version)

    def patch(self) -> None:
        def patch_one(planned: Planned) -> None:
            entry = planned.entry
            assert planned.document is not None
            document, kind = planned.document
            inner = planned.ctx.within(self.store, planned.ctx.access)
            response = patch_interaction.run(
                inner, entry.resource_type, self.ids[entry.index], document, kind, entry.conditions
            )
            self.answers[entry.index] = bundle_response.entry(self.ctx.base_url, response)
            if entry.full_url in self.versions:
                self.names[entry.full_url] = self.names[entry.full_url]._replace(version=response.version)

        self.each(sorted(self.plan.patches, key=self.key), patch_one)

    def write_late(self, late: list[Planned]) -> None:
        """Write what refers by query to what may have just been written, until nothing more can be resolved."""
        texts = {o.targets[0]: o for planned in late for o in planned.occurrences if o.conditional}
        rounds = 0
        while late:
            rounds += 1
            self.resolve(texts.values())
            self.problems.raise_all()
            ready = [p for p in late if all(o.targets[0] in self.names for o in p.occurrences if o.conditional)]
            if not ready or rounds > _ROUNDS:
                self.report_unresolved(late)
            self.write(self.prepared(ready))
            written = {p.entry.resource_type for p in ready}
            late = [p for p in late if p not in ready]
            for text in texts:
                # What was just written may match as well: then the reference was ambiguous.
                if text in self.names and text.partition("?")[0] in written:
                    del self.names[text]
        self.resolve(texts.values())

    def answer_repeated(self) -> None:
        """The entries that are the same as another, which has been created or found by now."""
        for planned in self.plan.creates:
            if planned.same_as is None:
                continue
            first = planned.same_as
            match = self.matches.get(first.entry.index)
            resource_id = match.id if match else first.id
            stored = self.store.read(planned.ctx.access, planned.entry.resource_type, resource_id)
            if stored is None:
                raise Conflict("The resource is being changed by others; try again.")
            location = f"{planned.entry.resource_type}/{resource_id}/_history/{stored.version}"
            response = Response(200, None, stored.version, stored.last_updated, location)
            if self.ctx.prefer.returning == "representation":
                response.body = stored.to_bytes()
            self.answers[planned.entry.index] = bundle_response.entry(self.ctx.base_url, response)

    def read(self) -> None:
        def read_one(planned: Planned) -> None:
            inner = planned.ctx.within(self.store, planned.ctx.access)
            self.answers[planned.entry.index] = bundle_response.entry(
                self.ctx.base_url, entry_run.run(inner, planned.entry)
            )

        self.each(self.plan.reads, read_one)


def _at(issue: Issue, expression: str) -> Issue:
    return replace(issue, expression=expression)
