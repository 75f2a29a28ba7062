"""$access: it says what the server does, and nothing of what is hidden. docs/access.md, "Why?" """

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.app import FhirServer
from fhir_server.authn import clinic_settings, keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from fhir_server.store import directory, people
from fhir_server.store.people import Person
from tests.functional.conftest import Answer, Api
from tests.functional.test_reach import ME, YOU, as_person, observation, patient

As = Callable[..., Api]


@pytest.fixture
def clinic(api: Api) -> Api:
    """A clinic of two patients, one of each practitioner."""
    for name, doctor in (("own", ME), ("other", YOU)):
        assert api.put(f"Patient/{name}", patient(name, doctor)).status == 201
        assert api.put(f"Observation/{name}", observation(name, name)).status == 201
    assert api.put(ME, {"resourceType": "Practitioner", "id": ME.partition("/")[2]}).status == 201
    return api


@pytest.fixture
def person(clinic: Api, settings: Settings) -> As:
    """A function that makes the API as somebody with a role uses it."""

    def make(role: str, fhir_user: str = "", scope: str = "user/*.cruds", sub: str = "someone", **claims: Any) -> Api:
        token = issue(
            keys.load_or_create(settings.key_file), issuer=settings.issuer, sub=sub, client_id="app",
            tenant=clinic.slug, scope=scope, lifetime=600, roles=[role], fhir_user=fhir_user, **claims,
        )  # fmt: skip
        return Api(clinic.app, clinic.slug, token)

    return make


def account(app: FhirServer, slug: str, person_id: str, role: str, fhir_user: str = "", **more: Any) -> None:
    """Somebody who can sign in."""
    number = directory.tenant_id(app.database, slug)
    assert number is not None
    one = Person(person_id, number, person_id, person_id, (role,), fhir_user, **more)
    assert app.database.transaction(number, lambda c: people.add(c, one))


def ask(who: Api, interaction: str, url: str, **more: str) -> Answer:
    """$access"""
    given = {"interaction": interaction, "url": url} | more
    return who.get("$access?" + "&".join(f"{name}={quote(value)}" for name, value in given.items()))


def named(answer: Answer, name: str) -> list[Any]:
    """The values of the parameters of a name: a part is a list of (name, value)."""
    assert answer.status == 200, answer.data
    return [_value(one) for one in answer.json["parameter"] if one["name"] == name]


def _value(parameter: dict[str, Any]) -> Any:
    if "part" in parameter:
        return [(part["name"], _value(part)) for part in parameter["part"]]
    return next(value for key, value in parameter.items() if key.startswith("value"))


def decision(answer: Answer) -> str:
    (one,) = named(answer, "decision")
    return str(one)


def grants(answer: Answer) -> list[list[str]]:
    return [[value for _, value in one] for one in named(answer, "grant")]


STATUSES = {"permitted": {200, 201}, "refused": {403}, "out-of-reach": {404}, "unknown": {404}}


def test_what_it_says_is_what_the_server_does(clinic: Api, person: As) -> None:
    asked = 0
    callers = [
        person("physician", ME),
        person("physician", ME, scope="user/Observation.rs user/Patient.r"),
        person("physician", ME, scope="patient/*.rs", patient="own"),
        person("physician", ME, scope="patient/*.rs"),
        person("staff"),
        person("billing"),
        person("attorney"),
        person("patient", "Patient/own"),
        person("clinic_admin"),
        clinic,
    ]
    for number, caller in enumerate(callers):
        for name in (
            "Patient/own",
            "Patient/other",
            "Observation/own",
            "Observation/other",
            f"Observation/none{number}",
        ):
            for interaction, url in (("read", name), ("vread", f"{name}/_history/1"), ("history", name)):
                done = caller.get(f"{url}/_history" if interaction == "history" else url)
                assert done.status in STATUSES[decision(ask(caller, interaction, url))], (interaction, url)
                asked += 1
            body = json.loads(clinic.get(name).data)
            said = decision(ask(caller, "update", name))
            done = caller.put(
                name, body if body["resourceType"] != "OperationOutcome" else observation(f"none{number}", "own")
            )
            # What is not known can be created, or is about somebody out of reach.
            may = STATUSES[said] | ({201, 403} if said == "unknown" else set())
            assert done.status in may, (name, said, done.data)
        for kind in ("Patient", "Observation", "Claim", "Organization"):
            said = decision(ask(caller, "search-type", kind))
            assert (said == "refused") is (caller.get(kind).status == 403)
    assert asked == len(callers) * 15


@pytest.mark.parametrize("interaction", ["read", "vread", "update", "delete", "history"])
@pytest.mark.parametrize("role", ["physician", "patient", "attorney", "staff"])
def test_what_is_hidden_and_what_there_is_not_get_the_same_answer(
    clinic: Api, person: As, interaction: str, role: str
) -> None:
    restricted = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
    clinic.put("Patient/other", patient("other", YOU) | {"meta": restricted})
    clinic.put("Patient/none1", patient("none1", ME))
    clinic.delete("Patient/none1")
    clinic.put("Observation/none1", observation("none1", "own"))
    clinic.delete("Observation/none1")
    for scope, patient_id in (("user/*.cruds", ""), ("patient/*.cruds user/Observation.rs?code=c", "own")):
        who = person(role, "Patient/own" if role == "patient" else ME, scope=scope, patient=patient_id)
        for kind in ("Patient", "Observation"):
            answers = set()
            for name in ("other", "none1", "none2"):
                url = f"{kind}/{name}" + ("/_history/1" if interaction == "vread" else "")
                answer = ask(who, interaction, url)
                assert decision(answer) in ("unknown", "refused")
                answers.add((answer.status, answer.data.replace(name.encode(), b"?")))
            assert len(answers) == 1, (scope, kind)


def test_an_admin_is_told_why_a_physician_sees_somebody_and_what_would_let_them_see_another(
    clinic: Api, app: FhirServer, person: As
) -> None:
    account(app, clinic.slug, "p7", "physician", ME)
    admin = person("clinic_admin", sub="admin")
    seen = ask(admin, "read", "Observation/own", user=ME)
    assert decision(seen) == "permitted"
    assert named(seen, "relation") == [[("kind", "general-practitioner"), ("source", {"reference": "Patient/own"})]]
    (considered, *_) = named(seen, "considered")
    rule = next(value for name, value in considered if name == "rule")
    assert ("permission", "patients:Observation:read") in rule
    demands = [dict(value) for name, value in rule if name == "condition"]
    assert [(one["kind"], one["met"]) for one in demands] == [("relationship", True), ("consent", True)]

    unseen = ask(admin, "read", "Observation/other", user="p7")
    assert decision(unseen) == "out-of-reach"
    assert [f"assignment of {ME} to the patient of Observation/other"] in grants(unseen)
    assert ["breaking the glass of the patient of Observation/other"] in grants(unseen)
    # And it is so.
    words = {"person": ME, "reason": "Stands in"}
    body = {"resourceType": "Parameters", "parameter": [{"name": k, "valueString": v} for k, v in words.items()]}
    assert admin.post("Patient/other/$assign", body).status == 200
    assert decision(ask(admin, "read", "Observation/other", user="p7")) == "permitted"
    assert person("physician", ME).get("Observation/other").status == 200


def test_a_consent_is_named_to_those_who_see_the_resource(clinic: Api, app: FhirServer, person: As) -> None:
    account(app, clinic.slug, "p7", "physician", ME)
    consent = {
        "resourceType": "Consent", "id": "c", "status": "active", "patient": {"reference": "Patient/own"},
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                              "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "policyRule": {"coding": [{"code": "OPTIN"}]},
        "provision": {"type": "deny", "actor": [{
            "role": {"coding": [{"code": "PRCP"}]}, "reference": {"reference": ME}}]},
    }  # fmt: skip
    assert clinic.put("Consent/c", consent).status == 201
    answer = ask(person("clinic_admin"), "read", "Observation/own", user="p7")
    assert decision(answer) == "out-of-reach"
    unmet = {
        dict(value)["kind"]
        for one in named(answer, "considered")
        for name, rule in one
        if name == "rule"
        for part, value in rule
        if part == "condition" and not dict(value)["met"]
    }
    assert unmet == {"consent", "relationship"}
    assert [f"a consent of the patient that does not withhold it from {ME}"] in grants(answer)
    mine = ask(person("physician", ME), "read", "Observation/own")
    missing = ask(person("physician", ME), "read", "Observation/xxx")
    assert decision(mine) == "unknown"
    assert mine.data.replace(b"/own", b"/xxx") == missing.data


@pytest.mark.parametrize(
    ("role", "scope", "interaction", "url", "change"),
    [
        ("physician", "user/Patient.rs", "search-type", "Observation", "scope user/Observation.s"),
        ("physician", "user/Observation.r", "update", "Observation/own", "scope user/Observation.u"),
        ("patient", "patient/*.rs", "read", "Patient/own", "a launch context with Patient/own"),
        ("physician", "user/*.cruds", "read", "Claim/1", "role billing"),
        ("staff", "user/*.cruds", "search-type", "Observation", "role patient"),
        ("billing", "user/*.cruds", "count", "Observation", "role executive"),
    ],
)
def test_the_smallest_grant(person: As, role: str, scope: str, interaction: str, url: str, change: str) -> None:
    answer = ask(person(role, "Patient/own" if role == "patient" else ME, scope=scope), interaction, url)
    assert decision(answer) == "refused"
    assert [change] in grants(answer)
    assert all(len(one) == 1 for one in grants(answer))


def test_what_the_clinic_has_taken_is_told(app: FhirServer, settings: Settings, new_tenant: Callable[[], Any]) -> None:
    tenant = new_tenant()
    # Before anybody asks: what is known of a clinic is remembered for half a minute.
    clinic_settings.write(app.database, tenant.id, {"narrowed": {"physician": ["patients:Observation:search"]}})
    who = as_person(Api(app, tenant.slug, ""), settings)
    answer = ask(who, "search-type", "Observation")
    assert decision(answer) == "refused"
    assert who.get("Observation").status == 403
    assert named(answer, "taken") == [[("role", "physician"), ("permission", "patients:Observation:search")]]
    assert grants(answer) == [
        ["permission patients:Observation:search, which the clinic has taken from the role physician"]
    ]
    assert (decision(ask(who, "search-type", "Condition")), who.get("Condition").status) == ("depends", 200)


def test_a_mask_is_told_with_what_it_shows(clinic: Api, person: As) -> None:
    billing = person("billing")
    answer = ask(billing, "read", "Patient/own")
    assert decision(answer) == "permitted"
    rules = [dict(rule) for one in named(answer, "considered") for name, rule in one if name == "rule"]
    shown = {value for name, value in rules[0]["mask"] if name == "shows"}
    properties = billing.get("Patient/own").json.keys() - {"resourceType", "id", "meta"}
    assert properties <= shown
    assert "photo" not in shown


def test_others_are_asked_about_by_those_alone_who_may(clinic: Api, app: FhirServer, person: As) -> None:
    account(app, clinic.slug, "p7", "physician", ME)
    account(app, clinic.slug, "p8", "physician", disabled=True)
    physician, admin = person("physician", YOU), person("clinic_admin")
    refused = {ask(physician, "read", "Patient/own", user=user).status for user in ("p7", "nobody", ME)}
    assert refused == {403}
    assert ask(physician, "read", "Patient/other", user=YOU).status == 200
    assert ask(physician, "read", "Patient/other", user="someone").status == 200
    assert ask(physician, "read", "Patient/other", scope="user/*.rs").status == 400
    assert ask(admin, "read", "Patient/other", user="nobody").status == 404
    assert ask(admin, "read", "Patient/other", user="p7", scope="nothing").status == 400
    assert decision(ask(admin, "read", "Patient/own", user="p8")) == "refused"
    of_launch = ask(admin, "read", "Observation/own", user="p7", scope="patient/*.rs", patient="own")
    assert decision(of_launch) == "permitted"


@pytest.mark.parametrize(
    ("interaction", "url"),
    [
        ("read", "Patient"),
        ("read", "Nothing/1"),
        ("search-type", "Patient/own"),
        ("vread", "Patient/own"),
        ("read", "Patient/own/_history/1"),
        ("patch", "Patient/own"),
        ("read", "https://other.example/fhir/Patient/own"),
        ("read", "x" * 3000),
        ("read", "Patient/\0"),
    ],
)
def test_what_cannot_be_asked(clinic: Api, interaction: str, url: str) -> None:
    assert ask(clinic, interaction, url).status == 400


def test_that_somebody_asked_is_in_the_audit_trail(clinic: Api, app: FhirServer, person: As) -> None:
    assert ask(person("clinic_admin", sub="who-asked"), "read", "Patient/own").status == 200
    app.trail.flush()
    found = person("clinic_admin").get("AuditEvent?agent:identifier=who-asked").json
    whole = person("clinic_admin").get("AuditEvent").json
    assert "who-asked" in json.dumps(whole, default=str), found
