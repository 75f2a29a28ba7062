"""What is known to change nothing is not looked at again, and nothing else is passed over. docs/hl7.md"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.conversion.draft import DRAFT, Draft, Stated
from hl7_gateway.delivery import apply, unchanged
from tests.factories.hl7_delivery import Hospital, encounter, hospital_of, patient, practitioner, said

BORN = said("birthDate", "PID-7", "2000-01-01")


@pytest.fixture
def hospital(app_database: Database, tenant: Tenant) -> Hospital:
    return hospital_of(app_database, tenant)


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    unchanged._known.clear()
    yield
    unchanged._known.clear()


def _visit(number: str) -> Draft:
    return encounter("9", said("participant", "PV1-7", {"individual": {"reference": f"{DRAFT}Practitioner#{number}"}}))


def test_what_came_to_nothing_once_is_not_merged_again(hospital: Hospital) -> None:
    drafts = [patient("1", BORN), _visit("1"), practitioner("5")]
    hospital.hear(*drafts)
    hospital.hear(*drafts)
    with mock.patch.object(apply, "Merging", side_effect=AssertionError):
        again = hospital.hear(*drafts)
    assert (again.written, again.unchanged) == ([], 2)


def test_it_is_looked_at_again_once_anything_is_different(hospital: Hospital) -> None:
    same = patient("1", BORN)
    name = hospital.hear(same).names["Patient#1"]
    hospital.hear(same)
    hospital.hear(patient("1", said("birthDate", "PID-7", "2000-01-02")))
    found = hospital.hear(same)
    assert [change[3] for change in found.written] == [3]
    assert hospital.read(name)["birthDate"] == "2000-01-01"


def test_a_reference_to_somebody_else_is_something_else(hospital: Hospital) -> None:
    for _ in range(2):
        hospital.hear(patient("1"), _visit("1"), practitioner("5"))
    found = hospital.hear(patient("1"), _visit("1"), practitioner("6"))
    visit = hospital.read(found.names["Encounter#1"])
    assert visit["participant"] == [{"individual": {"reference": found.names["Practitioner#1"]}}]


_numbers = itertools.count(1)

_STATED = st.lists(
    st.sampled_from(
        [
            BORN,
            said("birthDate", "PID-7", "2000-01-02"),
            said("birthDate", "PID-7"),
            said("telecom", "PID-13", {"system": "phone", "value": "1"}, {"system": "phone", "value": "2"}),
            said("telecom", "PID-13", {"system": "phone", "value": "2"}),
            said("telecom", "PID-14", {"system": "phone", "value": "2"}),
            said("telecom", "PID-13"),
            said("gender", "PID-8", "male", initial=True),
        ]
    ),
    max_size=3,
    unique_by=lambda one: (one.path, one.slot),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_STATED, min_size=1, max_size=6))
def test_the_end_is_as_if_nothing_was_known(hospital: Hospital, messages: list[list[Stated]]) -> None:
    number = next(_numbers)
    one, other = f"k{number}", f"u{number}"
    with mock.patch.object(unchanged, "is_known", return_value=False):
        plain = [hospital.hear(patient(other, *stated)) for stated in messages]
    known = [hospital.hear(patient(one, *stated)) for stated in messages]
    assert [(len(a.written), a.unchanged) for a in known] == [(len(a.written), a.unchanged) for a in plain]
    names = known[-1].names["Patient#1"], plain[-1].names["Patient#1"]
    bodies = [hospital.read(name) for name in names]
    assert [body.pop("identifier")[0]["value"] for body in bodies] == [one, other]
    assert bodies[0] == bodies[1]
    assert list(hospital.lineage(names[0])) == list(hospital.lineage(names[1]))
