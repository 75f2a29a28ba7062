"""Many writes in one transaction. docs/architecture.md, "Rows" """

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.access.policy import EVERYTHING
from fhir_server.errors import Conflict, Forbidden
from fhir_server.interactions import write_many
from fhir_server.interactions.context import Context
from fhir_server.interactions.write import deletion, prepare
from fhir_server.store.resources import Write
from fhir_server.store.store import Store


def patient(ctx: Context, resource_id: str, method: str = "POST", expect: int | None = 0, **elements: Any) -> Write:
    return prepare(ctx, {"resourceType": "Patient", **elements}, resource_id, method, expect)


def run(ctx: Context, *many: Write) -> list[tuple[str, int]]:
    written = ctx.store.transaction(lambda store: write_many.run(store, [(ctx, write) for write in many]))
    return [(one.status, one.version) for one in written]


def version(store: Store, resource_id: str) -> int:
    stored = store.read(EVERYTHING, "Patient", resource_id)
    return stored.version if stored else 0


def test_new_ones_are_made_and_the_others_written_in_their_order(context: Callable[..., Context]) -> None:
    ctx = context()
    assert run(ctx, patient(ctx, "a"), patient(ctx, "b")) == [("created", 1), ("created", 1)]
    many = [
        patient(ctx, "a", "PUT", 1, active=True),
        patient(ctx, "c"),
        patient(ctx, "a", "PUT", 2, active=False),
        patient(ctx, "c", "PUT", 1, active=True),
        deletion("Patient", "b", 1),
    ]
    assert run(ctx, *many) == [("updated", 2), ("created", 1), ("updated", 3), ("updated", 2), ("deleted", 2)]
    assert ("Patient", "a", 1, 2) in ctx.trace.written
    assert run(ctx) == []


@pytest.mark.parametrize(
    ("method", "expect"), [("POST", 0), ("PUT", 2), ("PUT", 0)], ids=["new", "another version", "not there"]
)
def test_what_is_not_as_expected_undoes_the_others(context: Callable[..., Context], method: str, expect: int) -> None:
    ctx = context()
    run(ctx, patient(ctx, "a"))
    with pytest.raises(Conflict):
        run(ctx, patient(ctx, "b"), patient(ctx, "a", method, expect))
    assert [version(ctx.store, one) for one in "ab"] == [1, 0]


@pytest.mark.parametrize("scope", ["system/Patient.rus", "system/Observation.cruds"])
def test_whoever_may_not_create_creates_nothing(context: Callable[..., Context], scope: str) -> None:
    ctx = context(scope)
    with pytest.raises(Forbidden):
        run(ctx, patient(ctx, "a"))
    assert version(ctx.store, "a") == 0


def test_each_is_decided_for_whom_it_is_written(context: Callable[..., Context]) -> None:
    may, may_not = context(), context("system/Patient.c")
    run(may, patient(may, "a"))
    many = [(may_not, patient(may_not, "b")), (may, patient(may, "a", "PUT", 1, active=True))]
    may.store.transaction(lambda store: write_many.run(store, many))
    assert [version(may.store, one) for one in "ab"] == [2, 1]
    with pytest.raises(Forbidden):
        run(may_not, patient(may_not, "a", "PUT", 2))
    with pytest.raises(Forbidden):
        run(may_not, deletion("Patient", "a", 2))


def test_what_would_be_out_of_reach_is_not_written(context: Callable[..., Context]) -> None:
    ctx = context("system/Patient.c?gender=female")
    with pytest.raises(Forbidden):
        run(ctx, patient(ctx, "a", gender="male"))
    assert run(ctx, patient(ctx, "a", gender="female")) == [("created", 1)]
