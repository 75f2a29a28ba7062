"""Who sees resources in part sees nothing of the rest, on whichever road. docs/access.md"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from tests.functional.conftest import Api

SECRET = "zanzibar"
"""Stands in every element that a mask hides."""

REF = {"reference": "Patient/p"}
HIDDEN: dict[str, Any] = {
    "extension": [
        {"url": "http://example.org/x", "valueString": SECRET},
        {"url": "http://example.org/y", "valueReference": {"reference": "#b"}},
    ]
}
NOTE = {"note": [{"text": SECRET}]}
NARRATIVE = {
    "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{SECRET}</div>'},
    "contained": [{"resourceType": "Basic", "id": "b", "code": {"text": SECRET}}],
}
RESOURCES: dict[str, dict[str, Any]] = {
    "Patient": {"name": [{"family": "Shown"}], "contact": [{"name": {"family": SECRET}}]},
    "RelatedPerson": {"patient": REF, "name": [{"family": "Shown"}], "communication": [{"language": {"text": SECRET}}]},
    "Encounter": {
        "status": "finished", "class": {"code": "AMB"}, "subject": REF, "statusHistory": [
            {"status": "planned", "period": {"start": "2020"}, "extension": HIDDEN["extension"][:1]}
        ],
    },
    "Condition": {"subject": REF, "code": {"text": "Shown"}, "evidence": [{"code": [{"text": SECRET}]}], **NOTE},
    "Procedure": {"status": "completed", "subject": REF, "complication": [{"text": SECRET}], **NOTE},
    "Observation": {"status": "final", "code": {"text": "Shown"}, "subject": REF, **NOTE},
    "DiagnosticReport": {"status": "final", "code": {"text": "Shown"}, "subject": REF, "conclusion": SECRET},
    "ServiceRequest": {
        "status": "active", "intent": "order", "subject": REF, "code": {"text": "Shown"}, "note": [{"text": SECRET}],
        "requester": {"reference": "Practitioner/r"},
    },
}  # fmt: skip
SEEN = {
    "billing": ("Patient", "RelatedPerson", "Encounter", "Condition", "Procedure"),
    "staff": ("Encounter",),
    "referring_doctor": ("Patient", "Observation", "DiagnosticReport", "ServiceRequest"),
}


def roles_in(settings: Settings, app: Any, api: Api) -> Callable[[str], Api]:
    """A function that makes a client for somebody of a role, in a clinic with a patient and one of each resource."""
    api.put("Practitioner/r", {"resourceType": "Practitioner", "id": "r"})
    for name, body in RESOURCES.items():
        identity = "p" if name == "Patient" else "x"
        given = {"resourceType": name, "id": identity, **HIDDEN, **NARRATIVE, **body}
        answer = api.put(f"{name}/{identity}", given)
        assert answer.status == 201, answer.data
        assert api.put(f"{name}/{identity}", given | {"language": "en"}).status == 200

    def make(role: str) -> Api:
        token = issue(
            keys.load_or_create(settings.key_file), issuer=settings.issuer, sub=f"sub-{role}", client_id="portal",
            tenant=api.slug, scope="user/*.cruds", lifetime=600, roles=[role], fhir_user="Practitioner/r",
        )  # fmt: skip
        return Api(app, api.slug, token)

    return make


@pytest.fixture
def as_role(settings: Settings, app: Any, api: Api) -> Callable[[str], Api]:
    """The same in a clinic of the test's own."""
    return roles_in(settings, app, api)


@pytest.fixture(scope="module")
def as_reader(settings: Settings, app: Any, module_api: Api) -> Callable[[str], Api]:
    """The same in a clinic that is only read."""
    return roles_in(settings, app, module_api)


def roads(name: str) -> list[tuple[str, str, Any]]:
    """Every way to a resource that there is: method, path, body."""
    identity = "p" if name == "Patient" else "x"
    one = f"{name}/{identity}"
    batch = {
        "resourceType": "Bundle", "type": "batch",
        "entry": [{"request": {"method": "GET", "url": url}} for url in (one, name, f"{one}/_history")],
    }  # fmt: skip
    return [
        ("GET", one, None),
        ("GET", f"{one}/_history/1", None),
        ("GET", f"{one}/_history", None),
        ("GET", f"{name}/_history", None),
        ("GET", name, None),
        ("GET", f"{name}?_count=1&_total=accurate", None),
        ("GET", f"{one}?_elements=note,text,contact", None),
        ("GET", f"{name}?_elements=note,text,contact,extension", None),
        ("GET", f"{name}?_summary=data", None),
        ("GET", f"{name}?_summary=text", None),
        ("GET", f"{name}?_contained=both", None),
        ("GET", f"{name}?_include=*&_revinclude=*", None),
        ("GET", "Patient?_revinclude=*", None),
        ("GET", "Patient/p/*", None),
        ("GET", f"Patient/p/{name}", None),
        ("GET", "Patient/p/$everything", None),
        ("GET", "Encounter/x/$everything", None),
        ("GET", "Observation/$lastn?patient=p&category=x", None),
        ("GET", f"{one}/$validate", None),
        ("POST", f"{one}/$validate?mode=update", None),
        ("GET", f"{one}/$graphql?query={{id}}", None),
        ("GET", f'$graphql?query={{{name}(id:"{identity}"){{id}}}}', None),
        ("GET", f"$graphql?query={{{name}List{{id text{{div}}}}}}", None),
        ("GET", f"?_type={name}", None),
        ("POST", "", batch),
        ("POST", "", batch | {"type": "transaction"}),
        ("POST", f"{name}/_search", None),
        ("PATCH", one, {"resourceType": "Parameters"}),
        ("PUT", one, {"resourceType": name, "id": identity} | RESOURCES[name]),
    ]


@pytest.mark.parametrize("role", SEEN)
def test_nothing_hidden_comes_through_on_any_road(as_reader: Callable[[str], Api], role: str) -> None:
    me = as_reader(role)
    shown = 0
    for name in RESOURCES:
        if role == "staff" and name in ("Patient", "RelatedPerson"):
            # Those staff see whole, and what else they see is asked below.
            continue
        for method, path, body in roads(name):
            answer = me(method, path, body)
            hidden = [one for one in answer.data.split(b'"resourceType":') if SECRET.encode() in one]
            whole = (b'"Patient"', b'"RelatedPerson"', b'"Basic"') if role == "staff" else ()
            assert [one for one in hidden if not one.lstrip().startswith(whole or b"\0")] == [], (role, method, path)
            shown += b"SUBSETTED" in answer.data and answer.status == 200
    assert shown >= 10 * len(SEEN[role]) / 2, "the roads lead somewhere"


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, names in SEEN.items() for name in names])
def test_what_is_shown_is_tagged_and_has_the_rest(as_reader: Callable[[str], Api], role: str, name: str) -> None:
    me = as_reader(role)
    identity = "p" if name == "Patient" else "x"
    answer = me.get(f"{name}/{identity}")
    assert answer.status == 200, answer.data
    resource = answer.json
    assert resource["meta"]["tag"][-1]["code"] == "SUBSETTED"
    assert resource["meta"]["versionId"] == "2"
    assert not {"text", "note", "contained", "extension", "language"} & set(resource)
    assert {"Patient": "name", "RelatedPerson": "name"}.get(name, "subject") in resource


@pytest.mark.parametrize(
    ("role", "search", "status"),
    [
        ("billing", "Condition?code:text=Shown", 200),
        ("billing", "Condition?patient=p&_sort=-onset-date", 200),
        ("billing", "Condition?evidence=http://x|y", 403),
        ("billing", "Condition?_text=zanzibar", 403),
        ("billing", "Condition?_content=zanzibar", 403),
        ("billing", "Condition?_filter=evidence eq x", 403),
        ("billing", "Condition?_sort=evidence", 403),
        ("billing", "Patient?_has:Condition:patient:evidence=x", 403),
        ("billing", "Claim?patient.name=Shown", 200),
        ("billing", "Patient?language=en", 200),
        ("billing", "Patient?name=Shown&birthdate=gt1900", 200),
        ("staff", "Encounter?reason-code=x", 403),
        ("staff", "Encounter?diagnosis.code=x", 403),
        ("staff", "Encounter?date=gt2000&status=finished", 200),
        ("staff", "Patient?_has:Encounter:subject:reason-code=x", 403),
        ("referring_doctor", "Observation?code:text=Shown", 200),
        ("referring_doctor", "DiagnosticReport?conclusion=x", 403),
        ("referring_doctor", "DiagnosticReport?subject:Patient.name=Shown", 200),
    ],
)
def test_what_is_hidden_cannot_be_searched_by(
    as_reader: Callable[[str], Api], role: str, search: str, status: int
) -> None:
    answer = as_reader(role).get(search.replace(" ", "%20"))
    assert answer.status == status, answer.data
    if status == 403:
        assert answer.headers["X-Decision-Reason"] == "permission"


def test_who_sees_the_whole_pays_nothing(as_role: Callable[[str], Api], api: Api) -> None:
    as_role("billing")
    assert SECRET in api.get("Condition/x").data.decode()


@pytest.mark.parametrize(
    ("role", "search"),
    [
        ("staff", "Encounter?_include=Encounter:episode-of-care"),
        ("staff", "Encounter?_include=Encounter:*"),
        ("staff", "Encounter?_include=*"),
        ("staff", "Patient?_revinclude=Encounter:patient&_include:iterate=Encounter:episode-of-care"),
        ("staff", "Patient?_revinclude=Encounter:patient&_include:iterate=*"),
        ("staff", "EpisodeOfCare?_revinclude=Encounter:episode-of-care"),
        ("staff", "EpisodeOfCare?_revinclude=*"),
        ("staff", "Encounter/y/$everything"),
    ],
)
def test_references_that_are_hidden_lead_nowhere(
    as_role: Callable[[str], Api], api: Api, role: str, search: str
) -> None:
    """The visit's episode is not part of what the schedule shows of it."""
    staff = as_role(role)
    episode = {"resourceType": "EpisodeOfCare", "id": "hidden", "status": "active", "patient": REF}
    visit = {"resourceType": "Encounter", "id": "y", "status": "planned", "class": {"code": "AMB"}, "subject": REF}
    assert api.put("EpisodeOfCare/hidden", episode).status == 201
    assert api.put("Encounter/y", visit | {"episodeOfCare": [{"reference": "EpisodeOfCare/hidden"}]}).status == 201
    assert b"EpisodeOfCare/hidden" in api.get(search).data
    answer = staff.get(search)
    joined = ("EpisodeOfCare", "Encounter") if search.startswith("Episode") else ("Encounter", "EpisodeOfCare")
    assert answer.status == (403 if "$" in search else 200), answer.data
    found = {entry["resource"]["resourceType"] for entry in answer.json.get("entry", ())}
    assert joined[1] not in found
    assert "$" in search or "Patient" in search or joined[0] in found


def test_everything_of_a_patient_is_without_what_is_shown_in_part(as_role: Callable[[str], Api], api: Api) -> None:
    staff = as_role("staff")
    assert b"Encounter/x" in api.get("Patient/p/$everything").data
    answer = staff.get("Patient/p/$everything")
    assert answer.status == 200
    assert {entry["resource"]["resourceType"] for entry in answer.json["entry"]} == {"Patient", "RelatedPerson"}
