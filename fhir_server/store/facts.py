"""What a resource that is not in the tables tells of itself, for the half of the decision in memory. docs/access.md"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from fhir_server.access.compartments import VIA, codes, on_row
from fhir_server.access.conditions import Consented, Related
from fhir_server.access.consents import Row, Rule, denied
from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.r4 import json
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.reading import now
from fhir_server.store.resources import TYPE_IDS
from fhir_server.store.restriction import label_hashes, roles_of
from fhir_server.store.searching import run_search


@dataclass(frozen=True, slots=True)
class RowFacts:
    """The facts of one resource, out of its index rows.

    ``patients`` are the keys of those it is about. ``known`` maps a person to the keys that relations have of them,
    ``relations`` are (person, patient, kind) of now. ``every`` says that all of its patients must be within reach and
    not one of them: whoever writes about two patients must be related to both. ``rules`` are those of its patients'
    consents, by patient; ``key`` is its own where it has one already, and ``at`` the time of asking.
    """

    resource_type: str
    patients: frozenset[int]
    rows: IndexRows
    hasher: Hasher
    known: Mapping[str, frozenset[int]] = field(default_factory=dict)
    relations: frozenset[tuple[int, int, int]] = frozenset()
    every: bool = False
    rules: Mapping[int, Sequence[Rule]] = field(default_factory=dict)
    key: int = 0
    at: int = 0

    def about(self, patient: str) -> bool:
        """Is it about this patient ("Patient/1")?"""
        key = self.hasher.uncached(patient)
        return self.patients == {key} if self.every else key in self.patients

    def related(self, persons: Sequence[str], kinds: Sequence[int]) -> bool:
        """Is one of these persons related to its patient, now, by one of these kinds?"""
        keys = frozenset().union(*(self.known.get(person, frozenset()) for person in persons))
        reached = {patient for person, patient, kind in self.relations if person in keys and kind in kinds}
        if self.every:
            return bool(self.patients) and self.patients <= reached
        return not self.patients.isdisjoint(reached)

    def names(self, persons: Sequence[str]) -> bool:
        """Does it refer to one of these persons?"""
        keys = {self.hasher.uncached(person) for person in persons}
        return any(target in keys for _, target in self.rows.references)

    def labelled(self, labels: Sequence[str]) -> bool:
        """Has it one of these security labels ("system|code")?"""
        return not set(label_hashes(self.hasher, self.resource_type, labels)).isdisjoint(self.rows.tokens)

    def has_any(self, tokens: Sequence[int], targets: Sequence[tuple[int, int]]) -> bool:
        """Has it one of these tokens, or one of these references?"""
        return not (set(tokens).isdisjoint(self.rows.tokens) and set(targets).isdisjoint(self.rows.references))

    def withheld(self, persons: Sequence[str]) -> bool:
        """Does a consent of its patient withhold it from these persons?"""
        if not self.rules or self.resource_type == "Consent":
            return False
        rows = self.rows
        row = Row(TYPE_IDS[self.resource_type], self.key, frozenset(rows.tokens), rows.date_low, rows.date_high)
        keys = frozenset().union(*(self.known.get(person, frozenset()) for person in persons))
        return any(denied(self.rules.get(patient, ()), row, keys, self.at) for patient in self.patients)


def load(
    connection: psycopg.Connection,
    tenant_id: int,
    hasher: Hasher,
    access: Access,
    resources: Sequence[tuple[str, IndexRows]],
    *,
    every: bool,
    keys: Sequence[int] = (),
) -> list[RowFacts]:
    """The facts of some resources, by one statement for all of them. ``every`` as in `RowFacts`.

    ``keys`` are the resources' own, where they are known; consents are looked at where the access minds them.
    """
    persons = _persons(access)
    named = [_named(resource_type, rows) for resource_type, rows in resources]
    through = {target for (kind, _), of in zip(resources, named, strict=True) if kind in VIA for target in of}
    wanted = set().union(*named) if named else set()
    of_persons = {person: hasher.uncached(person) for person in persons}
    binder = _Binder(tenant_id)
    bind = binder.bind
    present = now()
    at = bind(present, "bigint")
    people = bind(list(of_persons.values()), "bigint[]")
    leading = bind(sorted(through), "bigint[]")
    led = f"SELECT o.key, o.patient FROM resource o WHERE o.tenant_id = $1 AND o.key = ANY({leading}) AND NOT o.deleted"
    roles = roles_of(people, binder)
    patients = f"{bind(sorted(wanted), 'bigint[]')} || ARRAY(SELECT l.patient FROM ({led}) l)"
    sql = (
        f"SELECT 0, c.person, c.patient, c.kind::bigint, NULL::text FROM care_relation c WHERE c.tenant_id = $1 "
        f"AND c.person = ANY(ARRAY(SELECT q.key FROM ({roles}) q) || {people}) "
        f"AND c.patient = ANY({patients}) "
        f"AND c.low <= {at} AND c.high > {at} "
        f"UNION ALL SELECT 1, q.person, q.key, 0, NULL FROM ({roles}) q "
        f"UNION ALL SELECT 2, l.key, l.patient, 0, NULL FROM ({led}) l WHERE l.patient IS NOT NULL"
    )
    if access.minds_consents:
        sql += (
            f" UNION ALL SELECT 3, 0, k.patient, 0, to_jsonb(k)::text FROM consent_rule k WHERE k.tenant_id = $1 "
            f"AND k.patient = ANY({patients})"
        )
    result = run_search(connection, tenant_id, sql, binder.values)
    rows = [tuple(int(result.get_value(row, column) or 0) for column in range(4)) for row in range(result.ntuples)]
    relations = frozenset((a, b, kind) for tag, a, b, kind in rows if tag == 0)
    acting: dict[int, set[int]] = {}
    for tag, person, key, _ in rows:
        if tag == 1:
            acting.setdefault(person, set()).add(key)
    patient_of = {key: patient for tag, key, patient, _ in rows if tag == 2}
    known = {person: frozenset({key, *acting.get(key, ())}) for person, key in of_persons.items()}
    rules: dict[int, list[Rule]] = {}
    for row, (tag, _, patient, _) in enumerate(rows):
        if tag == 3:
            rules.setdefault(patient, []).append(_rule(json.parse(result.get_value(row, 4) or b"{}")))
    return [
        RowFacts(
            kind,
            frozenset(patient_of.get(one, one) for one in of) if kind in VIA else frozenset(of),
            index,
            hasher,
            known,
            relations,
            every,
            rules,
            key,
            present,
        )
        for (kind, index), of, key in zip(resources, named, keys or [0] * len(resources), strict=True)
    ]


def _rule(row: dict[str, Any]) -> Rule:
    """A row of consent_rule; its lists are None for any."""
    return Rule._make(frozenset(value) if isinstance(value := row[name], list) else value for name in Rule._fields)


def _named(resource_type: str, rows: IndexRows) -> set[int]:
    """The keys of the patients that a resource names, or of what leads to them."""
    if on_row(resource_type):
        return set() if rows.patient is None else {rows.patient}
    params = {param_id(f"{resource_type}.{code}") for code in codes(resource_type)}
    return {target for param, target in rows.references if param in params}


def _persons(access: Access) -> Iterable[str]:
    return dict.fromkeys(
        person
        for rule in access.rules
        for condition in rule.conditions
        if isinstance(condition, Related | Consented)
        for person in condition.persons
    )


class _Binder:
    """The values of the statement, the tenant first."""

    def __init__(self, tenant_id: int) -> None:
        self.tenant = "$1"
        self.values: list[object] = [tenant_id]

    def bind(self, value: object, cast: str = "") -> str:
        """The placeholder of a value."""
        self.values.append(value)
        return f"${len(self.values)}::{cast}"
