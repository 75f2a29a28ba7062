"""Searches by value set, by hierarchy, by type of identifier and by URI, over HTTP.
https://hl7.org/fhir/R4/search.html#token"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.functional.conftest import Answer, Api

Resource = dict[str, Any]
NewApi = Callable[..., Api]

ANIMALS, LOINC = "http://example.org/animals", "http://loinc.org"
PETS = "http://example.org/ValueSet/pets"
GENDERS = "http://example.org/ValueSet/genders"
PARENTS = {
    "animal": "",
    "dog": "animal",
    "poodle": "dog",
    "husky": "dog",
    "cat": "animal",
    "siamese": "cat",
    "plant": "",
}


def code_system() -> Resource:
    concepts: dict[str, Resource] = {code: {"code": code} for code in PARENTS}
    for code, parent in PARENTS.items():
        if parent:
            concepts[parent].setdefault("concept", []).append(concepts[code])
    roots = [concepts[code] for code, parent in PARENTS.items() if not parent]
    return {
        "resourceType": "CodeSystem", "id": "animals", "url": ANIMALS, "status": "active", "content": "complete",
        "hierarchyMeaning": "is-a", "concept": roots,
    }  # fmt: skip


def value_set(url: str, name: str, *include: Resource, exclude: tuple[Resource, ...] = (), **more: Any) -> Resource:
    compose: Resource = {"include": list(include)} | ({"exclude": list(exclude)} if exclude else {})
    return {"resourceType": "ValueSet", "id": name, "url": url, "status": "active", "compose": compose, **more}


def is_a(code: str) -> Resource:
    return {"system": ANIMALS, "filter": [{"property": "concept", "op": "is-a", "value": code}]}


def listed(system: str, *codes: str) -> Resource:
    return {"system": system, "concept": [{"code": code} for code in codes]}


def observation(name: str, *codings: tuple[str, str], status: str = "final") -> Resource:
    coded = [{"system": system, "code": code} if system else {"code": code} for system, code in codings]
    return {
        "resourceType": "Observation", "id": name, "status": status,
        "code": {"coding": coded} if coded else {"text": "?"},
    }  # fmt: skip


def put(api: Api, *resources: Resource) -> None:
    for resource in resources:
        answer = api.put(f"{resource['resourceType']}/{resource['id']}", resource)
        assert answer.status in (200, 201), answer.data


def found(answer: Answer) -> str:
    assert answer.status == 200, answer.data
    return " ".join(sorted(entry["resource"]["id"] for entry in answer.json.get("entry", [])))


def query(api: Api, resource_type: str, name: str, value: str, *more: str) -> Answer:
    return api.get(f"{resource_type}?" + "&".join([f"{name}={quote(value, safe='')}", *more]))


def problem(answer: Answer) -> tuple[int, str, str]:
    issue = answer.json["issue"][0]
    return answer.status, issue["code"], issue["diagnostics"]


@pytest.fixture
def pets(api: Api) -> Api:
    put(
        api,
        code_system(),
        value_set(PETS, "pets", is_a("dog"), listed(LOINC, "1"), version="1"),
        observation("o1", (ANIMALS, "poodle")),
        observation("o2", (ANIMALS, "animal"), ("urn:other", "dog")),
        observation("o3", (LOINC, "1"), (ANIMALS, "plant")),
        observation("o4", ("", "dog")),
        observation("o5", status="amended"),
    )
    return api


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("code:in", PETS, "o1 o3"),
        ("code:in", f"{PETS}|1", "o1 o3"),
        ("code:in", "ValueSet/pets", "o1 o3"),
        ("code:not-in", PETS, "o2 o4 o5"),
        ("code:in", f"{PETS},http://example.org/ValueSet/none,ValueSet/pets", None),
        ("code:below", f"{ANIMALS}|dog", "o1"),
        ("code:below", f"{ANIMALS}|animal", "o1 o2"),
        ("code:below", f"{ANIMALS}|animal,{ANIMALS}|plant", "o1 o2 o3"),
        ("code:above", f"{ANIMALS}|husky", "o2"),
        ("code:above", f"{ANIMALS}|poodle", "o1 o2"),
        ("combo-code:in", PETS, "o1 o3"),
        ("status:in", "http://hl7.org/fhir/ValueSet/observation-status", "o1 o2 o3 o4 o5"),
        ("status:below", "http://hl7.org/fhir/observation-status|amended", "o5"),
        ("status:not-in", PETS, "o1 o2 o3 o4 o5"),
    ],
)
def test_codes_of_value_sets_and_hierarchies(pets: Api, name: str, value: str, expected: str | None) -> None:
    answer = query(pets, "Observation", name, value)
    if expected is None:
        assert problem(answer)[:2] == (404, "not-found")
        return
    assert found(answer) == expected
    counted = query(pets, "Observation", name, value, "_summary=count").json
    assert counted["total"] == len(expected.split())
    # The link that says what was applied asks the same.
    url = urlsplit(next(one["url"] for one in answer.json["link"] if one["relation"] == "self"))
    assert found(pets.get(f"Observation?{url.query}")) == expected


def test_pages_and_other_conditions(pets: Api) -> None:
    put(pets, *(observation(f"many{n}", (ANIMALS, ("husky", "poodle", "dog")[n % 3])) for n in range(12)))
    for order in ("", "&_sort=-_id", "&_sort=_lastUpdated"):
        seen: list[str] = []
        answer = pets.get(f"Observation?code:in={PETS}&status=final&_count=5{order}")
        while True:
            seen += found(answer).split()
            following = [one["url"] for one in answer.json["link"] if one["relation"] == "next"]
            if not following:
                break
            answer = pets.get("Observation?" + urlsplit(following[0]).query)
        assert sorted(seen) == sorted(["o1", "o3", *(f"many{n}" for n in range(12))])


def test_posted_and_conditional(pets: Api) -> None:
    posted = pets.post(
        "Observation/_search", f"code:in={PETS}".encode(), Content_Type="application/x-www-form-urlencoded"
    )
    assert found(posted) == "o1 o3"
    created = pets.post("Observation", observation("x", (ANIMALS, "dog")), If_None_Exist=f"code:in={PETS}")
    assert created.status == 412
    created = pets.post("Observation", observation("x", (ANIMALS, "dog")), If_None_Exist=f"code:below={ANIMALS}|dog")
    assert created.status == 200
    assert created.headers["Location"].partition("/_history")[0].endswith("Observation/o1")


def test_a_value_set_in_the_same_transaction(api: Api) -> None:
    put(api, observation("o", (ANIMALS, "cat")))
    later = value_set(PETS, "pets", listed(ANIMALS, "cat"))
    bundle = {
        "resourceType": "Bundle", "type": "batch",
        "entry": [
            {"request": {"method": "PUT", "url": "ValueSet/pets"}, "resource": later},
            {"request": {"method": "GET", "url": f"Observation?code:in={PETS}"}},
        ],
    }  # fmt: skip
    answer = api.post("", bundle)
    assert answer.status == 200, answer.data
    assert [one["resource"]["id"] for one in answer.json["entry"][1]["resource"]["entry"]] == ["o"]


def test_changes_count_at_once(pets: Api) -> None:
    put(pets, value_set(PETS, "pets", listed(ANIMALS, "plant")))
    assert found(query(pets, "Observation", "code:in", PETS)) == "o3"
    assert pets.delete("ValueSet/pets").status == 204
    for value in (PETS, "ValueSet/pets"):
        assert problem(query(pets, "Observation", "code:in", value))[:2] == (404, "not-found")


@pytest.mark.parametrize(
    ("name", "value", "status", "code", "message"),
    [
        ("code:in", "http://example.org/none", 404, "not-found", "http://example.org/none is not known here"),
        ("code:in", f"{PETS}|9", 404, "not-found", f"The ValueSet {PETS}|9 is not known here"),
        ("code:not-in", "ValueSet/none", 404, "not-found", "ValueSet/none is not known here"),
        ("code:below", "http://snomed.info/sct|73211009", 404, "not-found", "http://snomed.info/sct is not known"),
        ("code:below", f"{ANIMALS}|cow", 404, "not-found", f"The CodeSystem {ANIMALS} has no code cow"),
        ("code:below", "dog", 400, "invalid", "the value of :below is system|code"),
        ("code:in", "pets", 400, "invalid", "the value is the URL of a ValueSet"),
        ("code:in", "http://example.org/ring", 400, "processing", "imports itself"),
        ("code:in", "http://example.org/many", 400, "too-costly", "stands for 12000 codes; a search takes up to"),
        ("code:in", "http://example.org/bad", 400, "not-supported", "filter 'concept' 'regex' has a regular"),
        ("subject:below", "Patient/1", 400, "not-supported", "modifiers of subject (reference): "),
        ("date:in", PETS, 400, "not-supported", "modifiers of date (date): "),
        ("code:of-type", "a|b|c", 400, "not-supported", "modifiers of code (token): "),
        ("identifier:in", PETS, 400, "not-supported", "modifiers of identifier (token): "),
        ("identifier:of-type", "b|c", 400, "invalid", "the value is system|code|value"),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_up_is_said(
    pets: Api, name: str, value: str, status: int, code: str, message: str
) -> None:
    bad = {"system": ANIMALS, "filter": [{"property": "concept", "op": "regex", "value": "(("}]}
    many = [listed(LOINC, *map(str, range(n, n + 3_000))) for n in range(0, 12_000, 3_000)]
    put(
        pets,
        value_set("http://example.org/ring", "ring", {"valueSet": ["http://example.org/ring"]}),
        value_set("http://example.org/many", "many", *many),
        value_set("http://example.org/bad", "bad", bad),
    )  # fmt: skip
    answer = query(pets, "Observation", name, value)
    assert problem(answer)[:2] == (status, code)
    assert message in problem(answer)[2]


def test_another_clinic_s_definitions_are_never_used(new_api: NewApi) -> None:
    first, second = new_api(), new_api()
    put(first, code_system(), value_set(PETS, "pets", is_a("dog")), observation("o", (ANIMALS, "dog")))
    put(second, observation("o", (ANIMALS, "dog")), observation("p", (ANIMALS, "cat")))
    assert found(query(first, "Observation", "code:in", PETS)) == "o"
    for name, value in (
        ("code:in", PETS), ("code:not-in", PETS), ("code:in", "ValueSet/pets"),
        ("code:below", f"{ANIMALS}|dog"), ("code:above", f"{ANIMALS}|dog"),
        ("code:in", f"http://localhost/t/{first.slug}/fhir/ValueSet/pets"),
    ):  # fmt: skip
        assert problem(query(second, "Observation", name, value))[:2] == (404, "not-found")
    # The same URL with other content in each.
    put(second, value_set(PETS, "pets", listed(ANIMALS, "cat")))
    assert found(query(second, "Observation", "code:in", PETS)) == "p"
    assert found(query(first, "Observation", "code:in", PETS)) == "o"
    # A ValueSet that imports what only the other clinic has.
    put(second, value_set("http://example.org/import", "import", is_a("dog")))
    assert problem(query(second, "Observation", "code:in", "http://example.org/import"))[:2] == (404, "not-found")


def test_what_the_caller_may_search_decides(new_api: NewApi) -> None:
    whole = new_api()
    put(whole, code_system(), value_set(PETS, "pets", is_a("dog")), observation("o", (ANIMALS, "dog")))
    searcher, reader = (new_api(scope, whole.slug) for scope in ("system/Observation.s", "system/ValueSet.rs"))
    assert found(query(searcher, "Observation", "code:in", PETS)) == "o"
    assert searcher.get("ValueSet/pets").status == 403
    assert query(reader, "Observation", "code:in", PETS).status == 403


def test_lenient_searches_know_the_same_codes(pets: Api) -> None:
    answer = query(pets, "Observation", "code:in", PETS, "nonsense=1")
    assert answer.status == 400
    lenient = pets.get(f"Observation?code:in={PETS}&nonsense=1", Prefer="handling=lenient")
    modes = [(entry["search"]["mode"], entry["resource"].get("id")) for entry in lenient.json["entry"]]
    assert sorted(modes, key=str) == [("match", "o1"), ("match", "o3"), ("outcome", None)]
    unknown = pets.get("Observation?code:in=http://example.org/none", Prefer="handling=lenient")
    assert problem(unknown)[:2] == (404, "not-found")


def test_identifiers_by_type(api: Api) -> None:
    v2 = "http://terminology.hl7.org/CodeSystem/v2-0203"

    def patient(name: str, *identifiers: tuple[str, str]) -> Resource:
        written = [{"type": {"coding": [{"system": v2, "code": kind}]}, "value": value} for kind, value in identifiers]
        return {"resourceType": "Patient", "id": name, "identifier": written}

    put(api, patient("a", ("MR", "1"), ("SS", "2")), patient("b", ("MR", "2"), ("SS", "1")))
    assert found(query(api, "Patient", "identifier:of-type", f"{v2}|MR|1")) == "a"
    assert found(query(api, "Patient", "identifier:of-type", f"{v2}|MR|2,{v2}|SS|2")) == "a b"
    put(api, patient("a", ("MR", "3")))
    assert found(query(api, "Patient", "identifier:of-type", f"{v2}|SS|2")) == ""


def test_uris_above_and_below(api: Api) -> None:
    profiles = {"a": "http://acme.org/fhir/p", "b": "http://acme.org/fhir/p|2", "c": "http://acme.org/fhir2/p"}
    put(api, *({"resourceType": "Patient", "id": n, "meta": {"profile": [p]}} for n, p in profiles.items()))
    assert found(query(api, "Patient", "_profile:below", "http://acme.org/fhir/")) == "a b"
    assert found(query(api, "Patient", "_profile:below", "http://acme.org")) == "a b c"
    assert found(query(api, "Patient", "_profile:above", "http://acme.org/fhir/p/x")) == "a b"
    assert problem(query(api, "Patient", "_profile:below", "urn:uuid:1"))[:2] == (400, "invalid")
    put(api, {"resourceType": "Patient", "id": "a", "meta": {"profile": ["http://other.org/p"]}})
    assert found(query(api, "Patient", "_profile:below", "http://acme.org/fhir/")) == "b"
    counted = query(api, "Patient", "_profile:below", "http://acme.org", "_summary=count").json
    assert counted["total"] == 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"Observation?subject:Patient.gender:in={GENDERS}", "o1"),
        (f"Observation?patient.gender:not-in={GENDERS}", "o2"),
        (f"Patient?_has:Observation:patient:code:in={PETS}", "f"),
        (f"Patient?_has:Observation:patient:code:below={ANIMALS}%7Ccat", "m"),
        (f"Patient?_has:Observation:patient:code:not-in={PETS}", "m"),
        (f"Encounter?subject:Patient._has:Observation:patient:code:in={PETS}", "e"),
        (f"?_type=Observation,Condition&code:in={PETS}", "c o1"),
        (f"?_type=Observation,Condition&code:below={ANIMALS}%7Canimal", "c o1 o2"),
        (f"Patient/f/Observation?code:in={PETS}", "o1"),
        (f"Patient/m/Observation?code:in={PETS}", ""),
        (f"Patient/f/*?_type=Observation,Condition&code:in={PETS}", "c o1"),
        (f"Observation?patient=f&code:in={PETS}", "o1"),
        (f"Observation?patient=m&code:not-in={PETS}", "o2"),
        (f"Observation/$lastn?patient=Patient/f&code:in={PETS}", "o1"),
        (f"Observation/$lastn?patient=Patient/m&code:in={PETS}", ""),
        (f"Observation?code:in={PETS}&_sort=status,-date", "o1"),
        (f"Observation?_filter=code%20in%20%22{PETS}%22", "o1"),
        (f"Observation?_filter=code%20ni%20%22{PETS}%22", "o2"),
        (f"Observation?_filter=code%20ss%20{ANIMALS}%7Ccat", "o2"),
        (f"Observation?_filter=not(code%20in%20%22{PETS}%22)", "o2"),
        (f"Observation?_filter=code%20in%20%22{PETS}%22%20or%20code%20ss%20{ANIMALS}%7Ccat", "o1 o2"),
    ],
)
def test_joined_searches(api: Api, path: str, expected: str) -> None:
    def about(patient: str, resource: Resource) -> Resource:
        return {**resource, "subject": {"reference": f"Patient/{patient}"}}

    condition = {"resourceType": "Condition", "id": "c", "code": {"coding": [{"system": ANIMALS, "code": "poodle"}]}}
    put(
        api,
        code_system(),
        value_set(PETS, "pets", is_a("dog")),
        value_set(GENDERS, "genders", listed("http://hl7.org/fhir/administrative-gender", "female")),
        {"resourceType": "Patient", "id": "f", "gender": "female"},
        {"resourceType": "Patient", "id": "m"},
        about("f", observation("o1", (ANIMALS, "husky"))),
        about("m", observation("o2", (ANIMALS, "siamese"))),
        about("f", condition),
        about("f", {"resourceType": "Encounter", "id": "e", "status": "planned", "class": {"code": "AMB"}}),
    )
    answer = api.get(path)
    assert found(answer) == expected


@pytest.mark.parametrize("count", [10, 40])
def test_pages_of_a_value_set_of_many_codes(api: Api, count: int) -> None:
    """Each code is looked up by itself, and what they find is merged: nothing is lost, repeated or out of order."""
    chance = random.Random(count)
    codings = [[(LOINC, str(chance.randrange(count + 5))) for _ in range(chance.randrange(1, 4))] for _ in range(60)]
    put(api, value_set(PETS, "many", listed(LOINC, *map(str, range(count)))))
    entries = [
        {"request": {"method": "PUT", "url": f"Observation/o{n}"}, "resource": observation(f"o{n}", *pairs)}
        for n, pairs in enumerate(codings)
    ]
    assert api.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries}).status == 200
    expected = [f"o{n}" for n, pairs in enumerate(codings) if any(int(code) < count for _, code in pairs)]
    for more, wanted in (("", expected), ("&status=final", expected), ("&status=amended", [])):
        answer = api.get(f"Observation?code:in={PETS}&_count=7&_total=accurate{more}")
        seen: list[str] = []
        places: list[Answer] = []
        while True:
            assert answer.json["total"] == len(wanted)
            places.append(answer)
            seen += [entry["resource"]["id"] for entry in answer.json.get("entry", [])]
            following = [one["url"] for one in answer.json["link"] if one["relation"] == "next"]
            if not following:
                break
            answer = api.get("Observation?" + urlsplit(following[0]).query)
        assert seen == wanted[::-1]
        # And back again.
        for earlier, later in itertools.pairwise(places):
            back = next(one["url"] for one in later.json["link"] if one["relation"] == "previous")
            assert found(api.get("Observation?" + urlsplit(back).query)) == found(earlier)


# Every search on random resources against plain Python over all of them.


def descends(code: str, ancestor: str) -> bool:
    return code == ancestor or (bool(PARENTS.get(code)) and descends(PARENTS[code], ancestor))


def member(include: list[Resource], system: str, code: str) -> bool:
    for one in include:
        if one["system"] != system:
            continue
        if "concept" in one and code in [entry["code"] for entry in one["concept"]]:
            return True
        if "filter" in one and code in PARENTS and descends(code, one["filter"][0]["value"]):
            return True
    return False


World = tuple[Api, list[Resource], dict[str, list[Resource]], random.Random]


@pytest.fixture
def world(api: Api) -> World:
    chance = random.Random(7)
    codings = [(ANIMALS, code) for code in PARENTS] + [(LOINC, str(n)) for n in range(6)] + [("", "dog")]
    observations = [observation(f"o{n}", *chance.sample(codings, chance.randrange(4))) for n in range(60)]
    sets = {
        f"http://example.org/vs{n}": [
            chance.choice([is_a(chance.choice(list(PARENTS))), listed(LOINC, *map(str, chance.sample(range(6), 2)))])
            for _ in range(chance.randrange(1, 4))
        ]
        for n in range(8)
    }
    bundle = {
        "resourceType": "Bundle", "type": "transaction",
        "entry": [
            {"request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}, "resource": one}
            for one in [
                *observations, code_system(),
                *(value_set(url, f"vs{n}", *include) for n, (url, include) in enumerate(sets.items())),
            ]
        ],
    }  # fmt: skip
    answer = api.post("", bundle)
    assert answer.status == 200, answer.data
    return api, observations, sets, chance


def test_every_search_finds_what_plain_python_finds(
    world: World,
) -> None:
    api, observations, sets, chance = world

    def pairs(one: Resource) -> list[tuple[str, str]]:
        return [(entry.get("system", ""), entry["code"]) for entry in one["code"].get("coding", [])]

    def expected(test: Callable[[str, str], bool], negated: bool = False) -> str:
        return " ".join(
            sorted(one["id"] for one in observations if any(test(*pair) for pair in pairs(one)) is not negated)
        )

    for url, include in sets.items():
        assert found(query(api, "Observation", "code:in", url, "_count=100")) == expected(
            lambda system, code, include=include: member(include, system, code)  # type: ignore[misc]
        )
        assert found(query(api, "Observation", "code:not-in", url, "_count=100")) == expected(
            lambda system, code, include=include: member(include, system, code),  # type: ignore[misc]
            negated=True,
        )
    for wanted in PARENTS:
        value = f"{ANIMALS}|{wanted}"
        assert found(query(api, "Observation", "code:below", value, "_count=100")) == expected(
            lambda system, code, wanted=wanted: system == ANIMALS and descends(code, wanted)  # type: ignore[misc]
        )
        assert found(query(api, "Observation", "code:above", value, "_count=100")) == expected(
            lambda system, code, wanted=wanted: system == ANIMALS and descends(wanted, code)  # type: ignore[misc]
        )
    one, other = chance.sample(list(sets), 2)
    assert found(query(api, "Observation", "code:in", f"{one},{other}", "_count=100")) == expected(
        lambda system, code: member([*sets[one], *sets[other]], system, code)
    )
