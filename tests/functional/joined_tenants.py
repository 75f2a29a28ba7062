"""Two tenants with resources of the same ids that refer to each other, for attacks on whatever joins them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fhir_server.r4 import json as r4_json
from tests.functional.conftest import Api

Resource = dict[str, Any]

HIDDEN = "Hiddenplace"
"""What every resource of the victim carries and no search asks for: it must never be seen elsewhere."""
SECRET = "Vandersecret"
"""A name that the victim's resources have and that the attacker knows and asks for."""
_OWNER = "http://example.org/owner"


def _owned(resource_type: str, resource_id: str, **elements: Any) -> Resource:
    """A resource of the victim."""
    return {
        "resourceType": resource_type,
        "id": resource_id,
        "meta": {"tag": [{"code": "shared"}], "source": "http://example.org/s", "profile": ["http://example.org/p"]},
        "extension": [{"url": _OWNER, "valueString": HIDDEN}],
        **elements,
    }


def _to(text: str) -> Resource:
    return {"reference": text}


def _code(code: str) -> Resource:
    secret = {"system": "http://example.org/secrets", "code": "b"}
    return {"coding": [{"system": "http://loinc.org", "code": code}, secret], "text": SECRET}


def _narrative() -> Resource:
    return {"status": "additional", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{SECRET}</div>'}


def victims() -> list[Resource]:
    """Resources of many types in chains: an organization of an organization, patients, records, a list, a group."""
    observations = [
        _owned(
            "Observation",
            f"o{number}",
            status="final",
            code=_code("8480-6"),
            subject=_to("Patient/p1"),
            encounter=_to("Encounter/e1"),
            performer=[_to("Practitioner/d1")],
            hasMember=[_to("Observation/o0")] if number else [_to("Observation/o3")],
            effectiveDateTime="2020-02-29",
            valueQuantity={"value": 120, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
        )
        for number in range(4)
    ]
    patients = [
        _owned(
            "Patient",
            f"p{number}",
            text=_narrative(),
            identifier=[{"system": "urn:mrn", "value": SECRET}],
            name=[{"family": SECRET}],
            gender="female",
            birthDate="1970-05-20",
            generalPractitioner=[_to("Practitioner/d1")],
            managingOrganization=_to("Organization/g1"),
            link=[{"other": _to("Patient/p2" if number == 1 else "Patient/p1"), "type": "seealso"}],
        )
        for number in (1, 2)
    ]
    return [
        _owned("Organization", "g0", name=SECRET),
        _owned("Organization", "g1", name=SECRET, partOf=_to("Organization/g0")),
        _owned("Practitioner", "d1", name=[{"family": SECRET}]),
        _owned("Location", "l1", name=SECRET, position={"longitude": 8, "latitude": 47}),
        *patients,
        _owned("Encounter", "e1", status="finished", subject=_to("Patient/p1"), **{"class": {"code": "AMB"}},
               location=[{"location": _to("Location/l1")}], serviceProvider=_to("Organization/g1")),
        *observations,
        _owned("Observation", "o4", status="final", code=_code("8480-6"), subject=_to("Patient/p2")),
        _owned("Condition", "c1", subject=_to("Patient/p1"), encounter=_to("Encounter/e1"), code=_code("c")),
        _owned("Provenance", "v1", target=[_to("Observation/o0"), _to("Patient/p1")], recorded="2020-02-29T10:00:00Z",
               agent=[{"who": _to("Practitioner/d1")}]),
        _owned("List", "li1", status="current", mode="working", title=SECRET,
               entry=[{"item": _to("Patient/p1")}, {"item": _to("Observation/o0")}]),
        _owned("Group", "gr1", type="person", actual=True, member=[{"entity": _to("Patient/p1")}]),
        _owned("ValueSet", "vs1", url="http://example.org/ValueSet/secret", status="active",
               compose={"include": [{"system": "http://loinc.org", "concept": [{"code": "8480-6"}]}]}),
        _owned("CodeSystem", "cs1", url="http://example.org/secrets", status="active", content="complete",
               concept=[{"code": "a", "concept": [{"code": "b"}]}]),
        _owned("CareTeam", "t1", subject=_to("Patient/p1"), participant=[{"member": _to("Practitioner/d1")}]),
    ]  # fmt: skip


def attackers() -> list[Resource]:
    """Resources of the same ids that refer to what only the victim has."""
    return [
        {
            "resourceType": "Patient",
            "id": "p1",
            "name": [{"family": "Own"}],
            "generalPractitioner": [_to("Practitioner/d1")],
        },
        {
            "resourceType": "Observation",
            "id": "o0",
            "status": "final",
            "code": {"text": "own"},
            "subject": _to("Patient/p1"),
            "encounter": _to("Encounter/e1"),
            "performer": [_to("Practitioner/d1")],
            "hasMember": [_to("Observation/o3")],
        },
        {
            "resourceType": "Observation",
            "id": "o9",
            "status": "final",
            "code": {"text": "own"},
            "subject": _to("Patient/p2"),
        },
        {
            "resourceType": "Encounter",
            "id": "e1",
            "status": "planned",
            "class": {"code": "IMP"},
            "subject": _to("Patient/p1"),
            "location": [{"location": _to("Location/l1")}],
            "serviceProvider": _to("Organization/g1"),
        },
        {"resourceType": "Organization", "id": "g1", "name": "Own", "partOf": _to("Organization/g0")},
        {
            "resourceType": "Group",
            "id": "gr1",
            "type": "person",
            "actual": True,
            "member": [{"entity": _to("Patient/p2")}],
        },
        {
            "resourceType": "List",
            "id": "li9",
            "status": "current",
            "mode": "working",
            "entry": [{"item": _to("Patient/p2")}],
        },
    ]


def write(api: Api, resources: list[Resource]) -> None:
    """Store resources under their ids."""
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    answer = api.post("", r4_json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    assert answer.status == 200, answer.data[:2000]


def _filtered(resource_type: str, text: str) -> str:
    return f"{resource_type}?_filter={quote(text)}"


def _graphql(path: str, query: str) -> str:
    return f"{path}$graphql?query={quote(query)}"


CHAINS = (
    _filtered("Observation", f'subject:Patient.name eq "{SECRET}"'),
    _filtered("Observation", f'not (subject:Patient.name ne "{SECRET}") and status eq final'),
    _filtered("Observation", f'subject:Patient[gender eq female].general-practitioner:Practitioner.name sw "{SECRET}"'),
    f"Observation?subject:Patient.name:text={SECRET}",
    f"Observation?patient._content={SECRET}",
    f"Observation?subject:Patient.name={SECRET}",
    f"Observation?patient.name={SECRET}",
    f"Observation?patient.identifier=urn:mrn|{SECRET}",
    f"Observation?subject:Patient.general-practitioner:Practitioner.name={SECRET}",
    f"Observation?patient.organization.name={SECRET}",
    f"Observation?patient.organization.partof.name={SECRET}",
    f"Observation?encounter.location.name={SECRET}",
    "Observation?encounter.location.near=47|8|10|km",
    "Observation?performer:Practitioner.name:missing=false",
    "Observation?patient.birthdate=1970-05-20",
    "Observation?has-member.value-quantity=gt1",
    "Observation?patient._has:Group:member:_id=gr1",
    f"Encounter?patient.name={SECRET}",
    f"Provenance?target:Observation.patient.name={SECRET}",
    f"Group?member:Patient.name={SECRET}",
)  # fmt: skip
REVERSE_CHAINS = (
    _filtered("Patient", "_has:Observation:patient:code eq 8480-6"),
    f"Patient?_has:Observation:patient:code:text={SECRET}",
    "Patient?_has:Observation:patient:code=8480-6",
    "Patient?_has:Observation:patient:_has:Provenance:target:agent=Practitioner/d1",
    "Patient?_has:Observation:subject:date=2020-02-29",
    "Patient?_has:Group:member:_id=gr1",
    "Patient?_has:Condition:patient:encounter.location.name=" + SECRET,
    "Patient?_has:Encounter:patient:class=AMB",
    "Practitioner?_has:Patient:general-practitioner:name=" + SECRET,
    "Organization?_has:Organization:partof:name=" + SECRET,
    "Encounter?_has:Observation:encounter:value-quantity=gt1",
)
INCLUDES = (
    "Observation?_id=o0,o9&_include=Observation:subject",
    "Observation?_include=Observation:subject:Patient&_include=Observation:performer",
    "Observation?_include=*",
    "Observation?_include=Observation:*",
    "Observation?_include=Observation:encounter&_include:iterate=Encounter:location",
    "Observation?_include=Observation:patient&_include:iterate=Patient:organization&_include:iterate=Organization:partof",
    "Observation?_include:iterate=Observation:has-member",
    "Patient?_revinclude=Observation:subject",
    "Patient?_revinclude=Observation:subject:Patient&_revinclude:iterate=Provenance:target",
    "Patient?_revinclude=*",
    "Patient?_revinclude=List:item&_revinclude=Group:member&_revinclude=Condition:patient",
    "Encounter?_revinclude=Observation:encounter&_revinclude=Condition:encounter",
    "Group?_include=Group:member",
)
ELSEWHERE = (
    "Patient/p1/Observation",
    "Patient/p1/Observation?code=8480-6",
    "Patient/p1/Condition?_include=Condition:encounter",
    "Patient/p2/Observation",
    "Patient/p1/*",
    "Patient/p2/*",
    "Encounter/e1/Observation",
    "Practitioner/d1/Patient",
    "?_type=Patient,Observation,Practitioner",
    "?_type=Patient,Observation&_lastUpdated=ge2020",
    "?_id=p1,o0,d1,v1",
    "?_tag=shared",
    "Patient?_list=li1",
    "Observation?_list=List/li1",
    "Patient/p1/$everything",
    "Encounter/e1/$everything",
    "Patient?_in=Group/gr1",
    "Practitioner?_in=CareTeam/t1",
    "Observation/$lastn?patient=p1",
    "Observation/$lastn?patient=p1&code=8480-6&max=3",
)
PLAIN = (
    "Patient?name=" + SECRET,
    "Patient?name:exact=" + SECRET,
    "Patient?name:contains=" + SECRET[2:],
    "Patient?identifier=urn:mrn|" + SECRET,
    "Patient?general-practitioner=Practitioner/d1",
    "Patient?gender=female",
    "Patient?gender:not=male",
    "Patient?birthdate=1970-05-20",
    "Patient?_id=p1,p2",
    "Patient?_tag=shared",
    "Patient?_source=http://example.org/s",
    "Patient?_profile=http://example.org/p",
    "Patient?_lastUpdated=gt2000",
    "Patient?identifier:missing=false",
    "Observation?value-quantity=gt1",
    "Observation?value-quantity=120|http://unitsofmeasure.org|mm[Hg]",
    "Observation?code-value-quantity=8480-6$gt1",
    "Observation?date=ge2020",
    "Observation?code=8480-6",
    "Observation?_sort=-date,code",
    "Observation?_sort=value-quantity",
    "Patient?_sort=name",
    "Patient?_sort=-birthdate,_id",
    "Location?near=47|8|10|km",
    "Observation?code:in=ValueSet/vs1",
    "Condition?code:not-in=http://example.org/ValueSet/secret",
    "Observation?code:below=http://example.org/secrets|a",
    f"Observation?code:text={SECRET}",
    f"Patient?name:text={SECRET}",
    f"Patient?_content={SECRET}",
    f"Patient?_content={SECRET}&_sort=-_score",
    f"Patient?_text={SECRET}",
    _filtered("Patient", f'name co "{SECRET}" or identifier eq "{SECRET}"'),
    "Observation?code=8480-6&_summary=count",
    "Observation?code=8480-6&_count=1&_total=accurate",
)
GRAPHS = (
    _graphql("", '{PatientList(name: "' + SECRET + '") {id extension {valueString}}}'),
    _graphql("", '{Patient(id: "p2") {id extension {valueString}}}'),
    _graphql("", '{PatientConnection(gender: "female") {count edges {resource {id extension {valueString}}}}}'),
    _graphql("", "{ObservationList {id subject {resource {... on Patient {extension {valueString}}}}}}"),
    _graphql("Patient/p1/", "{id ObservationList(_reference: subject) {id extension {valueString}}}"),
    _graphql("Patient/p1/", "{generalPractitioner {resource {... on Practitioner {extension {valueString}}}}}"),
)
REQUESTS = (*PLAIN, *CHAINS, *REVERSE_CHAINS, *INCLUDES, *ELSEWHERE, *GRAPHS)
"""Every road that a search can take to another resource, as a GET below the base."""
