"""Everybody asks everything for what they may not see. docs/attack.md

Each request is made in a clinic, and beside it in a twin that has nothing of what is hidden from the attacker: an
answer that differs tells of what is hidden, by a row, a total, an order, a page or a refusal.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import pytest

from fhir_server import validation
from fhir_server.app import FhirServer
from fhir_server.settings import Settings
from fhir_server.store.database_urls import DatabaseUrls
from tests.attack.access import own_parameters
from tests.attack.access.asking import Ask, Attack, Report, at_once
from tests.attack.access.clinic import Clinic
from tests.attack.access.oracle import ATTACKERS, Attacker
from tests.attack.access.product import beside, beyond, product, share, stolen, writing
from tests.attack.access.universe import universe

PARTS = int(os.environ.get("ATTACK_PARTS", str(len(ATTACKERS))))
"""Each attacker makes one of so many parts of all requests, and each another one, so that by default every request is
made once and every road of every type is taken by everybody. With 1 each makes all of them, which takes hours."""
WRITES = 30_000 // PARTS
"""How many requests that write each attacker makes at most."""


@pytest.fixture(scope="module")
def clinic(app: FhirServer, settings: Settings, database: DatabaseUrls) -> Clinic:
    return Clinic(app, settings, database, universe("v"))


@pytest.fixture(scope="module")
def pages(clinic: Clinic) -> list[Ask]:
    return list(stolen(clinic))


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    """What all attackers did together, printed at the end."""
    made = Report()
    yield made
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n{made.table()}")


_CANARY = re.compile(rb"zzv(?:ab|a|b)\d+[a-z]+zz")
"""Of the clinic's own universe: access/universe.py"""


def no_leaks(report: Report, before: int) -> None:
    found = report.leaks[before:]
    assert not found, f"{len(found)} leaks:\n" + "\n".join(found[:20])


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda attacker: attacker.name)
def test_nobody_is_told_of_what_is_hidden_from_them(
    clinic: Clinic, pages: list[Ask], report: Report, attacker: Attacker
) -> None:
    before = len(report.leaks)
    number = ATTACKERS.index(attacker) % PARTS
    asks = share(list(product(clinic.items)), number, PARTS) + share(beyond(clinic.items, attacker), number, 3 * PARTS)
    at_once(clinic, attacker, report, beside(clinic, attacker), asks)
    at_once(clinic, attacker, report, None, pages)
    no_leaks(report, before)


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda attacker: attacker.name)
def test_everybody_sees_all_that_they_may(clinic: Clinic, report: Report, attacker: Attacker) -> None:
    api = clinic.as_attacker(attacker)
    read = {item.reference for item in clinic.items if api.get(item.reference, Prefer="return=minimal").status == 200}
    assert read <= {item.reference for item in clinic.items if attacker.sees(item, "r")}
    assert read >= {item.reference for item in clinic.items if attacker.sees_whole(item, "r")}
    report.requests["read"] += len(clinic.items)
    for name in sorted({item.type for item in clinic.items} - {"AuditEvent"}):
        answer = api.get(f"{name}?_count=50&_elements=id&_total=accurate")
        report.requests["search"] += 1
        sought = [item for item in clinic.items if item.type == name]
        must = {item.id for item in sought if attacker.sees_whole(item, "s")}
        if answer.status == 403:
            assert not must, name
            continue
        found = [entry["resource"]["id"] for entry in answer.json.get("entry", ())]
        assert must <= set(found) <= {item.id for item in sought if attacker.sees(item, "s")}, name
        assert answer.json["total"] == len(found), name


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda attacker: attacker.name)
def test_nobody_changes_what_is_hidden_from_them(clinic: Clinic, report: Report, attacker: Attacker) -> None:
    before = len(report.leaks)
    attacked = clinic.another(clinic.items)
    rows = attacked.rows()
    asks = writing(clinic.items, attacker)
    asks = random.Random(attacker.name).sample(asks, min(WRITES, len(asks)))
    # Who may choose the ids of whole types learns by it that one is taken, and so from what is withheld as well.
    twin = None if "clinic_admin" in attacker.roles else beside(attacked, attacker)
    with patch.object(validation, "validate"):
        Attack(attacked, attacker, report, twin).make(asks)
    after = attacked.rows()
    hidden = [item for item in clinic.items if not any(attacker.sees(item, letter) for letter in "cruds")]
    assert {item.reference: after[item.id] for item in hidden} == {item.reference: rows[item.id] for item in hidden}
    no_leaks(report, before)


def test_another_tenant_is_told_nothing(clinic: Clinic, report: Report) -> None:
    """Clinics with the same ids, and a caller who may do everything in the other one."""
    before = len(report.leaks)
    there = clinic.another(universe("w"))
    admin = Attacker("admin of another tenant", "system/*.cruds")
    asks = share(list(product(clinic.items)), 3, PARTS)
    for ask in asks:
        answer = ask.sent(there.admin)
        report.requests[ask.road] += 1
        # Three letters of a canary would stand in the link to a next page at times, by chance.
        if any(found.decode() not in ask.text for found in _CANARY.findall(answer.data)):
            report.leaks.append(f"{ask}: tells of another tenant")
    crossing = clinic.as_attacker(admin, slug=there.slug)
    for ask in asks[::4]:
        answer = ask.sent(crossing)
        assert answer.status == 403, f"{ask}: {answer.status}"
        assert not _CANARY.search(answer.data)
    no_leaks(report, before)


def test_what_a_clinic_takes_from_a_role_is_hidden(clinic: Clinic, report: Report) -> None:
    before = len(report.leaks)
    narrowed = {"physician": ["*:Observation:*", "patients:Encounter:*", "*:Organization:*"]}
    physician = replace(ATTACKERS[0], taken=("Observation", "Encounter", "Organization"))
    attacked = Clinic(clinic.app, clinic.settings, clinic.database, clinic.items, narrowed)
    asks = share(list(product(clinic.items)), 5, PARTS) + share(beyond(clinic.items, physician), 5, PARTS)
    at_once(attacked, physician, report, beside(attacked, physician), asks)
    no_leaks(report, before)


@pytest.mark.parametrize("name", ["physician", "attorney", "client of one type"])
def test_parameters_of_a_clinics_own_tell_nothing(clinic: Clinic, report: Report, name: str) -> None:
    before = len(report.leaks)
    attacker = next(one for one in ATTACKERS if one.name == name)
    some = [item for item in clinic.items if item.type in own_parameters.TYPES]
    attacked = clinic.another(some)
    twin = beside(attacked, attacker)
    for one in (attacked, twin):
        own_parameters.define(one)
    asks = [*own_parameters.asks([item for item in some if "a" in item.owner or not attacker.sees(item, "r")])]
    at_once(attacked, attacker, report, twin, asks)
    no_leaks(report, before)
