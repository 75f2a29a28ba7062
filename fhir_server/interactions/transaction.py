"""The transaction interaction: every entry or none, in one database transaction. https://hl7.org/fhir/R4/http.html#trules

bundle_plan.py prepares what can be known before, bundle_lookup.py finds out the rest; here it is written, in the order
that the specification wants a client to see: deletes, creates, updates and patches, reads. Rows are locked in the order
of their keys, so that parallel transactions wait for each other in turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.errors import Conflict
from fhir_server.interactions import bundle_response, entry_run, guard
from fhir_server.interactions import patch as patch_interaction
from fhir_server.interactions.bundle_lookup import Lookup
from fhir_server.interactions.bundle_memory import collection_paused
from fhir_server.interactions.bundle_plan import Plan, Planned, plan, prepare_one
from fhir_server.interactions.conditional import existing, taken
from fhir_server.interactions.context import Context, Response
from fhir_server.interactions.entry import note
from fhir_server.interactions.entry_problems import Problems
from fhir_server.interactions.write import answer, deletion, refused
from fhir_server.r4.instants import format_instant
from fhir_server.store.resources import Write, Written
from fhir_server.store.row_locks import lock_rows
from fhir_server.store.store import Store

_CHUNK = 1000
"""Resources that one statement creates: it bounds the memory that a statement's arguments take."""

_ROUNDS = 10
"""How long a chain of new resources may be that refer to each other by query."""


def run(ctx: Context, bundle: dict[str, Any]) -> Response:
    """Run the entries and answer a transaction-response, or raise for the first entry that fails, with all issues.

    The bundle's resources are changed: references are written into them. Raises BadRequest, Invalid, Forbidden,
    NotFound, PreconditionFailed, MultipleMatches, Conflict; nothing is written then.
    """
    quiet = entry_run.quiet(ctx)
    entries = bundle.get("entry")
    with collection_paused(len(entries) if isinstance(entries, list) else 0):
        made = plan(quiet, bundle)
        answers = ctx.store.transaction(lambda store: _Attempt(quiet, made, store).run())
        ctx.phases.mark("sql")
        response = bundle_response.bundle("transaction-response", answers)
    ctx.phases.mark("serialise")
    return response


class _Attempt:
    """One run of the database transaction: it may come to another one if it loses against a parallel transaction."""

    def __init__(self, ctx: Context, made: Plan, store: Store) -> None:
        self.plan = made
        self.store = store
        self.ctx = ctx.within(store, ctx.access)
        self.problems = Problems()
        self.lookup = Lookup(self.ctx, made, self.problems)
        self.answers: dict[int, bytes] = {}
        self.there: set[str] = set()

    def run(self) -> list[bytes]:
        """The answers in the order of the entries."""
        made, lookup, store = self.plan, self.lookup, self.store
        store.lock(*{criteria.lock for criteria in made.criteria})
        lookup.criteria(made.deletes)
        self.there = lock_rows(store, lookup.paths())
        self.delete()
        lookup.criteria((*made.creates, *made.updates, *made.patches))
        lookup.refuse_overlap()
        self.problems.raise_all()
        lookup.pin_versions()
        early, late = lookup.in_order()
        lookup.resolve(early)
        lookup.refuse_unresolved(early)
        self.write({p.entry.index: p.write for p in made.contents if p.write is not None} | self.prepared(early))
        self.answer_existing()
        self.patch()
        self.write_late(late)
        lookup.each(made.creates, self.answer_repeated)
        self.problems.raise_all()
        lookup.each(made.reads, self.read)
        self.problems.raise_all()
        return [self.answers[index] for index in sorted(self.answers)]

    def prepared(self, many: Iterable[Planned]) -> dict[int, Write]:
        """Waiting entries with their references in place, validated and indexed."""
        found = {}
        for planned in many:
            index = planned.entry.index
            for occurrence in planned.occurrences:
                occurrence.write(self.lookup.names)
            expect = self.lookup.expected.get(index, planned.expect)
            write = prepare_one(planned, self.lookup.ids[index], expect, self.problems)
            if write is not None:
                found[index] = write
        self.problems.raise_all()
        return found

    def key(self, planned: Planned) -> int:
        return self.store.hasher.uncached(self.lookup.path(planned))

    def delete(self) -> None:
        self.lookup.each(sorted(self.plan.deletes, key=self.key), self.delete_one)

    def delete_one(self, planned: Planned) -> None:
        resource_id = self.lookup.ids[planned.entry.index]
        if not resource_id:
            # Nothing matched the criteria: https://hl7.org/fhir/R4/http.html#3.1.0.7.1
            self.respond(planned, Response(204))
            return
        write = deletion(planned.entry.resource_type, resource_id, planned.expect)
        written = guard.put(self.inside(planned), write)
        if written.status not in ("deleted", "gone"):
            raise refused(write, written)
        self.respond(planned, Response(204, None, written.version or None, written.last_updated or None))

    def write(self, writes: dict[int, Write]) -> None:
        """Write these entries; what is new in one statement."""
        creates = [p for p in self.plan.creates if p.entry.index in writes and p.entry.index not in self.lookup.matches]
        for start in range(0, len(creates), _CHUNK):
            self.create_many(creates[start : start + _CHUNK], writes, fresh=True)
        updates = sorted((p for p in self.plan.updates if p.entry.index in writes), key=self.key)
        new: list[Planned] = []
        others: list[Planned] = []
        for planned in updates:
            is_new = writes[planned.entry.index].expect is None and self.lookup.path(planned) not in self.there
            # Under an id of one's own choice only those write who may write everything of the type.
            is_new = is_new and planned.ctx.access.without_consents().whole(planned.entry.resource_type)
            (new if is_new else others).append(planned)
        self.put_each(others, writes)
        for start in range(0, len(new), _CHUNK):
            self.create_many(new[start : start + _CHUNK], writes, fresh=False)
        self.put_each([planned for planned in new if planned.entry.index not in self.answers], writes)

    def put_each(self, many: Iterable[Planned], writes: dict[int, Write]) -> None:
        self.lookup.each(many, lambda planned: self.put(planned, writes[planned.entry.index]))

    def create_many(self, many: list[Planned], writes: dict[int, Write], *, fresh: bool) -> None:
        """Create what does not exist; what has come to exist meanwhile is left over, for `put`."""
        for access in dict.fromkeys(planned.ctx.access for planned in many):
            guard.check(self.ctx, access, [writes[p.entry.index] for p in many if p.ctx.access == access])
        while many:
            there, last_updated = self.store.create_many([writes[p.entry.index] for p in many], fresh=fresh)
            if not there:
                instant = format_instant(last_updated)
                for planned in many:
                    write, written = writes[planned.entry.index], Written("created", 1, last_updated)
                    guard.note(self.ctx, write, written)
                    self.written(planned, write, written, instant)
                return
            found = set(there)
            many = [planned for position, planned in enumerate(many) if position not in found]

    def put(self, planned: Planned, write: Write) -> None:
        written = guard.put(self.inside(planned), write)
        if written.status in ("created", "updated"):
            self.written(planned, write, written, format_instant(written.last_updated))
            return
        by_match = planned.criteria is not None and planned.expect is None
        if by_match and written.status == "exists":
            raise taken(write.resource_type, write.id)
        if by_match and written.status == "conflict":
            raise Conflict(f"{write.resource_type}/{write.id} is being changed by others; try again.")
        raise refused(write, written)

    def written(self, planned: Planned, write: Write, written: Written, instant: str) -> None:
        self.lookup.check_version(planned, written.version)
        if self.ctx.prefer.returning == "minimal":
            name, status = f"{write.resource_type}/{write.id}", 201 if written.status == "created" else 200
            self.answers[planned.entry.index] = bundle_response.written(name, status, written.version, instant)
        else:
            self.respond(planned, answer(self.ctx, write, written))

    def answer_existing(self) -> None:
        """The creates whose criteria found the resource."""
        for planned in self.plan.creates:
            match = self.lookup.matches.get(planned.entry.index)
            if match is not None:
                self.respond(planned, existing(self.ctx, planned.entry.resource_type, match))

    def patch(self) -> None:
        self.lookup.each(sorted(self.plan.patches, key=self.key), self.patch_one)

    def patch_one(self, planned: Planned) -> None:
        if planned.document is None:
            raise ValueError("a patch has a document")
        entry, (document, kind) = planned.entry, planned.document
        ctx, resource_id = self.inside(planned), self.lookup.ids[planned.entry.index]
        response = patch_interaction.run(ctx, entry.resource_type, resource_id, document, kind, entry.conditions)
        self.lookup.check_version(planned, response.version)
        self.respond(planned, response)

    def write_late(self, late: list[Planned]) -> None:
        """Write what refers by query to what may have just been written, until nothing more can be resolved."""
        everything = late
        for _ in range(_ROUNDS):
            if not late:
                break
            self.lookup.resolve(late)
            ready: list[Planned] = []
            still: list[Planned] = []
            for planned in late:
                (ready if self.lookup.is_resolved(planned) else still).append(planned)
            if not ready:
                break
            self.write(self.prepared(ready))
            late = still
            self.lookup.forget({planned.entry.resource_type for planned in ready})
        self.lookup.refuse_unresolved(late)
        # What was written last may match earlier references as well: then they were ambiguous.
        self.lookup.resolve(everything)

    def answer_repeated(self, planned: Planned) -> None:
        """An entry that is the same as another, whose resource exists by now."""
        if planned.same_as is None:
            return
        match = self.lookup.matches.get(planned.same_as.entry.index)
        resource_type, resource_id = planned.entry.resource_type, match.id if match else planned.same_as.id
        stored = self.store.read(planned.ctx.access, resource_type, resource_id)
        if stored is None or stored.deleted:
            raise Conflict(f"{resource_type}/{resource_id} is being changed by others; try again.")
        location = f"{resource_type}/{resource_id}/_history/{stored.version}"
        body = stored.to_bytes() if self.ctx.prefer.returning == "representation" else None
        self.respond(planned, Response(200, body, stored.version, stored.last_updated, location))

    def read(self, planned: Planned) -> None:
        response = entry_run.run(self.inside(planned), planned.entry)
        note(self.ctx, planned.entry, response.status)
        self.respond(planned, response)

    def inside(self, planned: Planned) -> Context:
        """The entry's own decision, inside this transaction."""
        return planned.ctx.within(self.store, planned.ctx.access)

    def respond(self, planned: Planned, response: Response) -> None:
        self.answers[planned.entry.index] = bundle_response.entry(self.ctx.base_url, response)
