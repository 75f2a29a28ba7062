"""$lastn against a computation over the resources themselves, with ties, translations, filters and other tenants."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.functional.conftest import Api
from tests.functional.test_query_counts import RoundTrips, count

__all__ = ["count"]

LOINC, LOCAL = "http://loinc.org", "urn:local"
Resource = dict[str, Any]


def coding(system: str, code: str) -> dict[str, str]:
    return {"system": system, "code": code}


def observation(
    number: int, codings: list[dict[str, str]], date: str | None, patient: str = "a", /, **more: Any
) -> Resource:
    resource: Resource = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": codings} if codings else {"text": "written by hand"},
        "subject": {"reference": f"Patient/{patient}"},
    } | more
    return resource | {"effectiveDateTime": date} if date else resource


def store(api: Api, resources: list[Resource]) -> None:
    entries = [
        {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in resources
    ]
    answer = api.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 200, answer.data


def lastn(api: Api, query: str) -> list[str]:
    answer = api.get(f"Observation/$lastn?{query}")
    assert answer.status == 200, answer.data
    ids = [entry["resource"]["id"] for entry in answer.json.get("entry", ())]
    assert answer.json["total"] == len(ids) == len(set(ids))
    return ids


GLUCOSE, HEIGHT, WEIGHT = coding(LOINC, "2339-0"), coding(LOINC, "8302-2"), coding(LOINC, "29463-7")
VITAL = {
    "category": [{"coding": [coding("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")]}]
}
SOME = [
    observation(1, [GLUCOSE], "2020-01-01"),
    observation(2, [GLUCOSE], "2021-01-01"),
    observation(3, [GLUCOSE], "2022-01-01T10:00:00Z"),
    observation(4, [GLUCOSE], "2022-01-01T10:00:00Z"),
    observation(5, [HEIGHT], "2019-01-01", **VITAL),
    observation(6, [HEIGHT], None, **VITAL),
    observation(7, [], "2020-05-05"),
    observation(8, [], "2020-06-06"),
    observation(9, [HEIGHT], "2023-01-01", "b", **VITAL),
    observation(10, [WEIGHT], None, "c"),
]


def test_the_latest_of_each_code(api: Api) -> None:
    store(api, SOME)
    assert set(lastn(api, "patient=a")) == {"o3", "o4", "o5", "o8"}
    assert set(lastn(api, "patient=a&max=2")) == {"o3", "o4", "o5", "o6", "o7", "o8"}
    assert set(lastn(api, "patient=a&max=3")) == {"o2", "o3", "o4", "o5", "o6", "o7", "o8"}
    glucose = lastn(api, "patient=a&code=2339-0&max=9")
    assert (set(glucose[:2]), glucose[2:]) == ({"o3", "o4"}, ["o2", "o1"])
    assert lastn(api, "subject=Patient/a&category=vital-signs") == ["o5"]
    assert lastn(api, "patient=a&date=lt2021&code=http://loinc.org|2339-0") == ["o1"]
    assert lastn(api, "patient=c") == ["o10"]
    assert lastn(api, "patient=none") == []


def test_several_patients_each_have_their_own(api: Api) -> None:
    store(api, SOME)
    assert lastn(api, "patient=a,b&code=8302-2") == ["o5", "o9"]


def test_translations_are_one_kind(api: Api) -> None:
    """o1 and o3 share no coding, but each shares one with o2."""
    chain = [
        observation(1, [GLUCOSE], "2020-01-01"),
        observation(2, [GLUCOSE, coding(LOCAL, "glu")], "2021-01-01"),
        observation(3, [coding(LOCAL, "glu")], "2022-01-01"),
        observation(4, [coding("urn:other", "glu")], "2018-01-01"),
    ]
    store(api, chain)
    assert lastn(api, "patient=a") == ["o3", "o4"]
    assert lastn(api, "patient=a&max=2") == ["o3", "o2", "o4"]


@pytest.mark.parametrize("seed", range(4))
def test_against_a_computation_in_python(api: Api, seed: int) -> None:
    chance = random.Random(seed)
    codes = [coding(LOINC, str(n)) for n in range(5)] + [coding(LOCAL, str(n)) for n in range(4)]
    world = [
        observation(
            n,
            chance.sample(codes, chance.choice((1, 1, 1, 1, 2))),
            chance.choice((None, f"20{chance.randint(10, 13)}-0{chance.randint(1, 3)}-01")),
            chance.choice("ab"),
        )
        for n in range(60)
    ]
    store(api, world)
    for most in (1, 2, 5):
        assert set(lastn(api, f"patient=a,b&max={most}")) == expected(world, most)


def expected(world: list[Resource], most: int) -> set[str]:
    """The definition itself: kinds grow until no two of them share a coding."""
    kinds: list[set[tuple[str, str]]] = []
    for resource in world:
        merged = {(c["system"], c["code"]) for c in resource["code"]["coding"]}
        apart = []
        for kind in kinds:
            if kind & merged:
                merged |= kind
            else:
                apart.append(kind)
        kinds = [*apart, merged]
    found: set[str] = set()
    for patient in ("Patient/a", "Patient/b"):
        for kind in kinds:
            group = [
                r
                for r in world
                if r["subject"]["reference"] == patient
                and {(c["system"], c["code"]) for c in r["code"]["coding"]} & kind
            ]
            dates = sorted((r.get("effectiveDateTime", "") for r in group), reverse=True)
            found |= {r["id"] for r in group if dates.index(r.get("effectiveDateTime", "")) < most}
    return found


def test_by_post(api: Api) -> None:
    store(api, SOME)
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "subject", "valueReference": {"reference": "Patient/a"}},
            {"name": "code", "valueCoding": HEIGHT},
            {"name": "max", "valuePositiveInt": 1},
        ],
    }
    answer = api.post("Observation/$lastn", body)
    assert [entry["resource"]["id"] for entry in answer.json["entry"]] == ["o5"]
    assert answer.json["link"][0]["url"].endswith("subject=Patient/a&code=http://loinc.org%7C8302-2&max=1")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Observation/$lastn", 400),
        ("Observation/$lastn?code=1", 400),
        ("Observation/$lastn?patient:missing=false", 400),
        ("Observation/$lastn?patient=a&max=0", 400),
        ("Observation/$lastn?patient=a&max=-1", 400),
        ("Observation/$lastn?patient=a&max=1&max=2", 400),
        ("Observation/$lastn?patient=a&max=" + "9" * 500, 200),
        ("Observation/$lastn?patient=a&_sort=date", 400),
        ("Observation/$lastn?patient=a&_count=1", 400),
        ("Observation/$lastn?patient=a&nonsense=1", 400),
        ("Patient/$lastn?patient=a", 404),
        ("Observation/1/$lastn?patient=a", 405),
        ("$lastn?patient=a", 405),
    ],
)
def test_what_is_refused(api: Api, path: str, status: int) -> None:
    assert api.get(path).status == status


def test_permissions_and_other_tenants(new_api: Callable[..., Api]) -> None:
    victim, attacker = new_api(), new_api()
    store(victim, SOME)
    assert lastn(attacker, "patient=a,b,c&max=9") == []
    assert lastn(new_api("system/Observation.s", victim.slug), "patient=a&code=8302-2") == ["o5"]
    for scope in ("system/Observation.r", "system/Patient.rs", "patient/*.rs", "openid"):
        assert new_api(scope, victim.slug).get("Observation/$lastn?patient=a").status == 403


def test_it_is_one_statement(api: Api, count: RoundTrips) -> None:
    store(api, SOME)
    lastn(api, "patient=a")
    assert count(lambda: api.get("Observation/$lastn?patient=a,b&max=3"))[0] == 1
