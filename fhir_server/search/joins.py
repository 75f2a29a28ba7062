"""Chains, reverse chains and compartments as conditions: joins over the index of references.

A resource is found by the hash of its Type/id (``resource.key``), a canonical reference by the URL that the resource
says is its own. Each step is a look-up for each row (LATERAL with OFFSET 0): the planner cannot know how many rows a
chain leaves, and reads everything where it guesses wrong. https://hl7.org/fhir/R4/search.html#chaining
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from dataclasses import dataclass

from fhir_server.r4 import definitions
from fhir_server.search.condition import SEEDS, Condition
from fhir_server.search.registry import Parameter
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import reference


def guarded(condition: Condition, guard: Condition, tenant: str) -> Condition:
    """A condition and one more on the row ``r``, both to hold."""
    if not condition.rids:
        return Condition(row=f"({condition.row} AND {guard.row})")
    tested = guard.test("m.rid", tenant)

    def probe(rid: str) -> str:
        return f"({condition.test(rid, tenant)} AND {guard.test(rid, tenant)})"

    return Condition(
        f"SELECT m.rid FROM ({condition.rids}) m WHERE {tested}",
        row=f"({condition.row or condition.test('r.rid', tenant)} AND {guard.row})",
        probe=probe,
        stream=f"SELECT m.rid FROM ({condition.stream or condition.rids}) m WHERE {tested}",
    )


@dataclass(frozen=True, slots=True)
class Joins:
    """Builds the SQL of joins of one statement."""

    sql: SqlParameters

    def scope(self, *resource_types: str) -> str:
        """The condition that the row ``r`` is a resource of the type, or of one of the types, that exists. The tenant
        and the type lead every index; row level security is the second lock, not this one."""
        numbers = [definitions.load().type_ids[name] for name in resource_types]
        chosen = f"= {self.sql.bind(numbers[0], 'smallint')}"
        if len(numbers) > 1:
            chosen = f"= ANY({self.sql.bind(numbers, 'smallint[]')})"
        return f"r.tenant_id = {self.sql.tenant} AND r.type_id {chosen} AND NOT r.deleted"

    def chain(self, parameter: Parameter, targets: list[tuple[str, Condition]]) -> Condition:
        """What refers by ``parameter`` to a resource of one of the types that meets the condition beside it."""
        sets, streams, probes = [], [], []
        by_key, by_url = reference.holds_references(parameter), reference.holds_canonicals(parameter)
        for name, condition in targets:
            if by_key:
                sets.append(self._set(name, condition, "key"))
                streams.append(self._keys(name, condition))
                probes.append(self._probe_key(name, condition))
            if by_url and reference.has_url(name):
                sets.append(self._urls(name, condition, stream=False))
                streams.append(self._urls(name, condition, stream=True))
                probes.append(self._probe_url(name, condition))
        if not sets:
            return Condition(row="false")
        referring = f"i.tenant_id = {self.sql.tenant} AND i.param = {self.sql.bind(parameter.param, 'int')}"
        found = f"SELECT i.rid FROM idx_reference i WHERE {referring} AND i.target = k.key OFFSET 0"
        onwards = f"k CROSS JOIN LATERAL ({found}) i"
        own = f"SELECT i.target FROM idx_reference i WHERE {referring} AND i.rid = w.rid OFFSET 0"
        seed = " UNION ALL ".join(streams)

        def probe(rid: str) -> str:
            return (
                f"EXISTS (SELECT FROM (SELECT {rid} AS rid) w CROSS JOIN LATERAL ({own}) w1 "
                f"WHERE {' OR '.join(probes)} OFFSET 0)"
            )

        def among(rid: str, seeds: str) -> str:
            # IS TRUE keeps PostgreSQL from joining the seeds for each row: they are hashed once.
            return (
                f"EXISTS (SELECT FROM (SELECT {rid} AS rid) w CROSS JOIN LATERAL ({own}) w1 "
                f"WHERE (w1.target IN (SELECT s.key FROM {seeds} s)) IS TRUE OFFSET 0)"
            )

        return Condition(
            f"SELECT i.rid FROM idx_reference i WHERE {referring} AND i.target IN ({' UNION ALL '.join(sets)})",
            probe=probe,
            stream=f"SELECT i.rid FROM ({seed}) {onwards}",
            seed=seed,
            follow=f"SELECT i.rid FROM {SEEDS} {onwards}",
            among=among,
        )

    def has(self, parameter: Parameter, condition: Condition, resource_type: str, guard: str = "") -> Condition:
        """What a resource that meets the condition refers to by ``parameter``.

        ``guard`` is one more condition, on the row ``r`` of that resource. What is worth counting is counted without
        it: to look at the rows of many for that would cost more than the search.
        """
        source = parameter.resource_type
        referring = f"i.tenant_id = {self.sql.tenant} AND i.param = {self.sql.bind(parameter.param, 'int')}"
        seed = self._stream(source, condition)
        found_guarded = ""
        if guard:
            held = Condition(row=guard)
            found_guarded = f" WHERE {held.test('m.key', self.sql.tenant)}"
            condition = guarded(condition, held, self.sql.tenant)
        targets = f"SELECT i.target FROM idx_reference i WHERE {referring} AND i.rid"
        found = f"{targets} = m.key OFFSET 0"
        whole = f"{targets} IN ({self._set(source, condition, 'rid')})"
        sets, follows, probes = [], [], []
        referred_to = f"(SELECT DISTINCT t.target FROM {SEEDS} m CROSS JOIN LATERAL ({found}) t{found_guarded}) k"
        test = condition.test("w1.rid", self.sql.tenant)
        referred = f"SELECT i.rid FROM idx_reference i WHERE {referring} AND i.target"
        if reference.holds_references(parameter):
            sets.append(f"SELECT r.rid FROM resource r WHERE {self.scope(resource_type)} AND r.key IN ({whole})")
            follows.append(
                f"SELECT r.rid FROM {referred_to} CROSS JOIN LATERAL (SELECT r.rid FROM resource r "
                f"WHERE {self.scope(resource_type)} AND r.key = k.target OFFSET 0) r"
            )
            own = f"SELECT r.key FROM resource r WHERE r.tenant_id = {self.sql.tenant} AND r.rid = w.rid OFFSET 0"
            probes.append(f"({own}) k CROSS JOIN LATERAL ({referred} = k.key OFFSET 0) w1")
        if reference.holds_canonicals(parameter) and reference.has_url(resource_type):
            known = (
                f"idx_reference o WHERE o.tenant_id = {self.sql.tenant} AND "
                f"o.param = {self.sql.bind(reference.own_url(resource_type), 'int')}"
            )
            sets.append(f"SELECT o.rid FROM {known} AND o.target IN ({whole})")
            follows.append(
                f"SELECT o.rid FROM {referred_to} CROSS JOIN LATERAL "
                f"(SELECT o.rid FROM {known} AND o.target = k.target OFFSET 0) o"
            )
            own = f"SELECT o.target AS key FROM {known} AND o.rid = w.rid OFFSET 0"
            probes.append(f"({own}) k CROSS JOIN LATERAL ({referred} = k.key OFFSET 0) w1")
        if not sets:
            return Condition(row="false")
        follow = " UNION ALL ".join(follows)

        def probe(rid: str) -> str:
            each = (
                f"EXISTS (SELECT FROM (SELECT {rid} AS rid) w CROSS JOIN LATERAL {one} WHERE {test} OFFSET 0)"
                for one in probes
            )
            return f"({' OR '.join(each)})"

        return Condition(
            " UNION ALL ".join(sets),
            probe=probe,
            stream=follow.replace(SEEDS, f"({seed})"),
            seed=seed,
            follow=follow,
        )

    def member(self, owner: int, parameters: tuple[Parameter, ...]) -> Condition:
        """What refers to the resource with the key ``owner`` by one of the parameters; the owner itself, for none."""
        key = self.sql.bind(owner, "bigint")
        if not parameters:
            return Condition(row=f"r.key = {key}")
        params = self.sql.bind([parameter.param for parameter in parameters], "int[]")
        return Condition(
            f"SELECT i.rid FROM idx_reference i WHERE i.tenant_id = {self.sql.tenant} AND "
            f"i.target = {key} AND i.param = ANY({params})"
        )

    def _set(self, resource_type: str, condition: Condition, column: str) -> str:
        """One column of the resources that meet a condition, for the planner to join as it likes."""
        if column == "rid" and condition.rids:
            return condition.rids
        row = f"r.rid IN ({condition.rids})" if condition.rids else condition.row
        return f"SELECT r.{column} FROM resource r WHERE {self.scope(resource_type)} AND {row}"

    def _stream(self, resource_type: str, condition: Condition) -> str:
        """The rids of the resources that meet a condition as a column ``key``, one after the other."""
        streamed = condition.stream or condition.rids
        if streamed:
            return f"SELECT m.rid AS key FROM ({streamed}) m"
        return f"SELECT r.rid AS key FROM resource r WHERE {self.scope(resource_type)} AND {condition.row}"

    def _keys(self, resource_type: str, condition: Condition) -> str:
        """The keys of the resources that meet a condition, one after the other."""
        streamed = condition.stream or condition.rids
        if not streamed:
            return f"SELECT r.key FROM resource r WHERE {self.scope(resource_type)} AND {condition.row}"
        return (
            f"SELECT r.key FROM ({streamed}) m CROSS JOIN LATERAL "
            f"(SELECT r.key FROM resource r WHERE r.tenant_id = {self.sql.tenant} AND r.rid = m.rid OFFSET 0) r"
        )

    def _urls(self, resource_type: str, condition: Condition, *, stream: bool) -> str:
        """The hashes of the canonical URLs of the resources that meet a condition."""
        known = (
            f"o.tenant_id = {self.sql.tenant} AND o.param = {self.sql.bind(reference.own_url(resource_type), 'int')}"
        )
        if not stream:
            found = self._set(resource_type, condition, "rid")
            return f"SELECT o.target FROM idx_reference o WHERE {known} AND o.rid IN ({found})"
        return (
            f"SELECT o.target AS key FROM ({self._stream(resource_type, condition)}) m CROSS JOIN LATERAL "
            f"(SELECT o.target FROM idx_reference o WHERE {known} AND o.rid = m.key OFFSET 0) o"
        )

    def _probe_key(self, resource_type: str, condition: Condition) -> str:
        """The condition that the target of w1 is the key of a resource that meets the condition."""
        found = f"SELECT r.rid FROM resource r WHERE {self.scope(resource_type)} AND r.key = w1.target"
        if not condition.rids:
            return f"EXISTS ({found} AND {condition.row} OFFSET 0)"
        return f"EXISTS (SELECT FROM ({found} OFFSET 0) w2 WHERE {condition.test('w2.rid', self.sql.tenant)} OFFSET 0)"

    def _probe_url(self, resource_type: str, condition: Condition) -> str:
        """The condition that the target of w1 is the URL of a resource that meets the condition."""
        found = (
            f"SELECT o.rid FROM idx_reference o WHERE o.tenant_id = {self.sql.tenant} AND "
            f"o.param = {self.sql.bind(reference.own_url(resource_type), 'int')} AND o.target = w1.target OFFSET 0"
        )
        return f"EXISTS (SELECT FROM ({found}) w2 WHERE {condition.test('w2.rid', self.sql.tenant)} OFFSET 0)"
