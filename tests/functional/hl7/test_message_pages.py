"""A clinic's messages in a browser without JavaScript: found, repaired, replayed, dropped. docs/hl7.md, "On a page" """

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from fhir_server.app import FhirServer
from fhir_server.audit import event as events
from fhir_server.audit.event import Event
from fhir_server.store import audit
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from tests.functional.hl7.gateway import message
from tests.functional.hl7.ward import Ward
from tests.functional.smart_flow import Clinic, Walk, forms

WRONG = message("2", "A01", "", application="EPIC")
"""Without a PID: 101."""


@pytest.fixture
def ward(app_database: Database, tenant: Tenant) -> Ward:
    return Ward(app_database, tenant, application="EPIC", facility="HOSP")


@pytest.fixture
def clinic(app: FhirServer, tenant: Tenant) -> Clinic:
    made = Clinic(app, tenant)
    made.settings(second_factor=False)
    return made


@pytest.fixture
def walk(clinic: Clinic) -> Walk:
    walk = Walk(clinic.app.test_client(), clinic)
    walk.open(clinic.url("messages"))
    walk.sign_in(clinic.person("clinic_admin"))
    return walk


def text(walk: Walk) -> str:
    """What the page says, without its tags."""
    assert walk.page is not None
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", walk.page.text)).split())


def form_with(walk: Walk, button: str) -> int:
    """The number of the form that has this button."""
    assert walk.page is not None
    return next(n for n, form in enumerate(forms(walk.page.text)) if button in {value for _, value in form.buttons})


def press(walk: Walk, button: str, **values: Any) -> None:
    walk.submit(form_with(walk, button), button, **values)


def trail(clinic: Clinic, kind: str) -> list[Event]:
    """The records of a kind, the oldest first."""
    clinic.app.trail.flush()
    found = audit.walk(clinic.app.database, clinic.tenant.id, 0, 10_000)
    return [events.decode(link.record) for link in found if link.kind == kind]


def test_messages_are_counted_and_found_and_no_url_names_a_patient(ward: Ward, clinic: Clinic, walk: Walk) -> None:
    ward.keep(message("1", patient="4711"), message("7", "A08", "815"), WRONG)
    ward.work()
    walk.open(clinic.url("messages"))
    said = text(walk)
    assert "dead letters 1" in said
    assert "waiting 0 nothing waits" in said
    assert "stored 2 of all 3" in said
    for typed, expected in (
        ({"control_id": "7"}, {"7"}),
        ({"state": "dead"}, {"2"}),
        ({"type": "adt", "event": "a01"}, {"1", "2"}),
        ({"patient": "4711^^^HOSP"}, {"1"}),
        ({"patient": "urn:hl7:lab:HOSP|815"}, {"7"}),
        ({"feed": "lab"}, {"1", "2", "7"}),
        ({"until": "2020-01-01T00:00"}, {"1", "2", "7"}),
        ({"since": "2020-01-01T00:00"}, set()),
    ):
        press(walk, "find", **{name: "" for name in ("control_id", "state", "type", "event", "patient")} | typed)
        assert walk.page is not None
        assert walk.page.request.full_path.rstrip("?") == clinic.url("messages"), typed
        rows = [ward.whole(int(number)).found.control_id for number in re.findall(r'messages/(\d+)"', walk.page.text)]
        assert set(rows) == expected, typed
        walk.open(clinic.url("messages"))
        press(walk, "all") if "Show all" in text(walk) else None
    searches = trail(clinic, "hl7-search")
    assert any("patient=4711^^^HOSP" in one.query and one.patient_ids for one in searches)
