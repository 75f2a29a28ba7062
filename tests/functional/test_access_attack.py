"""A sample of the attack on who may see what; `make attack` asks everything. docs/attack.md"""

from __future__ import annotations

import random

import pytest

from fhir_server.app import FhirServer
from fhir_server.settings import Settings
from fhir_server.store.database_urls import DatabaseUrls
from tests.attack.access import instances
from tests.attack.access.asking import Attack, Report
from tests.attack.access.clinic import Clinic
from tests.attack.access.oracle import ATTACKERS, Attacker
from tests.attack.access.universe import universe

TYPES = ("Patient", "Practitioner", "Observation", "Condition", "Encounter", "Appointment", "Task", "Consent")


@pytest.fixture(scope="module")
def clinic(app: FhirServer, settings: Settings, database: DatabaseUrls) -> Clinic:
    return Clinic(app, settings, database, [item for item in universe("v") if item.type in TYPES])


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda attacker: attacker.name)
def test_reads_show_what_they_may_and_no_more(clinic: Clinic, attacker: Attacker) -> None:
    report = Report()
    attack = Attack(clinic, attacker, report)
    attack.make(random.Random(attacker.name).sample([*instances.reads(clinic.items)], 60))
    assert not report.leaks, "\n".join(report.leaks)
    read = {item.reference for item in clinic.items if attack.api.get(item.reference).status == 200}
    assert read <= {item.reference for item in clinic.items if attacker.sees(item, "r")}
    assert read >= {item.reference for item in clinic.items if attacker.sees_whole(item, "r")}
