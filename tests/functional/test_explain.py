"""$explain over HTTP. docs/search.md, "Costly searches" """

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.access.policy import EVERYTHING
from fhir_server.crypto.hashing import Hasher
from fhir_server.search.compile import compile as compile_search
from fhir_server.search.parse import parse
from fhir_server.store import directory
from tests.functional.conftest import Answer, Api

SECRET = "Geheimnis"
SEARCHES = [
    f"Patient?name={SECRET}",
    f"Patient?name:exact={SECRET}&_sort=birthdate&_total=accurate",
    f"Patient?identifier=http://example.org/{SECRET}|{SECRET}",
    f"Patient?_id={SECRET}",
    f"Patient?general-practitioner.name={SECRET}",
    f"Patient?_has:Observation:patient:code={SECRET}",
    f"Patient?_filter=family eq {SECRET} or not (given co {SECRET})",
    f"Observation?patient={SECRET}&code={SECRET}&date=ge2019-03-04",
    "Observation?value-quantity=gt123456.75||mg",
    f"Observation?code-value-quantity={SECRET}$gt123456.75",
    f"Observation?_profile=http://example.org/{SECRET}",
    "Observation?date=2019-03-04&_summary=count",
    "Location?near=47.123456|8.123456|12|km",
]


def parameters(answer: Answer, name: str) -> list[Any]:
    """The values of a parameter; the parts of one that has them, by name."""
    assert answer.status == 200, answer.data
    found = [one for one in answer.json["parameter"] if one["name"] == name]
    return [parts(one) if "part" in one else value_of(one) for one in found]


def value_of(one: dict[str, Any]) -> Any:
    return next(value for key, value in one.items() if key.startswith("value"))


def parts(one: dict[str, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for part in one["part"]:
        found.setdefault(part["name"], []).append(value_of(part))
    return found


def explain(api: Api, search: str, **headers: str) -> Answer:
    return api.get(search.replace("?", "/$explain?"), **headers)


def test_a_search_is_explained(api: Api) -> None:
    answer = explain(api, "Observation?patient=1&code=http://loinc.org|1-1")
    (statement,) = parameters(answer, "statement")
    assert statement["name"] == ["page"]
    assert statement["road"] == ["narrow"]
    assert statement["sql"][0].startswith("SELECT ")
    assert "$1" in statement["sql"][0]
    plan = json.loads(statement["plan"][0])
    # Which indexes they are depends on what else this database holds; they are those of the plan, all of them.
    assert set(statement["index"]) == set(re.findall(r'"Index Name": "(\w+)"', json.dumps(plan)))
    assert statement["index"]
    assert {"Node Type", "Plan Rows", "Total Cost"} <= set(plan)
    assert "Actual Rows" not in plan
    assert parameters(answer, "advice") == []
    assert parameters(answer, "timeoutMilliseconds") == [10_000]


def test_what_is_asked_for_shows_in_statements_and_advice(api: Api) -> None:
    answer = explain(api, "Patient?name:contains=x&_sort=birthdate&_total=accurate&_revinclude=Observation:subject")
    names = [one["name"][0] for one in parameters(answer, "statement")]
    assert names == ["page", "page without sort value", "total"]
    assert len(parameters(answer, "note")) == 1
    assert any(one.startswith("Nothing narrows the search: name") for one in parameters(answer, "advice"))
    counted = explain(api, "Observation?code=1&_summary=count")
    assert [one["name"][0] for one in parameters(counted, "statement")] == ["total"]


@pytest.mark.parametrize(
    ("search", "road"),
    [
        ("Observation?patient=1", "narrow"),
        ("Observation?code=1", "equal"),
        ("Patient?_sort=birthdate", "walk"),
        ("Patient", "walk"),
    ],
)
def test_the_road_is_told(api: Api, search: str, road: str) -> None:
    path = search if "?" in search else f"{search}?"
    assert parameters(explain(api, path), "statement")[0]["road"] == [road]


def test_a_statement_is_measured_where_that_is_asked_for(api: Api) -> None:
    api.post("Patient", {"resourceType": "Patient", "name": [{"family": "Measured"}]})
    (statement,) = parameters(explain(api, "Patient?name=measured&analyze=true"), "statement")
    plan = json.loads(statement["plan"][0])
    assert plan["Actual Rows"] == 1
    assert plan["Execution Time"] > 0
    (statement,) = parameters(explain(api, "Patient?name=measured&analyze=false"), "statement")
    assert "Actual Rows" not in json.loads(statement["plan"][0])


@pytest.mark.parametrize("analyze", ["true", "false"])
@pytest.mark.parametrize("search", SEARCHES)
def test_no_value_of_the_search_is_shown(api: Api, search: str, analyze: str) -> None:
    answer = explain(api, f"{search}&analyze={analyze}")
    assert answer.status == 200, answer.data
    shown = answer.data.decode()
    assert SECRET.lower() not in shown.lower()
    hasher = Hasher(directory.hash_key(api.app.database))
    resource_type, _, query = search.partition("?")
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&")]
    statements = compile_search(parse(resource_type, pairs), EVERYTHING, 1, hasher)
    for value in (value for statement in statements for value in statement.values):
        for single in value if isinstance(value, list) else [value]:
            # Small numbers are types, tenants and parameters; a plan has numbers like these of its own.
            if isinstance(single, str | float) or abs(single) > 2**33:
                assert str(single) not in shown


def test_another_tenant_s_rows_are_not_measured(new_api: Callable[..., Api]) -> None:
    mine, other = new_api(), new_api()
    other.post("Patient", {"resourceType": "Patient", "name": [{"family": "Elsewhere"}]})
    (statement,) = parameters(explain(mine, "Patient?name=elsewhere&analyze=true"), "statement")
    assert json.loads(statement["plan"][0])["Actual Rows"] == 0


@pytest.mark.parametrize("scope", ["system/*.rs", "system/Patient.cruds", "system/*.cru", "user/*.cruds"])
def test_whoever_may_not_do_everything_is_refused(new_api: Callable[..., Api], scope: str) -> None:
    answer = explain(new_api(scope), "Patient?name=x")
    assert answer.status == 403
    assert "system/*.cruds" in answer.json["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("Patient?nmae=x", "Unknown parameter 'nmae'"),
        ("Patient?name=x&analyze=maybe", "analyze is either true or false"),
        ("Patient?analyze=true&analyze=true", "analyze is either true or false"),
        ("Patient?birthdate=x", "a date is written as"),
    ],
)
def test_what_cannot_be_searched_is_refused(api: Api, search: str, message: str) -> None:
    answer = explain(api, search)
    assert answer.status == 400
    assert message in answer.json["issue"][0]["diagnostics"]


def test_the_parameters_may_be_posted(api: Api) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "code", "valueString": "1"}, {"name": "analyze", "valueBoolean": True}],
    }
    (statement,) = parameters(api.post("Observation/$explain", body), "statement")
    assert "Actual Rows" in json.loads(statement["plan"][0])
