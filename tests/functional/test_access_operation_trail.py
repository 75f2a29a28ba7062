"""$access about records of the audit trail: what it says is what the server does. docs/access.md, "Why?" """

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.app import FhirServer
from tests.functional.conftest import Api
from tests.functional.test_access_operation import As, account, ask, clinic, decision, grants, named, person

__all__ = ["clinic", "person"]

OWN, OTHER = "Patient/own", "Patient/other"


@pytest.fixture
def records(clinic: Api, app: FhirServer) -> dict[str, str]:
    """The names of two records of the trail, by the patient whose resource was read."""
    found = {}
    for name in (OWN, OTHER):
        assert clinic.get(name).status == 200
    app.trail.flush()
    for name in (OWN, OTHER):
        entries = clinic.get(f"AuditEvent?patient={name}&action=R").json["entry"]
        found[name] = f"AuditEvent/{entries[0]['resource']['id']}"
    assert found[OWN] != found[OTHER]
    return found


def does(who: Api, interaction: str, name: str) -> bool:
    """Whether the server lets somebody do it."""
    paths = {"read": name, "vread": f"{name}/_history/1", "history": f"{name}/_history"}
    answer = who.get(paths[interaction])
    assert answer.status in (200, 403, 404)
    return answer.status == 200


def url(interaction: str, name: str) -> str:
    return f"{name}/_history/1" if interaction == "vread" else name


@pytest.mark.parametrize("interaction", ["read", "vread", "history"])
def test_what_it_says_of_a_record_is_what_the_server_does(
    clinic: Api, app: FhirServer, person: As, records: dict[str, str], interaction: str
) -> None:
    admin, patient = person("clinic_admin", sub="admin"), person("patient", OWN, sub="patient")
    account(app, clinic.slug, "patient", "patient", OWN)
    for name in (OWN, OTHER):
        record = records[name]
        for who, given in ((admin, {}), (patient, {"user": "patient"})):
            said = decision(ask(admin, interaction, url(interaction, record), **given))
            assert said in ("permitted", "out-of-reach")
            assert (said == "permitted") is does(who, interaction, record), (interaction, name, given)
    # For oneself it tells as much as a read does.
    assert decision(ask(patient, interaction, url(interaction, records[OTHER]))) == "unknown"
    assert decision(ask(patient, "read", records[OWN])) == "permitted"


def test_a_record_of_somebody_else_and_none_are_alike(person: As, records: dict[str, str]) -> None:
    patient = person("patient", OWN, sub="patient")
    none = "AuditEvent/trail-99999999"
    texts = [ask(patient, "read", one).data.decode().replace(one, "X") for one in (records[OTHER], none)]
    assert texts[0] == texts[1]
    assert decision(ask(person("clinic_admin", sub="admin"), "read", none)) == "unknown"


def test_why_a_patient_does_not_see_the_record_of_another(
    clinic: Api, app: FhirServer, person: As, records: dict[str, str]
) -> None:
    account(app, clinic.slug, "patient", "patient", OWN)
    answer = ask(person("clinic_admin", sub="admin"), "read", records[OTHER], user="patient")
    (considered,) = named(answer, "considered")
    conditions = [dict(value) for name, rule in considered if name == "rule" for part, value in rule
                  if part == "condition"]  # fmt: skip
    assert [(one["kind"], one["met"]) for one in conditions] == [("about", False)]
    assert all("role" in change for one in grants(answer) for change in one), grants(answer)


def test_no_relation_is_said_to_open_a_record(
    clinic: Api, app: FhirServer, person: As, records: dict[str, str]
) -> None:
    """A relative reads the record of a patient, and not who else has read it."""
    relative: dict[str, Any] = {"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": OWN}}
    assert clinic.put("RelatedPerson/r", relative).status == 201
    account(app, clinic.slug, "relative", "patient", "RelatedPerson/r")
    answer = ask(person("clinic_admin", sub="admin"), "read", records[OWN], user="relative")
    assert decision(answer) == "out-of-reach"
    assert does(person("patient", "RelatedPerson/r", sub="relative"), "read", records[OWN]) is False
    assert not [change for one in grants(answer) for change in one if "assignment" in change]


@pytest.mark.parametrize("interaction", ["update", "delete"])
def test_nobody_writes_a_record(clinic: Api, person: As, records: dict[str, str], interaction: str) -> None:
    answer = ask(person("clinic_admin", sub="admin"), interaction, records[OWN])
    assert (decision(answer), grants(answer)) == ("refused", [])
    assert "server alone" in answer.data.decode()
    body = clinic.get(records[OWN]).json
    answered = clinic.put(records[OWN], body) if interaction == "update" else clinic.delete(records[OWN])
    assert (answered.status, answered.json["issue"][0]["code"]) == (400, "business-rule")
    assert clinic.get(records[OWN]).json == body
