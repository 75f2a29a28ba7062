"""$graphql over HTTP: what FHIR's page on it shows, its limits, permissions, other tenants, and round trips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.functional.conftest import Answer, Api
from tests.functional.test_query_counts import RoundTrips, count

__all__ = ["count"]

Resource = dict[str, Any]


def reference(name: str) -> dict[str, str]:
    return {"reference": name}


def loinc(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://loinc.org", "code": code}]}


WORLD: list[Resource] = [
    {
        "resourceType": "Patient", "id": "ann", "active": True, "gender": "female", "birthDate": "1970-01-01",
        "_birthDate": {"extension": [{"url": "urn:time", "valueString": "noon"}]},
        "name": [
            {"use": "official", "text": "Ann Ivory", "family": "Ivory", "given": ["Ann", "Bea"]},
            {"use": "usual", "text": "Annie", "given": ["Annie"]},
        ],
        "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@x"}],
        "address": [{"city": "Bern"}],
        "generalPractitioner": [reference("Practitioner/doc"), reference("Organization/org")],
        "managingOrganization": reference("Organization/org"),
        "contained": [{"resourceType": "Organization", "id": "in", "name": "Inside"}],
        "contact": [{"organization": reference("#in"), "name": {"family": "Contact"}}],
    },
    {
        "resourceType": "Patient", "id": "bob", "name": [{"family": "Ivory"}],
        "managingOrganization": reference("Organization/gone"),
    },
    {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Doctor"}]},
    {"resourceType": "Organization", "id": "org", "name": "Clinic"},
    *(
        {
            "resourceType": "Observation", "id": f"o{n}", "status": "final", "code": loinc(str(n % 2)),
            "subject": reference("Patient/ann" if n < 6 else "Patient/bob"),
            "performer": [reference("Practitioner/doc")],
            "effectiveDateTime": f"2020-01-0{n + 1}", "valueQuantity": {"value": 1.50, "unit": "mg"},
        }
        for n in range(8)
    ),
]  # fmt: skip


def store(api: Api, resources: list[Resource]) -> None:
    for resource in resources:
        answer = api.put(f"{resource['resourceType']}/{resource['id']}", resource)
        assert answer.status == 201, answer.data


@pytest.fixture
def world(api: Api) -> Api:
    store(api, WORLD)
    return api


def ask(api: Api, query: str, at: str = "", **variables: Any) -> Answer:
    return api.post(f"{at}$graphql", {"query": query, "variables": variables})


def data(api: Api, query: str, at: str = "", **variables: Any) -> Any:
    answer = ask(api, query, at, **variables)
    assert answer.status == 200, answer.data
    assert "errors" not in answer.json, answer.data
    return answer.json["data"]


ANN = "Patient/ann/"


def test_of_one_resource(world: Api) -> None:
    found = data(world, "{ resourceType id birthDate active name { use family given } }", ANN)
    assert list(found) == ["resourceType", "id", "birthDate", "active", "name"]
    assert found["name"] == [
        {"use": "official", "family": "Ivory", "given": ["Ann", "Bea"]},
        {"use": "usual", "family": None, "given": ["Annie"]},
    ]
    assert data(world, "{ __typename deceasedBoolean photo { url } meta { versionId } }", ANN) == {
        "__typename": "Patient", "deceasedBoolean": None, "photo": None, "meta": {"versionId": "1"},
    }  # fmt: skip
    assert data(world, "{ _birthDate { extension { url valueString } } }", ANN) == {
        "_birthDate": {"extension": [{"url": "urn:time", "valueString": "noon"}]}
    }


@pytest.mark.parametrize(
    "send",
    [
        lambda api, query: api.get("Patient/ann/$graphql?query=" + quote(query)),
        lambda api, query: api.post("Patient/ann/$graphql", {"query": query}),
        lambda api, query: api.post("Patient/ann/$graphql", query.encode(), Content_Type="application/graphql"),
        lambda api, query: api.post(
            "Patient/ann/$graphql",
            {"resourceType": "Parameters", "parameter": [{"name": "query", "valueString": query}]},
        ),
    ],
    ids=["GET", "JSON", "graphql", "Parameters"],
)
def test_each_way_to_send_it(world: Api, send: Callable[[Api, str], Answer]) -> None:
    answer = send(world, "{ gender }")
    assert (answer.status, answer.json) == (200, {"data": {"gender": "female"}})
    assert answer.headers["Content-Type"] == "application/json"


def test_lists_are_navigated(world: Api) -> None:
    found = data(
        world,
        """{ a: name(use: official) { text } b: name(_offset: 1) { text } c: name(_count: 1) { text }
             d: name(fhirpath: "family.exists()") { text } e: telecom(system: "email") { value }
             f: name(use: "nickname") { text } g: name(_offset: 1, _count: 0) { text } }""",
        ANN,
    )
    first, second = [{"text": "Ann Ivory"}], [{"text": "Annie"}]
    assert found == {"a": first, "b": second, "c": first, "d": first, "e": [{"value": "a@x"}], "f": None, "g": None}


def test_directives_shape_the_answer(world: Api) -> None:
    """https://hl7.org/fhir/R4/graphql.html#directives"""
    assert data(world, "{ name @flatten { text given family } }", ANN) == {
        "text": ["Ann Ivory", "Annie"], "given": ["Ann", "Bea", "Annie"], "family": ["Ivory"],
    }  # fmt: skip
    assert data(world, "{ name @first @flatten { text @singleton given @first } }", ANN) == {
        "text": "Ann Ivory", "given": ["Ann"],
    }  # fmt: skip
    assert data(world, "{ name @first @singleton { text } }", ANN) == {"name": {"text": "Ann Ivory"}}
    assert data(world, '{ name @slice(fhirpath: "use") { text } }', ANN) == {
        "name.official": {"text": "Ann Ivory"}, "name.usual": {"text": "Annie"},
    }  # fmt: skip
    assert data(world, '{ telecom @slice(path: "$index") { value } }', ANN) == {
        "telecom.0": {"value": "1"}, "telecom.1": {"value": "a@x"},
    }  # fmt: skip
    assert data(
        world, "{ managingOrganization @flatten { resource @flatten { ... on Organization { name } } } }", ANN
    ) == {"name": "Clinic"}
    query = "query($no: Boolean!) { id @skip(if: $no) gender @include(if: $no) ... @include(if: $no) { active } }"
    assert data(world, query, ANN, no=True) == {"gender": "female", "active": True}
    assert data(world, query, ANN, no=False) == {"id": "ann"}


def test_references_are_resolved(world: Api) -> None:
    found = data(
        world,
        """{ generalPractitioner { reference resource { __typename id ... on Practitioner { name { family } }
                                                        ...org } }
             only: generalPractitioner { resource(type: Organization) { id } }
             contact { organization { resource { ...org } } } }
           fragment org on Organization { name }""",
        ANN,
    )
    assert found == {
        "generalPractitioner": [
            {
                "reference": "Practitioner/doc",
                "resource": {"__typename": "Practitioner", "id": "doc", "name": [{"family": "Doctor"}]},
            },
            {
                "reference": "Organization/org",
                "resource": {"__typename": "Organization", "id": "org", "name": "Clinic"},
            },
        ],
        "only": [{"resource": None}, {"resource": {"id": "org"}}],
        "contact": [{"organization": {"resource": {"name": "Inside"}}}],
    }


def test_what_does_not_resolve(world: Api) -> None:
    answer = ask(world, "{ id managingOrganization { reference resource { id } } }", "Patient/bob/")
    assert answer.status == 200
    gone = {"reference": "Organization/gone", "resource": None}
    assert answer.json["data"] == {"id": "bob", "managingOrganization": gone}
    (error,) = answer.json["errors"]
    assert error["path"] == ["managingOrganization", "resource"]
    assert error["locations"] == [{"line": 1, "column": 39}]
    assert error["extensions"]["resource"]["issue"][0]["code"] == "not-found"
    assert data(world, "{ managingOrganization { resource(optional: true) { id } } }", "Patient/bob/") == {
        "managingOrganization": {"resource": None}
    }


def test_what_refers_to_it(world: Api) -> None:
    found = data(
        world,
        """{ ObservationList(_reference: subject) { id }
             some: ObservationList(_reference: patient, code: "http://loinc.org|1", _count: 2) {
               id valueQuantity { value } }
             sorted: ObservationList(_reference: "patient", _sort: "_id", _count: 2) { id }
             none: ConditionList(_reference: subject) { id } }""",
        ANN,
    )
    assert [o["id"] for o in found["ObservationList"]] == ["o5", "o4", "o3", "o2", "o1", "o0"]
    assert found["some"] == [{"id": f"o{n}", "valueQuantity": {"value": json_number("1.5")}} for n in (5, 3)]
    assert found["sorted"] == [{"id": "o0"}, {"id": "o1"}]
    assert found["none"] == []


def json_number(text: str) -> Any:
    from decimal import Decimal

    return Decimal(text)


def test_of_the_whole_system(world: Api) -> None:
    found = data(
        world,
        """query Both($id: ID!, $name: String = "ivory") {
             Patient(id: $id) { gender }
             PatientList(name: $name, _sort: "_id") { id ObservationList(_reference: subject, _count: 1) { id } }
             one: PatientList(name_exact: "Bea") { id } none: PatientList(address_city: "rome") { id }
             all: PatientList(family: ["ivory", "iv"]) { id }
             any: ObservationList(_id: "o1,o2", _sort: "_id") { id } }""",
        id="ann",
    )
    assert found == {
        "Patient": {"gender": "female"},
        "PatientList": [
            {"id": "ann", "ObservationList": [{"id": "o5"}]}, {"id": "bob", "ObservationList": [{"id": "o7"}]},
        ],
        "one": [{"id": "ann"}],
        "none": [],
        "all": [{"id": "bob"}, {"id": "ann"}],
        "any": [{"id": "o1"}, {"id": "o2"}],
    }  # fmt: skip


def test_connections_have_pages(world: Api) -> None:
    query = """query($cursor: String) { ObservationConnection(patient: "Patient/ann", _count: 4, _cursor: $cursor) {
                 count pagesize next edges { mode resource { id subject { resource { id } } } } } }"""
    first = data(world, query)["ObservationConnection"]
    assert (first["count"], first["pagesize"], len(first["edges"])) == (6, 4, 4)
    assert first["edges"][0]["mode"] == "match"
    assert first["edges"][0]["resource"]["subject"]["resource"] == {"id": "ann"}
    second = data(world, query, cursor=first["next"])["ObservationConnection"]
    assert (second["count"], len(second["edges"]), second["next"]) == (6, 2, None)
    ids = [edge["resource"]["id"] for page in (first, second) for edge in page["edges"]]
    assert sorted(ids) == [f"o{n}" for n in range(6)]
    nested = data(
        world, "{ ObservationConnection(_reference: subject, _count: 1) { count edges { resource { id } } } }", ANN
    )
    assert nested["ObservationConnection"]["count"] == 6


def test_a_cursor_goes_on_with_its_own_search(world: Api) -> None:
    query = "query($c: String, $p: String) { ObservationConnection(patient: $p, _count: 2, _cursor: $c) { next } }"
    first = data(world, query, p="Patient/ann")["ObservationConnection"]["next"]
    assert data(world, query, p="Patient/ann", c=first)["ObservationConnection"]["next"] != first
    for other in ({"p": "Patient/bob", "c": first}, {"p": "Patient/ann", "c": first[:-4] + "AAAA"}):
        answer = ask(world, query, **other).json
        assert answer["data"] == {"ObservationConnection": None}
        assert len(answer["errors"]) == 1


def test_a_search_is_strict_whatever_the_client_prefers(world: Api) -> None:
    query = {"query": '{ ObservationList(date: "soon") { id } }'}
    answer = world.post("$graphql", query, Prefer="handling=lenient")
    assert answer.json["data"] == {"ObservationList": None}


def test_a_reference_to_a_version(world: Api) -> None:
    """It is not answered by another version."""
    practitioner = {"resourceType": "Practitioner", "id": "doc", "active": True}
    assert world.put("Practitioner/doc", practitioner).json["meta"]["versionId"] == "2"
    for version, found in (("1", None), ("2", {"active": True})):
        past = reference(f"Practitioner/doc/_history/{version}")
        world.put("Patient/old", {"resourceType": "Patient", "id": "old", "generalPractitioner": [past]})
        answer = ask(
            world, "{ generalPractitioner { resource { ... on Practitioner { active } } } }", "Patient/old/"
        ).json
        assert answer["data"] == {"generalPractitioner": [{"resource": found}]}
        assert ("errors" in answer) == (found is None)


def test_operations_variables_and_aliases(world: Api) -> None:
    two = "query A { id } query B { x: id y: gender }"
    answer = world.post("Patient/ann/$graphql", {"query": two, "operationName": "B"})
    assert answer.json == {"data": {"x": "ann", "y": "female"}}
    url = f"Patient/ann/$graphql?query={quote('query($u: code) { name(use: $u) { text } }')}&variables="
    assert world.get(url + quote('{"u": "usual"}')).json == {"data": {"name": [{"text": "Annie"}]}}


BROKEN = [
    "{",
    "}",
    "",
    "{}",
    "{ id",
    "{ nonsense }",
    "{ id { x } }",
    "{ name }",
    "{ name(nonsense: 1) { text } }",
    "{ id(x: 1) }",
    "mutation { PatientCreate { id } }",
    "subscription { id }",
    "query A { id } query B { id }",
    "query A { id } { id }",
    "{ ...gone }",
    "{ ...a } fragment a on Patient { ...b } fragment b on Patient { ...a }",
    "fragment a on Patient { id }",
    "{ ...a } fragment a on Patient { id } fragment a on Patient { id }",
    "type X { id: ID }",
    "{ x: id x: gender }",
    "{ id @nonsense }",
    "{ name @slice { text } }",
    "{ id @skip }",
    '{ id @include(if: "yes") }',
    "{ ObservationList { id } }",
    "{ ObservationList(_reference: nonsense) { id } }",
    "{ ObservationList(_reference: subject, nonsense: 1) { id } }",
    "{ OrganizationList(_reference: subject) { id } }",
    "{ managingOrganization { resource { name } } }",
    "{ managingOrganization { resource(type: Nonsense) { id } } }",
    "{ managingOrganization { resource { ... on Nope { id } } } }",
    "query($a: ID!) { id }",
    'query($a: Int = "x") { id @skip(if: $b) }',
    "{ name(_count: -1) { text } }",
    "{ name(use: {a: 1}) { text } }",
    "{ name(use: null, use: null) { text } }",
    "{ Patient(id: 1) { id } }",
    "query($a: Int, $a: Int) { id }",
    "{ name(_count: " + "9" * 500 + ") { text } }",
    "\0",
    "{ id \u2028 \ufeff '",
    '"""',
    "{" * 5_000,
    "{ name(use: " + "[" * 2_000,
    "{" + " id" * 6_000 + "}",
    "{ id }" + " " * 60_000,
    "# " + "x" * 100,
    "{ " + "a { " * 63,
    "query($a: " + "[" * 63 + "Int) { id }",
]


@pytest.mark.parametrize("query", BROKEN, ids=range(len(BROKEN)))
def test_what_cannot_be_executed(world: Api, query: str) -> None:
    answer = ask(world, query, ANN)
    assert answer.status == 400, answer.data
    assert answer.json.get("errors") or answer.json["resourceType"] == "OperationOutcome"
    assert "data" not in answer.json
    for error in answer.json.get("errors", ()):
        assert error["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "Patient/none/$graphql?query={id}", None, 404),
        ("GET", "Patient/$graphql?query={id}", None, 405),
        ("GET", "$graphql", None, 400),
        ("GET", "$graphql?query=", None, 400),
        ("GET", "$graphql?query={id}&nonsense=1", None, 400),
        ("GET", "$graphql?query={id}&query={id}", None, 400),
        ("GET", "Patient/ann/$graphql?query={id}&variables=[", None, 400),
        ("GET", "Patient/ann/$graphql?query={id}&variables=[]", None, 400),
        ("GET", "Patient/ann/$graphql?query={id}&operationName=x", None, 400),
        ("POST", "$graphql", [], 400),
        ("POST", "$graphql", {"query": 1}, 400),
        ("POST", "$graphql", {"query": "{id}", "variables": []}, 400),
        ("POST", "$graphql", {"query": "{id}", "operationName": {}}, 400),
        ("POST", "$graphql", {"resourceType": "Parameters", "parameter": 1}, 400),
        ("POST", "$graphql", b"{", 400),
    ],
)
def test_requests_that_are_none(world: Api, method: str, path: str, body: Any, status: int) -> None:
    assert world(method, path, body).status == status


def test_queries_that_cost_too_much(world: Api) -> None:
    """Each is refused as a whole, before or while it runs."""
    deep = (
        "{ ObservationList(_reference: subject) { subject { resource { ... on Patient " * 4 + "{ id }" + " } } } }" * 4
    )
    doubled = (
        "{ ...f0 } "
        + " ".join(
            f"fragment f{n} on Patient {{ a{n}: contact {{ organization {{ id }} }} ...f{n + 1} ...f{n + 1} }}"
            for n in range(40)
        )
        + " fragment f40 on Patient { id }"
    )
    wide = "{" + " ".join(f"p{n}: ObservationList(_reference: subject) {{ id }}" for n in range(60)) + "}"
    assert ask(world, doubled, ANN).status == 200
    for query in (deep, wide):
        answer = ask(world, query, ANN)
        assert answer.status == 400
        assert answer.json["errors"][0]["extensions"]["code"] == "too-costly"


def test_more_resources_than_a_query_may_read(api: Api) -> None:
    entries = [
        {"resource": {"resourceType": "Basic", "code": {"text": "x"}}, "request": {"method": "POST", "url": "Basic"}}
        for _ in range(1_001)
    ]
    assert api.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status == 200
    answer = ask(api, "{ BasicList { id } }")
    assert answer.status == 400
    assert "BasicConnection" in answer.json["errors"][0]["message"]
    assert len(data(api, "{ BasicList(_count: 900) { id } }")["BasicList"]) == 900
    assert ask(api, "{ a: BasicList(_count: 900) { id } b: BasicList(_count: 900) { id } }").status == 400


def test_a_search_that_is_refused_leaves_the_rest(world: Api) -> None:
    answer = ask(
        world, '{ Patient(id: "ann") { id } ObservationList(date: "soon") { id } gone: Patient(id: "zoe") { id } }'
    )
    assert answer.status == 200
    assert answer.json["data"] == {"Patient": {"id": "ann"}, "ObservationList": None, "gone": None}
    assert [error["path"] for error in answer.json["errors"]] == [["ObservationList"], ["gone"]]


def test_every_resource_wants_a_permission_of_its_type(new_api: Callable[..., Api]) -> None:
    full = new_api()
    store(full, WORLD)
    query = """{ id managingOrganization { resource { ... on Organization { name } } }
                 ObservationList(_reference: subject) { id } ObservationConnection(_reference: subject) { count } }"""
    for scope, organization, observations in (
        ("system/Patient.r", None, None),
        ("system/Patient.r system/Organization.s system/Observation.r", None, None),
        ("system/Patient.r system/Organization.r", {"name": "Clinic"}, None),
        ("system/Patient.r system/Observation.s", None, 6),
    ):
        answer = ask(new_api(scope, full.slug), query, ANN)
        assert answer.status == 200
        assert answer.json["data"]["managingOrganization"]["resource"] == organization
        found = answer.json["data"]["ObservationList"]
        assert (found and len(found)) == observations
        refused = [error for error in answer.json["errors"] if error["extensions"]["code"] == "forbidden"]
        assert len(refused) == (organization is None) + 2 * (observations is None)
    for scope in ("system/Patient.s", "system/Observation.rs", "patient/*.rs", "openid"):
        assert ask(new_api(scope, full.slug), query, ANN).status == 403
    root = '{ PatientList(name: "ivory") { id } Patient(id: "ann") { id } }'
    assert ask(new_api("system/Observation.rs", full.slug), root).status == 403
    half = ask(new_api("system/Patient.r", full.slug), root).json
    assert half["data"] == {"PatientList": None, "Patient": {"id": "ann"}}
    assert ask(new_api("openid", full.slug), "{ __typename }").status == 403


def test_other_tenants_are_not_reached(new_api: Callable[..., Api]) -> None:
    """The attacker has resources that refer to ids of the victim, by every kind of field."""
    victim, attacker = new_api(), new_api()
    store(victim, WORLD)
    lure: Resource = {"resourceType": "Patient", "id": "lure", "managingOrganization": reference("Organization/org")}
    own = reference(f"http://localhost:8080/t/{victim.slug}/fhir/Practitioner/doc")
    store(attacker, [lure | {"generalPractitioner": [reference("Practitioner/doc"), own]}])
    query = """{ managingOrganization { resource { id } } generalPractitioner { resource { id } }
                 ObservationList(_reference: subject) { id } }"""
    answer = ask(attacker, query, "Patient/lure/").json
    assert answer["data"] == {
        "managingOrganization": {"resource": None},
        "generalPractitioner": [{"resource": None}] * 2,
        "ObservationList": [],
    }
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"not-found"}
    found = ask(
        attacker, '{ Patient(id: "ann") { id } PatientList { id } ObservationList(patient: "ann") { id } }'
    ).json
    assert found["data"] == {"Patient": None, "PatientList": [{"id": "lure"}], "ObservationList": []}
    page = data(victim, "{ ObservationConnection(_count: 1) { next } }")["ObservationConnection"]["next"]
    stolen = ask(
        attacker, "query($c: String) { ObservationConnection(_cursor: $c) { edges { resource { id } } } }", c=page
    )
    assert stolen.json["data"] == {"ObservationConnection": None}
    assert Api(victim.app, victim.slug, attacker.access_token).get("$graphql?query={PatientList{id}}").status == 403


def test_a_level_is_read_at_once(world: Api, count: RoundTrips) -> None:
    """However many resources refer and are referred to: one statement for a level's references, one for each list."""
    query = """{ PatientList { id managingOrganization { resource(optional: true) { id } }
                 ObservationList(_reference: subject) { performer { resource { id } } subject { resource { id } } }
               } }"""
    data(world, query)
    trips, answer = count(lambda: ask(world, query))
    assert answer.json["data"]["PatientList"][0]["ObservationList"]
    assert trips == 4
