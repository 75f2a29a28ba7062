"""What a physician finds is what anybody finds without the patients of others, in the same order, on every page.

However few tries a search takes before it starts from the patients, and however many those are. docs/access.md
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from fhir_server.access.consents import ACT_CODE, SCOPE
from fhir_server.search import roads, tries
from fhir_server.settings import Settings
from fhir_server.store.store import Store
from tests.functional.conftest import Answer, Api
from tests.functional.test_reach import as_person, patient

PATIENTS = 10
EACH = 4
PANELS = (0, 1, 3, 9)
LIMITS = ((0, 0), (0, roads.MOST_FOUND), (1, 2), (5, roads.MOST_FOUND))
"""Tries for each patient, and how many matches are few."""

SEARCHES = (
    "Observation",
    "Observation?code=common",
    "Observation?code=common&value-quantity=gt3",
    "Observation?code=odd,common",
    "Observation?code=of-one",
    "Observation?code=nobody",
    "Observation?category=laboratory&_sort=-date",
    "Observation?_sort=date",
    "Observation?_sort=-date,code",
    "Observation?_sort=_lastUpdated",
    "Observation?date=ge2020-01-05",
    "Observation?value-quantity=gt3&_sort=value-quantity",
    "Observation?_text=common",
    "Observation?subject:Patient.name=family",
    "Patient?name=family",
    "Patient?_sort=family",
    "Patient?_has:Observation:patient:code=common",
    "Patient?_has:Observation:patient:code=of-one",
)


def doctor(number: int) -> str:
    """One who cares for the first so many patients."""
    return f"Practitioner/of-{number}"


def observation(patient: int, number: int) -> dict[str, Any]:
    code = "of-one" if (patient, number) == (2, 0) else ("common", "odd")[number % 2]
    more = {"effectiveDateTime": f"2020-01-{1 + (patient * 3 + number) % 9:02d}"} if number != 3 else {}
    category = {"category": [{"coding": [{"code": "laboratory"}]}]} if number < 2 else {}
    return {
        "resourceType": "Observation",
        "id": f"o-{patient}-{number}",
        "status": "final",
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{code}</div>'},
        "code": {"coding": [{"code": code}]},
        "subject": {"reference": f"Patient/p{patient}"},
        "valueQuantity": {"value": (patient + number) % 7},
        **more,
        **category,
    }


@pytest.fixture(scope="module")
def clinic(module_api: Api) -> Api:
    entries = []
    for number in range(PATIENTS):
        one = patient(f"p{number}", "")
        one["name"] = [{"family": f"Family{number % 3}"}]
        one["generalPractitioner"] = [{"reference": doctor(panel)} for panel in PANELS if number < panel]
        if not one["generalPractitioner"]:
            del one["generalPractitioner"]
        entries += [one, *(observation(number, n) for n in range(EACH))]
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
            for one in entries
        ],
    }
    assert module_api.post("", bundle).status == 200
    return module_api


def consented(whose: str, provision: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": SCOPE[0], "code": SCOPE[1]}]},
        "category": [{"text": "privacy"}],
        "patient": {"reference": f"Patient/{whose}"},
        "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTIN"}]},
        "provision": provision,
    }


def pages(api: Api, search: str, relation: str = "next") -> tuple[list[str], Answer]:
    """The ids on all pages from the first one on, and the last page."""
    found: list[str] = []
    path = search
    while True:
        answer = api.get(path)
        assert answer.status == 200, answer.data
        found += [
            entry["resource"]["id"] for entry in answer.json.get("entry", ()) if entry["search"]["mode"] == "match"
        ]
        following = [link["url"] for link in answer.json["link"] if link["relation"] == relation]
        if not following:
            return found, answer
        url = urlsplit(following[0])
        path = f"{url.path.rpartition('/fhir/')[2]}?{url.query}"


def visible(name: str, panel: int) -> bool:
    return int(name.removeprefix("p").removeprefix("o-").split("-")[0]) < panel


@pytest.mark.parametrize("search", SEARCHES)
def test_pages_are_those_of_everybody_without_the_patients_of_others(
    clinic: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch, search: str
) -> None:
    sized = f"{search}{'&' if '?' in search else '?'}_count=3"
    every, _ = pages(clinic, sized)
    for panel in PANELS:
        physician = as_person(clinic, settings, fhir_user=doctor(panel))
        expected = [name for name in every if visible(name, panel)]
        for number, most in LIMITS:
            monkeypatch.setattr(tries, "TRIES", number)
            monkeypatch.setattr(roads, "MOST_FOUND", most)
            found, last = pages(physician, sized)
            assert found == expected, (panel, number, most)
        back = [link["url"] for link in last.json["link"] if link["relation"] == "previous"]
        if back:
            url = urlsplit(back[0])
            before, _ = pages(physician, f"{url.path.rpartition('/fhir/')[2]}?{url.query}", "previous")
            shown = len(last.json["entry"])
            assert sorted(before) == sorted(expected[:-shown]), panel


@pytest.mark.parametrize("search", SEARCHES)
def test_totals_count_what_the_pages_show(
    clinic: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch, search: str
) -> None:
    every, _ = pages(clinic, search)
    for panel in PANELS:
        physician = as_person(clinic, settings, fhir_user=doctor(panel))
        for most in (0, 5, 2_000):
            monkeypatch.setattr("fhir_server.search.branch._MOST_TESTED", most)
            answer = physician.get(f"{search}{'&' if '?' in search else '?'}_summary=count")
            assert answer.json["total"] == sum(visible(name, panel) for name in every), (panel, most)


@pytest.mark.parametrize(("number", "panel", "statements"), [(0, 1, 2), (1, 1, 2), (50, 1, 1), (5, 9, 1), (5, 0, 2)])
def test_a_search_starts_from_the_patients_where_tries_do_not_fill_the_page(
    clinic: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int, panel: int, statements: int
) -> None:
    asked: list[str] = []
    search = Store.search

    def noted(self: Store, sql: str, values: list[Any], **more: Any) -> Any:
        asked.append(sql)
        return search(self, sql, values, **more)

    monkeypatch.setattr(Store, "search", noted)
    monkeypatch.setattr(tries, "TRIES", number)
    answer = as_person(clinic, settings, fhir_user=doctor(panel)).get("Observation?code=common&_count=5")
    assert len(answer.json.get("entry", ())) == min(2 * panel, 5)
    assert len(asked) == statements


def test_the_same_where_patients_withhold_something(
    clinic: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # From here on the clinic has consents: nothing after this in the module may count on there being none.
    odd = {"code": [{"coding": [{"code": "odd"}]}]}
    consent = consented("p1", {"type": "deny", **odd}) | {"id": "withheld"}
    assert clinic.put("Consent/withheld", consent).status == 201
    for search in ("Observation", "Observation?code=odd,common", "Observation?category=laboratory&_sort=-date"):
        sized = f"{search}{'&' if '?' in search else '?'}_count=3"
        every, _ = pages(clinic, sized)
        assert not {"o-1-1", "o-1-3"} & set(every)
        for panel in PANELS:
            physician = as_person(clinic, settings, fhir_user=doctor(panel))
            expected = [name for name in every if visible(name, panel)]
            for number, most in LIMITS:
                monkeypatch.setattr(tries, "TRIES", number)
                monkeypatch.setattr(roads, "MOST_FOUND", most)
                assert pages(physician, sized)[0] == expected, (search, panel, number, most)
            total = physician.get(f"{sized}&_total=accurate").json["total"]
            assert total == len(expected), (search, panel)
