"""A sample of the attack on who may see what; `make attack` asks far more. docs/attack.md"""

from __future__ import annotations

import random
from functools import cache
from unittest.mock import patch

import pytest

from fhir_server import validation
from fhir_server.access import policy
from fhir_server.access.policy import EVERYTHING
from fhir_server.access.roles import ROLES
from fhir_server.app import FhirServer
from fhir_server.operations.registry import OPERATIONS
from fhir_server.r4 import definitions
from fhir_server.rest.routes import ROUTES, match
from fhir_server.search.registry import parameters
from fhir_server.settings import Settings
from fhir_server.store.database_urls import DatabaseUrls
from tests.attack.access import joins, searches
from tests.attack.access.asking import Ask, Attack, Report
from tests.attack.access.clinic import Clinic
from tests.attack.access.oracle import ATTACKERS, Attacker
from tests.attack.access.product import aims, beside, beyond, product, writing
from tests.attack.access.universe import Item, universe

TYPES = frozenset(
    (
        "Appointment", "Claim", "Communication", "Condition", "Consent", "Coverage", "Encounter", "Group", "List",
        "Observation", "Organization", "Patient", "Practitioner", "Provenance", "RelatedPerson", "Task",
    )
)  # fmt: skip
BY_NAME = {attacker.name: attacker for attacker in ATTACKERS}


@cache
def items() -> tuple[Item, ...]:
    """What the clinic of the sample has."""
    return tuple(item for item in universe("v") if item.type in TYPES)


@cache
def asks() -> list[Ask]:
    """Every request that reads."""
    return list(product(items()))


@pytest.fixture(scope="module")
def clinic(app: FhirServer, settings: Settings, database: DatabaseUrls) -> Clinic:
    return Clinic(app, settings, database, items())


def sample(asks: list[Ask], seed: str, count: int) -> list[Ask]:
    return random.Random(seed).sample(asks, min(count, len(asks)))


def made(clinic: Clinic, attacker: Attacker, asks: list[Ask], twin: Clinic | None = None) -> Report:
    report = Report()
    Attack(clinic, attacker, report, twin).make(asks)
    return report


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda attacker: attacker.name)
def test_what_each_may_read_is_read_and_nothing_else(clinic: Clinic, attacker: Attacker) -> None:
    some = random.Random(attacker.name).sample(items(), 20)
    api = clinic.as_attacker(attacker)
    read = {item.reference for item in some if api.get(item.reference).status == 200}
    assert read <= {item.reference for item in some if attacker.sees(item, "r")}
    assert read >= {item.reference for item in some if attacker.sees_whole(item, "r")}


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda attacker: attacker.name)
def test_what_each_may_search_is_found_and_nothing_else(clinic: Clinic, attacker: Attacker) -> None:
    api = clinic.as_attacker(attacker)
    for name in random.Random(attacker.name).sample(sorted(TYPES), 5):
        answer = api.get(f"{name}?_count=50&_elements=id&_total=accurate")
        sought = [item for item in items() if item.type == name]
        may = {item.id for item in sought if attacker.sees(item, "s")}
        must = {item.id for item in sought if attacker.sees_whole(item, "s")}
        if answer.status == 403:
            assert not must, name
            continue
        found = {entry["resource"]["id"] for entry in answer.json.get("entry", ())}
        assert must <= found <= may, name
        assert answer.json["total"] == len(found)


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda attacker: attacker.name)
def test_nobody_is_shown_what_is_hidden_from_them(clinic: Clinic, attacker: Attacker) -> None:
    report = made(clinic, attacker, sample(asks(), attacker.name, 25))
    assert not report.leaks, "\n".join(report.leaks)


@pytest.mark.parametrize("name", ["physician", "patient", "attorney", "one type", "billing", "physician and billing"])
def test_nothing_tells_of_what_is_hidden(clinic: Clinic, name: str) -> None:
    """What is hidden changes no answer: no total, no order, no page, no refusal."""
    attacker = BY_NAME[name]
    chosen = sample(asks(), f"{name} beside", 40) + sample(beyond(items(), attacker), name, 30)
    report = made(clinic, attacker, chosen, beside(clinic, attacker))
    assert not report.leaks, "\n".join(report.leaks)


@pytest.mark.parametrize("name", ["physician", "patient", "staff", "clinic admin", "physician and staff"])
def test_nothing_hidden_is_changed(clinic: Clinic, name: str) -> None:
    attacker = BY_NAME[name]
    rows = clinic.rows()
    with patch.object(validation, "validate"):
        report = made(clinic, attacker, sample(writing(items(), attacker), name, 50))
    assert not report.leaks, "\n".join(report.leaks)
    after = clinic.rows()
    hidden = [item for item in items() if not any(attacker.sees(item, letter) for letter in "cruds")]
    assert {item.id: after[item.id] for item in hidden} == {item.id: rows[item.id] for item in hidden}


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda attacker: attacker.name)
def test_nobody_lets_themselves_in(clinic: Clinic, attacker: Attacker) -> None:
    """To assign oneself is for clinic admins, to break the glass for physicians; of a or of nobody it is the same."""
    api = clinic.as_attacker(attacker)
    given = {"user": attacker.subject, "reason": "I would like to know"}
    for operation, names in (("$assign", ("user", "reason")), ("$break-glass", ("reason",))):
        may = operation == "$assign" and "clinic_admin" in attacker.roles
        may |= operation == "$break-glass" and "physician" in attacker.roles
        body = {"resourceType": "Parameters", "parameter": [{"name": one, "valueString": given[one]} for one in names]}
        for patient in ("nobody",) if may else ("nobody", "a0-patient"):
            answer = api.post(f"Patient/{patient}/{operation}", body)
            assert answer.status in ((404, 403) if may else (403,)), f"{operation} {answer.data!r}"


ROADS = ("read", "vread", "history", "search", "parameter", "chain", "_has", "include", "revinclude", "compartment",
         "system", "filter", "sort", "search by POST", "list", "$everything", "$lastn", "$graphql")  # fmt: skip


def test_the_attack_finds_what_a_broken_server_tells(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each road leads to what is hidden: where nothing is decided, leaks are found on all of them."""
    monkeypatch.setattr(policy, "_decide", lambda *_: EVERYTHING)
    attack = Attack(clinic, BY_NAME["physician"], Report())
    for road in ROADS:
        attack.make(sample([ask for ask in asks() if ask.road == road], road, 8))
        assert attack.report.leaks, road
        attack.report.leaks.clear()


def test_every_route_is_attacked() -> None:
    """A route, an operation or a parameter that nobody asks for would be attacked by nobody."""
    every = [*asks(), *writing(items(), BY_NAME["physician"])]
    asked = set()
    for method, path in {(ask.method, ask.path.partition("?")[0]) for ask in every}:
        route, _ = match(method, [part for part in path.split("/") if part])
        asked.add((route.template, method))
    assert {(route.template, method) for route in ROUTES for method in route.methods} <= asked


def test_every_operation_is_attacked_at_every_level() -> None:
    some = [item for item in universe("v") if item.type in TYPES | {"SearchParameter"}]
    paths = {ask.path.partition("?")[0] for ask in product(some) if "$" in ask.path}
    levels = {(path.rpartition("$")[2], path.count("/")) for path in paths}
    number = {"system": 0, "type": 1, "instance": 2}
    assert {(one.name, number[level]) for one in OPERATIONS for level in one.levels} <= levels


def test_every_parameter_include_and_role_is_attacked() -> None:
    _, plain = aims(universe("v"))
    found = (*searches.of_types(plain), *searches.of_parameters(plain), *joins.includes(plain))
    every = {ask.path.partition("&")[0] for ask in found}
    searched = {path.partition("=")[0] for path in every}
    for name in definitions.load().resource_types:
        for code, parameter in parameters(name).items():
            assert f"{name}?{code}" in searched
            assert f"{name}?_sort={code}" in every
            if parameter.type == "reference":
                assert f"{name}?_include={name}:{code}" in every
    assert {role for attacker in ATTACKERS for role in attacker.roles} >= set(ROLES)


def one_of_each_kind() -> list[Ask]:
    """A request for each method of each route, and for each operation at each level."""
    found: dict[tuple[str, ...], Ask] = {}
    for ask in (*asks(), *writing(items(), BY_NAME["physician"])):
        path = ask.path.partition("?")[0]
        segments = [part for part in path.split("/") if part]
        kind = (match(ask.method, segments)[0].template, ask.method, path.rpartition("$")[2] if "$" in path else "")
        if kind not in found or ask.road.startswith("write in"):
            found[kind] = ask
    return list(found.values())


@pytest.mark.parametrize("who", [(), ("clinic_admin",), ("super_admin",), ("physician",)])
def test_every_handler_refuses_whoever_has_no_scope(clinic: Clinic, who: tuple[str, ...]) -> None:
    api = clinic.as_attacker(Attacker("without scope", "openid fhirUser offline_access", who))
    with patch.object(validation, "validate"):
        for ask in one_of_each_kind():
            answer = ask.sent(api)
            if ask.road == "metadata":
                continue
            entries = answer.json.get("entry", ()) if answer.data else ()
            statuses = [entry["response"]["status"][:3] for entry in entries] or [answer.status]
            # What an operation was not told may be asked for first: tests/architecture/test_routes.py sends all of it.
            refusals = {"403", "400"} if "$" in ask.path else {"403"}
            assert {str(status) for status in statuses} <= refusals, f"{ask}: {answer.data[:300]!r}"


@pytest.mark.parametrize("refused", ["expired", "of another tenant"])
def test_an_access_token_that_is_not_good_here_opens_nothing(clinic: Clinic, refused: str) -> None:
    elsewhere = clinic.another(())
    admin = Attacker("admin", "system/*.cruds")
    api = clinic.as_attacker(admin, -100) if refused == "expired" else clinic.as_attacker(admin, slug=elsewhere.slug)
    for ask in sample(asks(), refused, 40):
        answer = ask.sent(api)
        assert answer.status == (200 if ask.road == "metadata" else 401 if refused == "expired" else 403), str(ask)
        assert b"zzv" not in answer.data
