"""Assignments and broken glass are in step with the relations that decisions ask for. docs/care.md"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fhir_server.access import relations
from fhir_server.r4 import instants
from fhir_server.store import care
from fhir_server.store.care import Assignment, Broken
from fhir_server.store.store import Store

PERSON = "User/00000000-0000-4000-8000-000000000000"


def given(patient_id: str = "p", kind: int = relations.ASSIGNMENT) -> Assignment:
    return Assignment(PERSON, patient_id, kind, instants.MIN, 9, "", "a reason", "User/b")


def related(store: Store) -> list[tuple[Any, ...]]:
    rows = store.within(
        lambda c: c.execute("SELECT person, patient, source, low, high, kind FROM care_relation").fetchall()
    )
    return sorted(rows)


def test_each_has_its_relation_until_it_is_revoked(store: Store) -> None:
    tenant_id, hasher = store.tenant_id, store.hasher
    first, second = (store.within(lambda c: care.assign(c, tenant_id, hasher, given())) for _ in range(2))
    glass = store.within(lambda c: care.break_glass(c, tenant_id, hasher, Broken(PERSON, "p", "a reason", 5, 7)))
    assert len({first, second, glass}) == 3
    pair = hasher(PERSON), hasher("Patient/p")
    assert related(store) == sorted(
        [
            (*pair, -first, instants.MIN, 9, relations.ASSIGNMENT),
            (*pair, -second, instants.MIN, 9, relations.ASSIGNMENT),
            (*pair, -glass, 5, 7, relations.BREAK_GLASS),
        ]
    )
    assert store.within(lambda c: care.revoke_all(c, tenant_id, hasher, PERSON, "p", "User/b")) == 2
    assert related(store) == [(*pair, -glass, 5, 7, relations.BREAK_GLASS)]
    kept = store.within(lambda c: care.assignments(c, tenant_id, hasher, person=PERSON))
    assert [(one.id, one.revoked_by) for one in kept] == [(second, "User/b"), (first, "User/b")]


def test_what_is_undone_relates_nobody(store: Store) -> None:
    def fail(inner: Store) -> None:
        inner.within(lambda c: care.assign(c, inner.tenant_id, inner.hasher, given()))
        raise LookupError

    with pytest.raises(LookupError):
        store.transaction(fail)
    assert related(store) == []
    assert store.within(lambda c: care.assignments(c, store.tenant_id, store.hasher)) == []


def test_of_many_who_end_it_or_acknowledge_it_one_does(store: Store) -> None:
    tenant_id, hasher = store.tenant_id, store.hasher
    number = store.within(lambda c: care.assign(c, tenant_id, hasher, given()))
    glass = store.within(lambda c: care.break_glass(c, tenant_id, hasher, Broken(PERSON, "p", "a reason", 5, 7)))
    with ThreadPoolExecutor(6) as threads:
        ended = list(
            threads.map(lambda n: store.within(lambda c: care.revoke(c, tenant_id, hasher, number, "p", n)), "abcdef")
        )
        seen = list(threads.map(lambda n: store.within(lambda c: care.acknowledge(c, tenant_id, glass, n)), "abcdef"))
    assert (sum(ended), sum(seen)) == (1, 1)


def test_alerts_wait_until_they_are_acknowledged(store: Store) -> None:
    tenant_id, hasher = store.tenant_id, store.hasher
    for at in range(3):
        broken = Broken(PERSON, "p", "a reason", at, at + 1)
        store.within(lambda c, broken=broken: care.break_glass(c, tenant_id, hasher, broken))  # type: ignore[misc]

    def waiting(**more: Any) -> list[int]:
        return [
            one.at
            for one in store.within(lambda c: care.alerts(c, tenant_id, **{"all_of_them": False, "most": 9, **more}))
        ]

    assert waiting() == [2, 1, 0]
    assert waiting(most=2) == [2, 1]
    (newest, *_) = store.within(lambda c: care.alerts(c, tenant_id, all_of_them=False, most=1))
    assert store.within(lambda c: care.acknowledge(c, tenant_id, newest.id, "User/b")) == 1
    assert waiting() == [1, 0]
    assert store.within(lambda c: care.acknowledge(c, tenant_id, None, "User/b")) == 2
    assert waiting() == []
    assert waiting(all_of_them=True) == [2, 1, 0]
