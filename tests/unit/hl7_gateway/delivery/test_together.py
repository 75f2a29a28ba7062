"""Messages delivered together come to what they come to one by one, whatever they say. docs/hl7.md"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.conversion.draft import DRAFT, Draft, Merge
from tests.factories.hl7_delivery import Hospital, encounter, hospital_of, patient, practitioner, said

Message = tuple[list[Draft], list[Merge]]

NUMBERS = st.sampled_from(["1", "2", "3"])
PHONES = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2, unique=True).map(
    lambda values: said("telecom", "PID-13", *({"value": value} for value in values))
)
BORN = st.sampled_from(["2000-01-01", "2001-01-01", "no date"]).map(lambda text: said("birthDate", "PID-7", text))
ACTIONS = st.sampled_from(["write", "write", "delete", "none"])


@st.composite
def messages(draw: st.DrawFn) -> Message:
    number = draw(NUMBERS)
    # Each patient has a second number; whichever stands first makes the patient who does not exist yet.
    numbers = draw(st.sampled_from([[number], [number, "0" + number], ["0" + number], ["0" + number, number]]))
    drafts = [patient(numbers[0], draw(PHONES), draw(BORN), more=numbers[1:])]
    mother = Draft(
        "RelatedPerson#1",
        "RelatedPerson",
        natural=("mother", DRAFT + "Patient#1"),
        stated=[said("patient", "PID-21", {"reference": DRAFT + "Patient#1"})],
    )
    visit = encounter(
        draw(NUMBERS),
        said("participant", "PV1-7", {"individual": {"reference": DRAFT + "Practitioner#1"}}),
        action=draw(ACTIONS),
    )
    doctor = practitioner(draw(NUMBERS), draw(st.sampled_from(["Kim", "Lee"])), stub=draw(st.booleans()))
    drafts += draw(st.lists(st.sampled_from([mother, visit, doctor]), unique_by=lambda one: one.name))
    if doctor not in drafts:
        drafts.append(doctor)
    away = draw(NUMBERS)
    if draw(st.integers(0, 3)) or away in numbers:
        return drafts, []
    retired = patient(away, name="Patient#2", stub=True)
    return [*drafts, retired], [Merge("Patient", "Patient#2", "Patient#1")]


def state(hospital: Hospital, numbers: list[int]) -> dict[str, Any]:
    """Everything that there is but Provenance, with messages counted from 0."""
    place = {number: index for index, number in enumerate(numbers)}
    found: dict[str, Any] = {}
    rows = hospital.rows(
        "SELECT t.name || '/' || r.id, r.version, r.deleted, r.body, l.entries FROM resource r "
        "JOIN resource_type t ON t.id = r.type_id LEFT JOIN hl7_lineage l ON l.key = r.key WHERE t.name <> 'Provenance'"
    )
    for path, version, deleted, body, entries in rows:
        said_by = {
            at: {slot: one | {"m": place[one["m"]]} for slot, one in slots.items()}
            for at, slots in (entries or {}).items()
        }
        found[path] = (version, deleted, body, said_by)
    return found


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(messages(), min_size=1, max_size=5))
def test_together_as_one_by_one(app_database: Database, new_tenant: Callable[[], Tenant], many: list[Message]) -> None:
    ends = []
    for together in (True, False):
        hospital = hospital_of(app_database, new_tenant())
        work = [hospital.work(*drafts, merges=merges) for drafts, merges in many]
        found = hospital.run(*work) if together else [hospital.run(one)[0] for one in work]
        versions = [(one.state, one.written, one.unchanged, one.names if one.problem is None else {}) for one in found]
        ends.append((versions, state(hospital, [one.message for one in work])))
    assert json.dumps(ends[0], default=str, sort_keys=True) == json.dumps(ends[1], default=str, sort_keys=True)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(messages(), min_size=1, max_size=4), st.integers(0, 3))
def test_whoever_dies_and_tries_again_comes_to_the_same(
    app_database: Database, new_tenant: Callable[[], Tenant], many: list[Message], dies_at: int
) -> None:
    ends = []
    for dies in (True, False):
        hospital = hospital_of(app_database, new_tenant())
        work = [hospital.work(*drafts, merges=merges) for drafts, merges in many]
        for number, one in enumerate(work):
            if dies and number == dies_at % len(work):
                dying = replace(hospital, before_commit=_die)
                with pytest.raises(_Killed):
                    dying.run(one)
            hospital.run(one)
        ends.append(state(hospital, [one.message for one in work]))
    assert ends[0] == ends[1]


class _Killed(BaseException):
    pass


def _die() -> None:
    raise _Killed
