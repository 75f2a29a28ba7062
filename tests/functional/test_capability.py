"""The CapabilityStatement says what its reader can do, and no more. https://hl7.org/fhir/R4/http.html#capabilities"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.operations.registry import OPERATIONS
from fhir_server.r4 import definitions
from fhir_server.settings import Settings
from tests.architecture.test_routes import BODIES
from tests.functional.conftest import Api
from tests.functional.test_reach import as_person


def capabilities(who: Api) -> dict[str, Any]:
    answer = who.get("metadata")
    assert answer.status == 200
    assert "Authorization" in answer.headers["Vary"]
    (rest,) = answer.json["rest"]
    return dict(rest)


def interactions(rest: dict[str, Any]) -> dict[str, set[str]]:
    return {one["type"]: {i["code"] for i in one["interaction"]} for one in rest["resource"]}


PEOPLE = [
    ("physician", "user/*.cruds"),
    ("physician", "user/Observation.rs?category=laboratory user/Patient.r"),
    ("billing", "user/*.cruds"),
    ("patient", "patient/*.rs"),
    ("clinic_admin", "user/*.cruds"),
]


@pytest.mark.parametrize(("role", "scope"), PEOPLE)
def test_types_that_it_names_can_be_searched_and_no_others(api: Api, settings: Settings, role: str, scope: str) -> None:
    who = as_person(api, settings, scope, roles=[role], fhir_user="Patient/p" if role == "patient" else "")
    known = interactions(capabilities(who))
    for name in definitions.load().resource_types:
        refused = who.get(f"{name}?_id=x&_elements=id").status == 403
        assert ("search-type" not in known.get(name, set())) is refused, name
        assert ("read" not in known.get(name, set())) is (who.get(f"{name}/x").status == 403), name


@pytest.mark.parametrize(("role", "scope"), PEOPLE)
def test_operations_that_it_names_are_not_refused_and_others_are(
    api: Api, settings: Settings, role: str, scope: str
) -> None:
    who = as_person(api, settings, scope, roles=[role], fhir_user="Patient/p" if role == "patient" else "")
    rest = capabilities(who)
    named = {("system", one["name"]) for one in rest.get("operation", ())}
    named |= {(one["type"], o["name"]) for one in rest["resource"] for o in one.get("operation", ())}
    for operation in OPERATIONS:
        if operation.name in ("validate", "graphql", "reindex"):
            continue
        kind = "Patient" if "Patient" in operation.types or not operation.types else next(iter(operation.types))
        paths = {"system": "", "type": f"{kind}/", "instance": f"{kind}/victim/"}
        for level in operation.levels:
            body = BODIES.get(f"{operation.name} {level}") or BODIES.get(operation.name)
            status = who.post(f"{paths[level]}${operation.name}", body).status
            offered = ("system" if level == "system" else kind, operation.name) in named
            assert offered is (status != 403), (operation.name, status)


def test_without_an_access_token_that_is_good_here_it_is_the_servers(
    api: Api, new_api: Any, settings: Settings
) -> None:
    whole = capabilities(Api(api.app, api.slug, ""))
    assert len(whole["resource"]) == len(definitions.load().resource_types)
    assert capabilities(Api(api.app, api.slug, "forged")) == whole
    assert capabilities(Api(api.app, api.slug, new_api().access_token)) == whole
    assert capabilities(as_person(api, settings, scope="")).get("resource") == []


def test_what_is_shown_in_part_is_noted(api: Api, settings: Settings) -> None:
    rest = capabilities(as_person(api, settings, roles=["billing"], fhir_user=""))
    notes = {one["type"]: one.get("documentation", "") for one in rest["resource"]}
    assert "in part: demographics" in notes["Patient"]
    assert notes["Claim"] == ""
    reading = next(one for one in rest["resource"] if one["type"] == "Patient")
    assert (reading["updateCreate"], reading["conditionalDelete"]) == (False, "not-supported")


def test_what_is_only_counted_is_noted(api: Api, settings: Settings) -> None:
    rest = capabilities(as_person(api, settings, roles=["executive"], fhir_user=""))
    (seen,) = (one for one in rest["resource"] if one["type"] == "Observation")
    assert "counted" in seen["documentation"]
    assert {one["code"] for one in seen["interaction"]} == {"search-type"}
