"""Odd corners of search, each against what is known of a few resources. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest

from fhir_server.app import FhirServer
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Answer, Api

Resource = dict[str, Any]
FORM = "application/x-www-form-urlencoded"


def store(api: Api, resources: Iterable[Resource]) -> None:
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    answer = api.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    refused = [one["response"] for one in answer.json["entry"] if not one["response"]["status"].startswith("20")]
    assert not refused


def ids(answer: Answer, mode: str = "match") -> list[str]:
    assert answer.status == 200, answer.data
    return [one["resource"]["id"] for one in answer.json.get("entry", []) if one["search"]["mode"] == mode]


def found(api: Api, path: str, *pairs: tuple[str, str]) -> set[str]:
    """The ids that a search finds; its pages and its total agree, and nothing comes twice."""
    query = urlencode([*pairs, ("_total", "accurate"), ("_count", "1000")])
    answer = api.get(f"{path}?{query}")
    matches = ids(answer)
    assert len(matches) == len(set(matches)) == answer.json["total"]
    counted = api.get(f"{path}?{urlencode([*pairs, ('_summary', 'count')])}")
    assert counted.json["total"] == len(matches)
    paged = [one for page in pages(api, f"{path}?{urlencode([*pairs, ('_count', '1')])}") for one in ids(page)]
    assert sorted(paged) == sorted(matches)
    return set(matches)


def link(answer: Answer, relation: str) -> str | None:
    url = next((one["url"] for one in answer.json["link"] if one["relation"] == relation), None)
    return url and url.partition("/fhir/")[2]


def pages(api: Api, path: str, relation: str = "next") -> Iterator[Answer]:
    following: str | None = path
    while following is not None:
        answer = api.get(following)
        assert answer.status == 200, answer.data
        yield answer
        following = link(answer, relation)


def observation(name: str, **elements: Any) -> Resource:
    return {"resourceType": "Observation", "id": name, "status": "final", "code": {"text": name}, **elements}


def patient(id_: str, **elements: Any) -> Resource:
    return {"resourceType": "Patient", "id": id_, **elements}


def to(reference: str) -> Resource:
    return {"reference": reference}


@pytest.fixture
def observations(api: Api) -> Api:
    """Observations with and without a patient, a date and a value."""
    store(api, [patient("p", name=[{"family": "Ann"}]), patient("q")])
    store(
        api,
        [
            observation("all", subject=to("Patient/p"), effectiveDateTime="2020-01-01", valueQuantity={"value": 5}),
            observation("other", subject=to("Patient/q"), effectiveDateTime="2000-01-01", valueQuantity={"value": 1}),
            observation("group", subject=to("Group/p")),
            observation("none"),
        ],
    )
    return api


EVERYTHING = {"all", "other", "group", "none"}


@pytest.mark.parametrize(
    "inner",
    [
        "patient eq Patient/p", "subject re Patient/p", "date ge 2020", "value-quantity gt 3",
        "subject:Patient.name eq ann", "date pr true", "subject:Patient[name eq ann]._id eq p", "_id eq all",
        "combo-code eq urn:x|y",
        "date ge 2020 and patient eq Patient/p", "date ge 2020 or patient eq Patient/p", "not(patient eq Patient/p)",
        "not(not(date ge 2020))", "not(date ge 2020 and subject:Patient.name eq ann)",
    ],
)  # fmt: skip
def test_what_is_not_so_is_all_the_rest(observations: Api, inner: str) -> None:
    """Resources without the value are among what does not have it. https://hl7.org/fhir/R4/search_filter.html"""
    one = found(observations, "Observation", ("_filter", inner))
    rest = found(observations, "Observation", ("_filter", f"not({inner})"))
    assert one | rest == EVERYTHING
    assert not one & rest
    for more in [("patient", "Patient/p"), ("_id", "all,none"), ("date", "ge1990"), ("status", "final")]:
        assert found(observations, "Observation", ("_filter", f"not({inner})"), more) == rest & found(
            observations, "Observation", more
        )


@pytest.mark.parametrize(
    "chain",
    ["name=ann", "name:missing=false", "_id=p", "_lastUpdated=gt2000", "gender:missing=true", "active:not=true"],
)
def test_a_chain_leads_to_what_exists(observations: Api, chain: str) -> None:
    pair = (f"subject:Patient.{chain.partition('=')[0]}", chain.partition("=")[2])
    expected = found(observations, "Observation", pair)
    assert "all" in expected
    assert observations.delete("Patient/p").status in (200, 204)
    assert "all" not in found(observations, "Observation", pair)
    store(observations, [patient("p", name=[{"family": "Ann"}])])
    assert found(observations, "Observation", pair) == expected


def test_a_reverse_chain_leads_from_what_exists(observations: Api) -> None:
    for name in ("code:text=all", "_id=all", "date=2020", "status=final", "subject=Patient/p", "_lastUpdated=gt2000"):
        store(observations, [observation("all", subject=to("Patient/p"), effectiveDateTime="2020-01-01")])
        code, _, value = name.partition("=")
        pair = (f"_has:Observation:subject:{code}", value)
        assert "p" in found(observations, "Patient", pair), name
        observations.delete("Observation/all")
        assert "p" not in found(observations, "Patient", pair), name


def test_what_is_referred_to_often_comes_once(api: Api) -> None:
    store(api, [patient(name, active=True) for name in ("p", "q", "r")])
    store(
        api,
        [
            observation(f"o{n}", subject=to(f"Patient/{'ppq'[n % 3]}"), focus=[to(f"Patient/{x}") for x in "ppr"])
            for n in range(12)
        ],
    )  # fmt: skip
    assert found(api, "Patient", ("_has:Observation:subject:status", "final")) == {"p", "q"}
    assert found(api, "Patient", ("_has:Observation:focus:status", "final")) == {"p", "r"}
    both = [("_has:Observation:subject:status", "final"), ("_has:Observation:focus:status", "final")]
    assert found(api, "Patient", *both) == {"p"}
    assert found(api, "Patient", *both, ("active", "true"), ("_sort", "_id")) == {"p"}
    assert len(found(api, "Observation", ("focus:Patient.active", "true"))) == 12
    either = "_has:Observation:subject:status eq final or _has:Observation:focus:status eq final or active eq true"
    assert found(api, "Patient", ("_filter", either)) == {"p", "q", "r"}


def test_a_resource_that_refers_to_itself(api: Api) -> None:
    store(api, [{"resourceType": "Organization", "id": "o", "name": "Self", "partOf": to("Organization/o")}])
    chain = "partof:Organization." * 10 + "name"
    assert found(api, "Organization", (chain, "self")) == {"o"}
    assert found(api, "Organization", ("_has:Organization:partof:" * 10 + "name", "self")) == {"o"}
    answer = api.get("Organization?_include:iterate=Organization:partof&_revinclude:iterate=Organization:partof")
    assert ids(answer) == ["o"]
    assert ids(answer, "include") == []


def test_what_a_parameter_may_not_refer_to_is_no_way(api: Api) -> None:
    """An id alone is of the types that the parameter may refer to, and no chain leads to others."""
    store(api, [{"resourceType": "Practitioner", "id": "x", "name": [{"family": "Odd"}]}])
    store(api, [patient("x", name=[{"family": "Odd"}]), observation("right", subject=to("Patient/x"))])
    assert found(api, "Observation", ("subject.name", "odd")) == {"right"}
    assert found(api, "Observation", ("subject:Patient.name", "odd")) == {"right"}
    assert api.get("Observation?subject=Practitioner/x").status == 400
    assert api.get("Observation?subject:Practitioner.name=odd").status == 400
    assert api.get("Practitioner?_has:Observation:subject:status=final").status == 400


def test_canonicals_by_version(api: Api) -> None:
    url = "http://example.org/q"
    store(
        api,
        [
            {
                "resourceType": "Questionnaire",
                "id": f"q{v}",
                "url": url,
                "version": v,
                "status": "active",
                "title": f"T{v}",
            }
            for v in ("1", "2")
        ],
    )
    store(
        api,
        [
            {"resourceType": "QuestionnaireResponse", "id": name, "status": "completed", "questionnaire": canonical}
            for name, canonical in [("any", url), ("one", f"{url}|1"), ("two", f"{url}|2"), ("gone", f"{url}|3")]
        ],
    )  # fmt: skip
    assert found(api, "QuestionnaireResponse", ("questionnaire:Questionnaire.title", "t1")) == {"any", "one"}
    assert found(api, "QuestionnaireResponse", ("questionnaire:Questionnaire.title", "t")) == {"any", "one", "two"}
    assert found(api, "Questionnaire", ("_has:QuestionnaireResponse:questionnaire:_id", "one")) == {"q1"}
    assert found(api, "Questionnaire", ("_has:QuestionnaireResponse:questionnaire:_id", "any")) == {"q1", "q2"}
    answer = api.get("QuestionnaireResponse?_id=two&_include=QuestionnaireResponse:questionnaire")
    assert ids(answer, "include") == ["q2"]


_VALUES: list[dict[str, Any]] = [
    {},
    {"valueQuantity": {"value": 1, "unit": "mg"}, "effectiveDateTime": "2020"},
    {"valueQuantity": {"value": 1, "unit": "mg"}, "effectiveDateTime": "2020"},
    {"valueQuantity": {"unit": "mg"}},
    {"valueQuantity": {"unit": "mg"}, "effectivePeriod": {"extension": [{"url": "http://x/y", "valueString": "z"}]}},
    {"valueQuantity": {"value": 5, "comparator": "<"}, "effectivePeriod": {"start": "2020-06-01"}},
    {"valueQuantity": {"value": 5, "comparator": ">"}, "effectivePeriod": {"end": "2020-06-01"}},
    {"valueQuantity": {"value": 5, "comparator": "<="}, "effectiveDateTime": "0001-01-01"},
    {"valueQuantity": {"value": 7, "comparator": ">="}, "effectiveDateTime": "9999-12-31"},
    {"valueQuantity": {"value": 1e308}, "effectivePeriod": {"start": "0001", "end": "9999"}},
    {"valueString": "b", "effectiveInstant": "2020-01-01T00:00:00Z"},
    {"valueString": "!"},
    {"valueString": "\u0301"},
    {"valueString": "B", "subject": {"reference": "Patient/b"}},
    {"valueCodeableConcept": {"text": "only"}, "subject": {"display": "nobody"}},
    {"valueCodeableConcept": {"coding": [{"code": "b"}, {"code": "a"}]}, "subject": {"reference": "Patient/a"}},
    {"identifier": [{"value": "2"}, {"value": "9"}], "subject": {"identifier": {"value": "x"}}},
    {"identifier": [{"system": "urn:x"}], "meta": {"profile": ["http://b", "http://a"], "source": "urn:z"}},
]  # fmt: skip

_CODES = [
    "date", "value-quantity", "value-string", "value-concept", "subject", "identifier", "_id", "_lastUpdated",
    "_profile", "_source", "code", "status", "value-date", "patient", "combo-value-quantity", "component-code",
]  # fmt: skip
SORTS = [sign + code for code in _CODES for sign in ("", "-")] + [
    "date,-_id", "-date,value-quantity", "status,-date,_id",
    "value-quantity,value-string,-subject", "-value-string,identifier",
]  # fmt: skip


@pytest.fixture(scope="module")
def sorted_api(api_of_module: Api) -> Api:
    """Observations with values of every kind, equal ones and none."""
    store(api_of_module, [patient(name, active=True) for name in "ab"])
    store(api_of_module, [observation(f"o{n:02}", **values) for n, values in enumerate(_VALUES)])
    return api_of_module


@pytest.fixture(scope="module")
def api_of_module(app: FhirServer, access_token: Callable[..., str], database: DatabaseUrls) -> Api:
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        slug = tenants.create(connection, f"corners-{os.getpid()}").slug
    return Api(app, slug, access_token(slug, lifetime=3600))


@pytest.mark.parametrize("sort", SORTS)
def test_pages_of_one_forward_and_backward(sorted_api: Api, sort: str) -> None:
    pages_of_one(sorted_api, f"Observation?_sort={sort}", "Observation?")


def pages_of_one(api: Api, path: str, unsorted: str) -> None:
    """Pages of one in either direction are what one page is, which holds what is there in any order."""
    whole = ids(api.get(f"{path}&_count=1000"))
    assert len(whole) == len(set(whole))
    assert set(whole) == set(ids(api.get(f"{unsorted}_count=1000")))
    forward = list(pages(api, f"{path}&_count=1"))
    assert [one for page in forward for one in ids(page)] == whole
    before = link(forward[-1], "previous")
    if before is not None:
        backward = [one for page in pages(api, before, "previous") for one in ids(page)]
        assert [*reversed(backward), *whole[-1:]] == whole


@pytest.mark.parametrize(
    "sort", ["", "date", "-date", "value-quantity", "-value-string", "identifier", "-_id", "_lastUpdated", "-subject"]
)
def test_pages_hold_while_others_write(api: Api, sort: str) -> None:
    """What is there all the time comes exactly once, whatever is created and deleted between the pages."""
    store(api, [observation(f"o{n:02}", **values) for n, values in enumerate(_VALUES)])
    steady = {f"o{n:02}" for n in range(0, len(_VALUES), 2)}
    leaving = [f"o{n:02}" for n in range(1, len(_VALUES), 2)]
    path = "Observation?_count=1" + (f"&_sort={sort}" if sort else "")
    came: list[str] = []
    for number, page in enumerate(pages(api, path)):
        came += ids(page)
        if leaving:
            api.delete(f"Observation/{leaving.pop()}")
        if number < 12:
            store(api, [observation(f"new{number}", **_VALUES[number])])
        assert number < 60
    assert len(came) == len(set(came))
    assert steady <= set(came)


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("date=ge9999", {"o05", "o08"}),
        ("date=9999-12-31", {"o08"}),
        ("date=lt0001-01-02", {"o06", "o07", "o09"}),
        ("date=0001-01-01", {"o07"}),
        ("date=gt9999-12-31", {"o05"}),
        ("date=ge0001&date=le9999", None),
        ("value-quantity=lt-1e308", {"o05", "o07"}),
        ("value-quantity=gt1e308", {"o06", "o08"}),
        ("value-quantity=ge1e308", {"o06", "o08", "o09"}),
    ],
)
def test_the_ends_of_time_and_of_numbers(sorted_api: Api, search: str, expected: set[str] | None) -> None:
    pairs = [tuple(one.split("=")) for one in search.split("&")]
    hits = found(sorted_api, "Observation", *pairs)  # type: ignore[arg-type]
    if expected is not None:
        assert {one for one in hits if one not in ("o03", "o04")} == expected
    for sort in ("date", "-date", "value-quantity", "-value-quantity"):
        assert found(sorted_api, "Observation", *pairs, ("_sort", sort)) == hits  # type: ignore[arg-type]


def test_totals_of_several_types(sorted_api: Api) -> None:
    both = sorted_api.get("?_type=Observation,Patient&_total=accurate&_count=1")
    assert both.json["total"] == len(_VALUES) + 2
    tagged = [("_type", "Observation,Patient"), ("_lastUpdated", "gt2000")]
    assert len(found(sorted_api, "", *tagged)) == len(_VALUES) + 2
    # Two types with a chain that either has under one name.
    assert found(sorted_api, "", ("_type", "Observation,Condition"), ("subject:Patient.active", "true")) == {
        "o13",
        "o15",
    }


@pytest.mark.parametrize(
    "query", ["subject:Patient.active=true", "_sort=-date&_count=2", "_total=accurate&status=final", "_count=0"]
)
def test_forms_find_what_urls_find(sorted_api: Api, query: str) -> None:
    by_url = sorted_api.get(f"Observation?{query}")
    by_form = sorted_api.post("Observation/_search", query.encode(), Content_Type=FORM)
    split = sorted_api.post(f"Observation/_search?{query}", b"", Content_Type=FORM)
    assert ids(by_url) == ids(by_form) == ids(split)
    assert by_url.json.get("total") == by_form.json.get("total") == split.json.get("total")
    head = sorted_api("HEAD", f"Observation?{query}")
    assert (head.status, head.data) == (200, b"")


def test_a_count_includes_nothing(sorted_api: Api) -> None:
    answer = sorted_api.get(
        "Observation?_summary=count&_include=*&_revinclude=*:*&_sort=date".replace("&_revinclude=*:*", "")
    )
    assert answer.status == 200
    assert answer.json["total"] == len(_VALUES)
    assert "entry" not in answer.json
    assert "_summary=count" in answer.json["link"][0]["url"]


@pytest.mark.parametrize("sort", ["identifier", "url", "title", "-url,title,identifier"])
def test_pages_go_on_after_long_values(api: Api, sort: str) -> None:
    """Of a value that no link could hold the beginning decides, then the order of creation."""
    texts = ["".join(random.Random(n % 2).choices("abcdefghij0123456789éü日", k=12_000)) for n in range(4)]
    store(
        api,
        [
            {
                "resourceType": "ValueSet", "id": f"v{n}", "status": "active", "title": text,
                "url": "http://x/" + text, "identifier": [{"value": text}],
            }
            for n, text in enumerate(texts)
        ],
    )  # fmt: skip
    pages_of_one(api, f"ValueSet?_sort={sort}", "ValueSet?")


def test_a_long_way_of_includes_ends_with_a_word_about_it(api: Api) -> None:
    """Each step is a statement; a ring is walked once."""
    encounters = [
        {
            "resourceType": "Encounter", "id": f"e{n:02}", "status": "planned", "class": {"code": "AMB"},
            "partOf": to(f"Encounter/e{(n + 1) % 70:02}"),
        }
        for n in range(70)
    ]  # fmt: skip
    store(api, encounters)
    answer = api.get("Encounter?_id=e00&_include:iterate=Encounter:part-of")
    assert sorted(ids(answer, "include")) == [f"e{n:02}" for n in range(1, 51)]
    assert b"50 steps at most" in answer.data
    short = [one | ({"partOf": to("Encounter/e00")} if one["id"] == "e40" else {}) for one in encounters]
    store(api, short)
    answer = api.get("Encounter?_id=e00&_include:iterate=Encounter:part-of")
    assert sorted(ids(answer, "include")) == [f"e{n:02}" for n in range(1, 41)]
    assert b"steps at most" not in answer.data
