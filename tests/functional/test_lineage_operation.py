"""$lineage: which field of which message an element goes back to, for whoever may read the resource. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.crypto.hashing import Hasher
from fhir_server.interactions.context import Tenant as Clinic
from fhir_server.settings import Settings
from fhir_server.store import directory, hl7_feeds
from fhir_server.store.store import Store
from hl7_gateway.conversion.draft import Said, Stated
from hl7_gateway.deliver import Desk
from hl7_gateway.problems import Place
from tests.factories.hl7_delivery import Hospital, patient, said
from tests.functional.conftest import Answer, Api


@pytest.fixture
def hospital(api: Api) -> Hospital:
    number = directory.tenant_id(api.app.database, api.slug)
    assert number is not None
    store = Store(api.app.database, Hasher(directory.hash_key(api.app.database)), number)
    return Hospital(store, Desk(Clinic(number, api.slug), f"http://localhost/t/{api.slug}/fhir"))


def elements(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.data
    return [
        {part["name"]: value for part in one["part"] for key, value in part.items() if key != "name"}
        for one in answer.json.get("parameter", [])
    ]


PHONE = Stated(
    "telecom",
    "PID-13",
    (Said({"system": "phone", "value": "1"}, {"": Place("PID", 1, 13), "value": Place("PID", 1, 13, 2, 1)}),),
)


def test_each_element_is_told_with_its_field_its_message_and_its_feed(api: Api, hospital: Hospital) -> None:
    def add_feed(connection: psycopg.Connection) -> None:
        hl7_feeds.add(connection, hospital.store.tenant_id, "lab", {}, 1)
        connection.execute("UPDATE hl7_feed SET id = 7 WHERE tenant_id = %s", [hospital.store.tenant_id])

    hospital.store.within(add_feed)
    name = hospital.hear(patient("1", PHONE, said("birthDate", "PID-7", "2000-01-01"))).names["Patient#1"]
    hospital.hear(patient("1", said("birthDate", "PID-7", "2000-01-02")))
    found = {one["path"]: one for one in elements(api.get(f"{name}/$lineage"))}
    ((first, one), (last, two)) = hospital.rows("SELECT id, control_id FROM hl7_message ORDER BY id")
    common = {"mapVersion": "m1", "feed": "lab", "received": "1970-01-01T00:00:00.000Z"}
    assert found["Patient.birthDate"] == {
        "path": "Patient.birthDate", "place": "PID-7", "message": str(last), "controlId": two, **common
    }  # fmt: skip
    assert found["Patient.telecom[0].value"] == {
        "path": "Patient.telecom[0].value", "place": "PID-13[2].1", "message": str(first), "controlId": one, **common
    }  # fmt: skip
    assert sorted(found) == [
        "Patient.active",
        "Patient.birthDate",
        "Patient.identifier[0]",
        "Patient.telecom[0]",
        "Patient.telecom[0].value",
    ]


def test_what_was_changed_over_rest_goes_back_to_no_message(api: Api, hospital: Hospital) -> None:
    name = hospital.hear(patient("1", PHONE, said("birthDate", "PID-7", "2000-01-01"))).names["Patient#1"]
    kept = api.get(name).json
    kept["telecom"].insert(0, {"system": "phone", "value": "2"})
    kept["birthDate"] = "2000-01-02"
    assert api.put(name, kept).status == 200
    found = [one["path"] for one in elements(api.get(f"{name}/$lineage"))]
    assert found == ["Patient.active", "Patient.identifier[0]", "Patient.telecom[1]", "Patient.telecom[1].value"]


def test_it_is_a_read_of_the_resource(api: Api, hospital: Hospital, new_api: Callable[..., Api]) -> None:
    name = hospital.hear(patient("1")).names["Patient#1"]
    assert new_api("system/Patient.s", api.slug).get(f"{name}/$lineage").status == 403
    assert new_api("system/Observation.r", api.slug).get(f"{name}/$lineage").status == 403
    assert new_api("system/Patient.r", api.slug).get(f"{name}/$lineage").status == 200
    assert new_api().get(f"{name}/$lineage").status == 404
    assert api.get("Patient/none/$lineage").status == 404
    assert api.get(f"{name}/$lineage?_count=1").status == 400
    assert api.get("Patient/$lineage").status == 405
    assert api.delete(name).status == 204
    assert api.get(f"{name}/$lineage").status == 410


def test_whoever_sees_a_part_is_not_told_what_there_is(api: Api, hospital: Hospital, settings: Settings) -> None:
    name = hospital.hear(patient("1")).names["Patient#1"]
    for role, status in (("billing", 403), ("clinic_admin", 200)):
        token = issue(
            keys.load_or_create(settings.key_file), issuer=settings.issuer, sub=role, client_id="app",
            tenant=api.slug, scope="user/*.cruds", lifetime=600, roles=[role], fhir_user="Practitioner/r",
        )  # fmt: skip
        assert Api(api.app, api.slug, token).get(f"{name}/$lineage").status == status, role


def test_a_resource_of_no_message_has_none(api: Api) -> None:
    assert api.put("Patient/a", {"resourceType": "Patient", "id": "a"}).status == 201
    assert api.get("Patient/a/$lineage").json == {"resourceType": "Parameters"}
    assert api.post("Patient/a/$lineage").json == {"resourceType": "Parameters"}
