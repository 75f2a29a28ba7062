"""How often a delivery asks PostgreSQL, counted in libpq's own trace of the wire. https://www.postgresql.org/docs/current/protocol-flow.html"""

from __future__ import annotations

import os
import re
import tempfile

import pytest

from fhir_server.store.session import Connection, Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant
from hl7_gateway.conversion.draft import DRAFT, Draft, Merge
from hl7_gateway.deliver import Work, deliver_all
from tests.factories.hl7_delivery import AUTHORITY, Hospital, encounter, hospital_of, patient, practitioner, said

_READY = re.compile(rb"^\S* ?\S*\tB\t\d+\tReadyForQuery", re.MULTILINE)

OVERHEAD = 2
"""The savepoint; lineage, what became of the messages and audit together. BEGIN and COMMIT are the caller's."""


@pytest.fixture
def hospital(app_database: Database, tenant: Tenant) -> Hospital:
    return hospital_of(app_database, tenant)


def count(hospital: Hospital, *many: Work) -> int:
    """Round trips of a delivery that has run before on its connection, so that its statements are prepared."""
    trips: list[int] = []

    def work(store: Store) -> None:
        with tempfile.TemporaryFile() as file:

            def traced(connection: Connection) -> None:
                connection.pgconn.trace(file.fileno())
                deliver_all(hospital.desk, store, many)
                connection.pgconn.untrace()

            store.within(traced)
            trips.append(len(_READY.findall(os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0))))
            # Nothing of it stays, so that it can be done again.
            raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            hospital.store.transaction(work)
    return min(trips)


def visit(number: int, *stated_of_patient: object, status: str = "in-progress") -> list[Draft]:
    born = said("birthDate", "PID-7", "2000-01-01")
    mother = Draft(
        "RelatedPerson#1",
        "RelatedPerson",
        natural=("mother", DRAFT + "Patient#1"),
        stated=[said("patient", "PID-21", {"reference": DRAFT + "Patient#1"})],
    )
    return [patient(f"P{number}", born), encounter(f"V{number}", status=status), practitioner("5"), mother]


def test_new_patients_take_as_many_statements_for_one_message_as_for_fifty(hospital: Hospital) -> None:
    # Look-up, which feeds are of destinations, what is new.
    assert count(hospital, hospital.work(*visit(1))) == OVERHEAD + 3
    assert count(hospital, *(hospital.work(*visit(number)) for number in range(50))) == OVERHEAD + 3


def test_the_same_again_takes_the_look_up_and_its_lineage(hospital: Hospital) -> None:
    hospital.run(*(hospital.work(*visit(number)) for number in range(20)))
    assert count(hospital, *(hospital.work(*visit(number)) for number in range(20))) == OVERHEAD + 2


def test_new_versions_take_one_statement_together(hospital: Hospital) -> None:
    hospital.run(*(hospital.work(*visit(number)) for number in range(20)))
    work = [hospital.work(*visit(number, status="finished")) for number in range(20)]
    # Look-up, its lineage, which feeds are of destinations, Provenances and twenty visits together.
    assert count(hospital, *work) == OVERHEAD + 4


def test_a_patient_known_by_another_number_or_merged_away_takes_more_look_ups(hospital: Hospital) -> None:
    hospital.run(hospital.work(*visit(1)), hospital.work(*visit(2)))
    drafts = visit(1)
    drafts[0].identifiers.insert(0, (AUTHORITY, "another"))
    # The mother's name follows from the patient's, which is not what was guessed: look-ups and lineage.
    assert count(hospital, hospital.work(*drafts)) == OVERHEAD + 3
    retired = patient("P1", name="Patient#2", stub=True)
    hospital.hear(patient("P2"), retired, merges=[Merge("Patient", "Patient#2", "Patient#1")])
    # Look-ups of the one merged away, the one who lives on, whose mother; then the visit is of the latter.
    assert count(hospital, hospital.work(*visit(1))) == OVERHEAD + 3 + 3


def test_a_dead_letter_does_not_have_its_neighbours_tried_one_by_one(hospital: Hospital) -> None:
    wrong = patient("P3", said("gender", "PID-8", "no such code"))
    work = [hospital.work(*visit(1)), hospital.work(wrong), hospital.work(*visit(2))]
    assert count(hospital, *work) == OVERHEAD + 3
