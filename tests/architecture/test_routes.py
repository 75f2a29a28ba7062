"""Every URL is behind authentication, isolation and a permission; a new one fails here until it is tested as well.
https://hl7.org/fhir/R4/security.html"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_server.access.policy import LETTERS
from fhir_server.errors import FhirError
from fhir_server.operations.registry import OPERATIONS
from fhir_server.r4 import json
from fhir_server.rest.routes import ROUTES, Route, match
from tests.factories.hostile import Answer, holds, send
from tests.functional.conftest import Api, access_token, app, new_api, settings
from tests.functional.test_isolation import attacks, paths, victim_data

__all__ = ["access_token", "app", "new_api", "settings"]

PUBLIC = {"metadata"}
"""What anybody may read: https://hl7.org/fhir/R4/http.html#capabilities"""

REQUESTS = [(route, method) for route in ROUTES for method in route.methods]


def named(value: object) -> str:
    return value.template or "[base]" if isinstance(value, Route) else str(value)


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_isolation_tests_reach_every_route(route: Route) -> None:
    """Filled in by test_isolation.paths, a template leads to its own route; attacks() uses each of its methods."""
    for method in route.methods:
        found, _ = match(method, [part for part in paths(route.template).split("/") if part])
        assert found is route, f"test_isolation.paths does not know the template {route.template}"
    used = {(m, path.partition("?")[0]) for m, path, _ in attacks(paths)}
    for method in route.methods:
        assert (method, paths(route.template)) in used


def call(api: Api, method: str, path: str, content: object = None, **headers: str) -> Answer:
    content = content or {"resourceType": "Patient", "id": "victim"}
    body = None if method in ("GET", "DELETE") else json.dumps(content)
    sent = {"Content-Type": "application/fhir+json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return holds(send(api.app, method, f"/t/{api.slug}/fhir/{path}", body, sent), method)


def test_every_route_wants_an_access_token(new_api: Callable[..., Api], access_token: Callable[..., str]) -> None:
    api = new_api()
    victim_data(api)
    expired = access_token(api.slug, lifetime=-100)
    header, payload, signature = api.access_token.split(".")
    forged = f"{header}.{payload}.{signature[:-4]}AAAA"
    unsigned = f"eyJhbGciOiJub25lIn0.{payload}."
    wrong = ("", "Basic dDp0", "Bearer", "Bearer x", f"Bearer {expired}", f"Bearer {forged}", f"Bearer {unsigned}")
    for route, method in REQUESTS:
        if route.template in PUBLIC:
            assert call(api, method, paths(route.template)).status == 200
            continue
        for authorization in wrong:
            answer = call(api, method, paths(route.template), Authorization=authorization)
            assert answer.status == 401, (method, route.template, authorization[:20])
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert "family" not in answer.data.decode()
        if method == "GET":
            assert call(api, "HEAD", paths(route.template)).status == 401


def test_every_route_wants_a_permission(new_api: Callable[..., Api]) -> None:
    """With an access_token that permits nothing here nothing is done, not even said to be impossible."""
    full = new_api()
    victim_data(full)
    before = full.get("Patient/victim").json
    for scope in ("system/Basic.cruds", "openid", "patient/*.cruds", "launch", ""):
        poor = new_api(scope, full.slug)
        for route, method in REQUESTS:
            if route.template in PUBLIC:
                continue
            answer = call(poor, method, paths(route.template), Authorization=f"Bearer {poor.access_token}")
            if scope == "system/Basic.cruds" and method == "GET" and route.template in ("_history", "", "_search"):
                # Of everything the permitted types are meant; there is nothing of them.
                assert "entry" not in answer.json
                continue
            assert answer.status in (400, 403, 404, 405, 415), (scope, method, route.template, answer.status)
            assert "Vandersecret" not in answer.data.decode()
    assert full.get("Patient/victim").json == before


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_templates_tell_nothing(route: Route) -> None:
    """They stand in logs and metrics."""
    assert set(route.template) <= set("abcdefghijklmnopqrstuvwxyz_/$")


NO_PARAMETERS: dict[str, object] = {"resourceType": "Parameters"}
BODIES: dict[str, dict[str, object]] = {
    "everything": NO_PARAMETERS,
    "explain": NO_PARAMETERS,
    "graphql system": {"query": '{ Patient(id: "victim") { id } }'},
    "graphql instance": {"query": "{ id }"},
    "lastn": {"resourceType": "Parameters", "parameter": [{"name": "patient", "valueString": "victim"}]},
    "reindex": {"resourceType": "Parameters", "parameter": [{"name": "type", "valueCode": "Patient"}]},
    "lineage": NO_PARAMETERS,
    "reindex-status": NO_PARAMETERS,
    "status": NO_PARAMETERS,
    "accounting-of-disclosures": NO_PARAMETERS,
    "access": {
        "resourceType": "Parameters",
        "parameter": [{"name": "interaction", "valueCode": "read"}, {"name": "url", "valueUri": "Patient/victim"}],
    },
    "assign": {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "user", "valueString": "00000000-0000-4000-8000-000000000000"},
            {"name": "reason", "valueString": "a test"},
        ],
    },
    "unassign": {
        "resourceType": "Parameters",
        "parameter": [{"name": "user", "valueString": "00000000-0000-4000-8000-000000000000"}],
    },
    "assignments": NO_PARAMETERS,
    "break-glass-alerts": NO_PARAMETERS,
    "break-glass-acknowledge": {"resourceType": "Parameters", "parameter": [{"name": "alert", "valueCode": "all"}]},
}
"""What operations take that do not take a resource."""


FOR_PEOPLE = frozenset({"break-glass"})
"""Operations that no client has that acts for nobody: tests/functional/test_care.py."""

ABOUT_ONESELF = frozenset({"access"})
"""Operations that anybody has for themselves; about others: tests/functional/test_access_operation.py."""


def test_operations_ask_for_a_permission(new_api: Callable[..., Api]) -> None:
    """Each at each of its levels: refused with a scope for another type, allowed with all of them."""
    full = new_api()
    victim_data(full)
    draft = {"resourceType": "SearchParameter", "id": "victim", "status": "draft", "name": "Own", "url": "urn:own"}
    draft |= {"description": "none", "code": "own", "base": ["Patient"], "type": "token"}
    assert full.put("SearchParameter/victim", draft).status == 201
    poor = new_api("system/Basic.cruds", full.slug)
    for operation in OPERATIONS:
        name = "Patient" if "Patient" in operation.types or not operation.types else next(iter(operation.types))
        bases = {"system": "", "type": f"{name}/", "instance": f"{name}/victim/"}
        for level in operation.levels:
            path = f"{bases[level]}${operation.name}"
            body = BODIES.get(f"{operation.name} {level}") or BODIES.get(operation.name)
            refused = call(poor, "POST", path, body, Authorization=f"Bearer {poor.access_token}")
            assert refused.status == (200 if operation.name in ABOUT_ONESELF else 403), path
            allowed = call(full, "POST", path, body, Authorization=f"Bearer {full.access_token}")
            assert allowed.status == 403 if operation.name in FOR_PEOPLE else allowed.status in (200, 202), path
        for level in set(bases) - set(operation.levels):
            answer = call(full, "POST", f"{bases[level]}${operation.name}", Authorization=f"Bearer {full.access_token}")
            assert answer.status == 405
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)


def test_every_exception_for_clients_has_a_status_of_theirs() -> None:
    def below(kind: type[FhirError]) -> set[type[FhirError]]:
        return {kind}.union(*(below(sub) for sub in kind.__subclasses__()))

    for kind in below(FhirError) - {FhirError}:
        assert 400 <= kind.status < 500 or kind.status in (501, 503, 504), kind
        assert kind.__doc__


def test_every_interaction_has_a_letter() -> None:
    """https://hl7.org/fhir/smart-app-launch/STU2/scopes-and-launch-context.html"""
    assert set("".join(LETTERS.values())) == set("cruds")
