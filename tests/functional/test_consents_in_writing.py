"""What a consent withholds from somebody they write as little as they read it, on whichever road. docs/care.md"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from fhir_server.access.consents import ACT_CODE, SCOPE
from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from fhir_server.store import directory
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Answer, Api

ACCOUNT = str(UUID(int=7))
WITHHELD, OTHER = "4548-4", "8867-4"
LOINC = "http://loinc.org"
FHIRPATH = {
    "resourceType": "Parameters",
    "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Observation.status"},
        {"name": "value", "valueCode": "amended"},
    ]}],
}  # fmt: skip

Make = Callable[..., Api]


def observation(name: str, code: str, patient: str = "p") -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": name, "status": "final", "subject": {"reference": f"Patient/{patient}"},
        "code": {"coding": [{"system": LOINC, "code": code}]},
    }  # fmt: skip


def consent(code: str = WITHHELD, **provision: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent", "id": "c", "status": "active", "patient": {"reference": "Patient/p"},
        "scope": {"coding": [{"system": SCOPE[0], "code": SCOPE[1]}]}, "category": [{"text": "privacy"}],
        "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTIN"}]},
        "provision": {"type": "deny", "code": [{"coding": [{"system": LOINC, "code": code}]}], **provision},
    }  # fmt: skip


@pytest.fixture
def make(settings: Settings, api: Api) -> Make:
    """A function that makes somebody with roles; the patients p and q are the physician's, p has the consent."""
    api.put("Practitioner/d", {"resourceType": "Practitioner", "id": "d"})
    for name in "pq":
        doctor = [{"reference": "Practitioner/d"}]
        api.put(f"Patient/{name}", {"resourceType": "Patient", "id": name, "generalPractitioner": doctor})
    for name, code in (("hidden", WITHHELD), ("open", OTHER)):
        assert api.put(f"Observation/{name}", observation(name, code)).status == 201
    assert api.put("Consent/c", consent()).status == 201

    def person(*roles: str, scope: str = "user/*.cruds", sub: str = ACCOUNT) -> Api:
        token = issue(
            keys.load_or_create(settings.key_file), issuer=settings.issuer, sub=sub, client_id="portal",
            tenant=api.slug, scope=scope, lifetime=600, roles=roles, fhir_user="Practitioner/d",
        )  # fmt: skip
        return Api(api.app, api.slug, token)

    return person


@pytest.fixture
def rows(api: Api, database: DatabaseUrls) -> Callable[[], dict[str, int]]:
    """A function that tells the versions of all observations."""

    def look() -> dict[str, int]:
        assert database.owner is not None
        with psycopg.connect(database.owner) as connection:
            query = (
                "SELECT r.id, r.version FROM resource r JOIN tenant t ON t.id = r.tenant_id "
                "JOIN resource_type n ON n.id = r.type_id WHERE t.slug = %s AND n.name = 'Observation'"
            )
            return dict(connection.execute(query, [api.slug]).fetchall())

    return look


def reason(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.headers.get("X-Decision-Reason", "")


def in_a(kind: str, method: str, url: str, resource: Any = None) -> dict[str, Any]:
    given = {"resource": resource} if resource else {}
    entry = {**given, "request": {"method": method, "url": url}}
    return {"resourceType": "Bundle", "type": kind, "entry": [entry]}


@pytest.mark.parametrize("role", ["physician", "clinic_admin"])
def test_what_may_not_be_read_is_not_written(make: Make, role: str, rows: Callable[[], dict[str, int]]) -> None:
    me, before = make(role), rows()
    assert (me.get("Observation/hidden").status, me.get("Observation/open").status) == (404, 200)
    new = observation("x", WITHHELD)
    refused = [
        me.post("Observation", new),
        me.post("Observation", new, If_None_Exist="_tag=none"),
        me.put("Observation/hidden", observation("hidden", WITHHELD)),
        me.put("Observation/open", observation("open", WITHHELD)),
        me.put("Observation?_tag=none", {**new, "id": "fresh"}),
        me.put("Observation/fresh", {**new, "id": "fresh"}),
        me.patch("Observation/open", [{"op": "replace", "path": "/code/coding/0/code", "value": WITHHELD}],
                 Content_Type="application/json-patch+json"),
        me.post("", in_a("transaction", "POST", "Observation", new)),
        me.post("", in_a("transaction", "PUT", "Observation/fresh", {**new, "id": "fresh"})),
    ]  # fmt: skip
    assert [reason(one) for one in refused] == [(403, "consent")] * len(refused), [one.data for one in refused]
    assert b"break-glass" in refused[0].data
    unknown = [
        me.put("Observation/hidden", observation("hidden", OTHER)),
        me.put("Observation/hidden", observation("hidden", OTHER), If_Match='W/"1"'),
        me.patch("Observation/hidden", FHIRPATH),
        me.delete("Observation/hidden"),
        me.post("", in_a("transaction", "PUT", "Observation/hidden", observation("hidden", OTHER))),
        me.post("", in_a("transaction", "DELETE", "Observation/hidden")),
    ]
    deleting = 404 if role == "clinic_admin" else 403
    assert [one.status for one in unknown] == [404, 404, 404, deleting, 404, deleting]
    for one in (in_a("batch", "POST", "Observation", new), in_a("batch", "DELETE", "Observation/hidden")):
        assert me.post("", one).json["entry"][0]["response"]["status"][:3] in ("403", "404")
    assert me.delete("Observation?code=4548-4").status in (204, 403), "nothing is found to be deleted"
    assert rows() == before


@pytest.mark.parametrize("role", ["physician", "clinic_admin"])
def test_what_no_consent_withholds_is_written_as_ever(make: Make, role: str) -> None:
    me = make(role)
    assert me.put("Observation/open", observation("open", OTHER) | {"status": "amended"}).status == 200
    assert me.patch("Observation/open", FHIRPATH).status == 200
    made = me.post("Observation", observation("", OTHER) | {"id": "y"})
    assert made.status == 201
    assert me.post("Observation", observation("z", WITHHELD, "q")).status == 201, "another patient's"
    assert me.post("", in_a("transaction", "POST", "Observation", observation("t", OTHER))).status == 200
    if role == "clinic_admin":
        assert me.put("Observation/mine", observation("mine", OTHER)).status == 201, "ids of one's own choice"
        assert me.post("", in_a("transaction", "PUT", "Observation/too", observation("too", OTHER))).status == 200
        assert me.delete("Observation/mine").status == 204
        assert me.put("Observation/mine", observation("mine", OTHER)).status == 201
        assert me.delete("Observation/never").status == 204


def test_a_broken_glass_opens_writing_too(make: Make) -> None:
    me = make("physician")
    given = [{"name": "reason", "valueString": "Unconscious in the ER"}]
    assert me.post("Patient/p/$break-glass", {"resourceType": "Parameters", "parameter": given}).status == 200
    assert me.put("Observation/hidden", observation("hidden", WITHHELD) | {"status": "amended"}).status == 200
    assert me.post("Observation", observation("x", WITHHELD)).status == 201


def test_consents_about_one_resource_or_one_person(make: Make, api: Api) -> None:
    data = [{"meaning": "instance", "reference": {"reference": "Observation/open"}}]
    assert api.put("Consent/c", consent(OTHER, data=data)).status == 200
    me = make("physician")
    assert me.put("Observation/open", observation("open", OTHER)).status == 403
    assert me.post("Observation", observation("x", OTHER)).status == 201
    role = {"coding": [{"code": "IRCP"}]}
    actor = [{"role": role, "reference": {"reference": "Practitioner/e"}}]
    assert api.put("Consent/c", consent(actor=actor)).status == 200
    assert me.put("Observation/hidden", observation("hidden", WITHHELD)).status == 200


def test_a_consent_can_always_be_written_by_whoever_may(make: Make, api: Api) -> None:
    """Who may withdraw a consent is not kept from it by what it says."""
    everything = consent() | {"policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTOUT"}]}}
    everything.pop("provision")
    assert api.put("Consent/c", everything).status == 200
    admin = make("clinic_admin")
    assert reason(admin.post("Observation", observation("x", OTHER))) == (403, "consent")
    assert admin.put("Consent/c", everything | {"status": "inactive"}).status == 200
    assert admin.post("Observation", observation("x", OTHER)).status == 201


def test_clients_that_act_for_nobody_deliver_what_is_withheld_from_people(api: Api, make: Make) -> None:
    """An instrument or another system that delivers results would lose them, and is no reader of them."""
    assert api.get("Observation/hidden").status == 404
    assert api.post("Observation", observation("x", WITHHELD)).status == 201
    assert api.put("Observation/hidden", observation("hidden", WITHHELD) | {"status": "amended"}).status == 200
    assert api.post("", in_a("transaction", "POST", "Observation", observation("x", WITHHELD))).status == 200
    assert api.patch("Observation/hidden", FHIRPATH).status == 404, "a patch shows what is stored"
    assert make("physician").get("Observation/hidden").status == 404


def test_the_consent_is_the_clinics_own(make: Make, new_api: Callable[..., Api], settings: Settings) -> None:
    """A consent of one clinic has no say in another, where there is a patient of the same id."""
    other = new_api()
    other.put("Patient/p", {"resourceType": "Patient", "id": "p"})
    assert directory.tenant_id(other.app.database, other.slug) is not None
    token = issue(
        keys.load_or_create(settings.key_file), issuer=settings.issuer, sub=ACCOUNT, client_id="portal",
        tenant=other.slug, scope="user/*.cruds", lifetime=600, roles=["clinic_admin"], fhir_user="Practitioner/d",
    )  # fmt: skip
    assert Api(other.app, other.slug, token).post("Observation", observation("x", WITHHELD)).status == 201
    assert reason(make("clinic_admin").post("Observation", observation("x", WITHHELD))) == (403, "consent")


def test_why_is_told(make: Make) -> None:
    admin = make("clinic_admin")
    answer = admin.get("$access?interaction=update&url=Observation/open")
    assert answer.status == 200
    assert next(one["valueCode"] for one in answer.json["parameter"] if one["name"] == "decision") == "permitted"
    assert '"valueCode":"consent"' in answer.data.decode().replace(" ", "")
