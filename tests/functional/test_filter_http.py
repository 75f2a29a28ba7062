"""_filter over HTTP: links, refusals, leniency and scopes. https://hl7.org/fhir/R4/search_filter.html"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.functional.conftest import Answer, Api

FILTER = 'given eq "Ann" and not (birthdate lt 1970)'


@pytest.fixture
def filled(api: Api) -> Api:
    for given, born in (("Ann", "1980"), ("Ann", "1981"), ("Anna", "1982"), ("Ann", "1960")):
        patient = {"resourceType": "Patient", "name": [{"given": [given]}], "birthDate": born}
        patient_id = api.post("Patient", patient).id
        observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
        api.post("Observation", observation | {"subject": {"reference": f"Patient/{patient_id}"}})
    return api


def search(api: Api, text: str, more: str = "", resource_type: str = "Patient", **headers: str) -> Answer:
    return api.get(f"{resource_type}?_filter={quote(text)}{more}", **headers)


def born(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.data
    return sorted(entry["resource"]["birthDate"] for entry in answer.json.get("entry", []))


def links(answer: Answer) -> dict[str, str]:
    return {one["relation"]: one["url"] for one in answer.json["link"]}


def test_it_stands_beside_other_parameters_and_in_links(filled: Api) -> None:
    answer = search(filled, FILTER, "&birthdate=lt1981")
    assert born(answer) == ["1980"]
    shown: dict[str, Any] = parse_qs(urlsplit(links(answer)["self"]).query)
    assert shown["_filter"] == [FILTER]
    assert shown["birthdate"] == ["lt1981"]


def test_pages_go_on(filled: Api) -> None:
    first = search(filled, FILTER, "&_count=1")
    second = filled.get(links(first)["next"].rpartition("/fhir/")[2])
    assert sorted(born(first) + born(second)) == ["1980", "1981"]
    assert "next" not in links(second)


def test_it_may_be_posted(filled: Api) -> None:
    form = f"_filter={quote(FILTER)}".encode()
    answer = filled.post("Patient/_search", form, Content_Type="application/x-www-form-urlencoded")
    assert born(answer) == ["1980", "1981"]


def test_what_is_not_understood_is_refused_with_its_place(filled: Api) -> None:
    for text, message in (
        ("given eq Ann and nmae eq x", "_filter, character 18: Unknown parameter 'nmae'"),
        ("given is Ann", "_filter, character 7: an operator is needed here"),
        ("birthdate eq tomorrow", "birthdate eq tomorrow: a date is written as"),
        ("", "_filter, character 1: a search parameter is needed here"),
    ):
        answer = search(filled, text)
        assert answer.status == 400
        assert message in answer.json["issue"][0]["diagnostics"]


def test_leniency_leaves_out_unknown_parameters_and_no_broken_filter(filled: Api) -> None:
    answer = search(filled, "nmae eq x", "&given=Anna", Prefer="handling=lenient")
    assert answer.status == 200
    (outcome,) = [one["resource"] for one in answer.json["entry"] if one["search"]["mode"] == "outcome"]
    assert "_filter, character 1: Unknown parameter 'nmae'" in outcome["issue"][0]["diagnostics"]
    assert "_filter" not in links(answer)["self"]
    assert search(filled, "given eq", Prefer="handling=lenient").status == 400


@pytest.mark.parametrize(
    "text",
    [
        "subject:Patient.given eq Ann",
        "subject:Patient[given eq Ann].birthdate ge 1970",
        "code eq x or subject:Patient.given eq Ann",
        "not (subject:Patient.given eq Ann)",
    ],
)
def test_a_path_through_what_may_not_be_searched_is_refused(
    filled: Api, new_api: Callable[..., Api], text: str
) -> None:
    answer = search(new_api("system/Observation.rs", filled.slug), text, resource_type="Observation")
    assert answer.status == 403
    assert "system/Patient.s" in answer.json["issue"][0]["diagnostics"]
    assert search(filled, text, resource_type="Observation").status == 200


def test_a_reverse_path_from_what_may_not_be_searched_is_refused(filled: Api, new_api: Callable[..., Api]) -> None:
    text = "_has:Observation:patient:status eq final"
    assert search(new_api("system/Patient.rs", filled.slug), text).status == 403
    assert len(born(search(filled, text))) == 4
