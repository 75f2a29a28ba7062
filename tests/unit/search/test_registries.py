"""What a tenant has of its own becomes its registry, and says how far it has come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fhir_server.search.registries import parameters_of, registry_of
from fhir_server.search.registry import STANDARD
from fhir_server.store import parameter_watch, search_parameters
from fhir_server.store.parameter_definition import Definition
from fhir_server.store.search_parameters import Entry
from fhir_server.store.store import Store
from tests.unit.store.conftest import hasher, new_store, store

__all__ = ["hasher", "new_store", "store"]

OWN = Definition("own", "token", "urn:own", "Patient.name.use | Person.gender", ("Patient", "Person"), ("Group",))
ENTRY = Entry(OWN, "own", False, "active", "", "run", 0, 0)


def test_one_for_each_type() -> None:
    patient, person = parameters_of(ENTRY)
    assert (patient.resource_type, person.resource_type) == ("Patient", "Person")
    assert (patient.code, patient.type, patient.url, patient.targets) == ("own", "token", "urn:own", ("Group",))
    assert patient.param != person.param
    assert patient.status == person.status == "active"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"state": "building"}, "building, about to begin"),
        ({"state": "building", "done": 5_040, "total": 12_000}, "building, 42 % of 12,000 resources"),
        ({"state": "building", "done": 30, "total": 20}, "building, 100 % of 20 resources"),
        ({"state": "failed", "error": "it was too odd"}, "failed: it was too odd"),
    ],
)
def test_the_status_in_words(changed: dict[str, object], status: str) -> None:
    assert parameters_of(replace(ENTRY, **changed))[0].status == status  # type: ignore[arg-type]


def test_what_another_version_accepted_is_refused_rather_than_half_indexed() -> None:
    odd = replace(ENTRY, definition=replace(OWN, expression="Patient.nothing", types=("Patient",)))
    assert parameters_of(odd)[0].status.startswith("failed: Patient has no element nothing")


def test_the_registry_of_a_tenant(store: Store) -> None:
    assert registry_of(store) is STANDARD
    store.within(lambda c: search_parameters.register(c, store.tenant_id, "own", OWN))
    parameter_watch.watch(store.database).forget()
    registry = registry_of(store)
    assert registry is registry_of(store)
    assert registry.parameters("Patient")["own"].status == "building, about to begin"
    assert [one.status for one in registry.indexed("Patient")] == ["active"]
    assert registry.indexed("Group") == ()
    assert registry.generation > 0
    assert "own" not in STANDARD.parameters("Patient")
