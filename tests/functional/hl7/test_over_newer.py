"""An old dead letter does not put what it says in place of what is newer, unless somebody says so.

docs/hl7.md, "Dead letters"
"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.app import FhirServer
from fhir_server.store import hl7_feeds
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.__main__ import run
from tests.functional.hl7.message_pages import Screen
from tests.functional.hl7.test_message_pages import MENDED
from tests.functional.hl7.ward import Ward, visit
from tests.functional.smart_flow import Clinic


def unread(control_id: str, event: str, patient: str, family: str) -> bytes:
    """A message that is a dead letter until the mapping is mended."""
    return visit(control_id, event, patient).replace(b"SMITH", family.encode()).replace(b"HOSP^MR", b"HOSP^SS")


@pytest.fixture
def ward(app_database: Database, tenant: Tenant) -> Ward:
    """Two dead letters that could be stored by now: one has been overtaken by what its patient's next message said."""
    ward = Ward(app_database, tenant, port=1, facility="HOSP")
    left = visit("3", "A03", "123").replace(b"SMITH", b"NEWER")
    ward.keep(unread("1", "A01", "123", "OLDER"), unread("2", "A01", "456", "ALONE"), left)
    assert ward.work() == 3
    assert [one.state for one in ward.found()] == ["dead", "dead", "stored"]
    mended = {"port": 1, "overrides": MENDED}
    ward.database.transaction(tenant.id, lambda c: hl7_feeds.change(c, tenant.id, "lab", 9, configuration=mended))
    ward.feeds.refresh(now=True)
    return ward


@pytest.fixture
def command(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command that must succeed; what it says."""
    assert database.owner is not None
    monkeypatch.setenv("DATABASE_URL", database.owner)

    def say(*words: str) -> str:
        capsys.readouterr()
        assert run(words) == 0
        return capsys.readouterr().out

    return say


def names(ward: Ward) -> list[str]:
    rows = ward.rows(
        "SELECT body -> 'name' -> 0 ->> 'family' FROM resource r JOIN resource_type t ON t.id = r.type_id"
        " WHERE t.name = 'Patient' ORDER BY 1"
    )
    return [name for (name,) in rows]


def test_a_command_leaves_it_and_says_why(ward: Ward, command: Any) -> None:
    slug, (older, _, newer) = ward.tenant.slug, ward.found()
    said = command("replay", slug, str(older.id), "--preview")
    assert f"name: message {newer.id} came later and said otherwise" in said
    told = command("replay", slug, "--all").splitlines()
    assert told[0].startswith(f"{older.id}\twould change what is newer: ")
    assert told[1] == "1 to be converted again"
    assert told[2].startswith("1 left as they are: --preview shows what is newer, --over-newer converts them")
    assert ward.work() == 1
    assert (names(ward), ward.encounters()) == (["ALONE", "NEWER"], {"V123": "finished", "V456": "in-progress"})
    assert [one.state for one in ward.found()] == ["dead", "stored", "stored"]
    assert command("replay", slug, str(older.id), "--over-newer") == "1 to be converted again\n"
    assert ward.work() == 1
    assert (names(ward), ward.encounters()["V123"]) == (["ALONE", "OLDER"], "in-progress")


@pytest.fixture
def screen(app: FhirServer, tenant: Tenant) -> Screen:
    clinic = Clinic(app, tenant)
    clinic.settings(second_factor=False)
    return Screen.of(clinic, "clinic_admin")


def test_a_page_asks_before_it_is_done(ward: Ward, screen: Screen) -> None:
    older, _, newer = ward.found()
    screen.open(f"messages/{older.id}")
    screen.press("replay")
    assert screen.status == 400
    assert "It would put something old in place of what is newer" in screen.text
    assert f"name: message {newer.id} came later and said otherwise" in screen.text
    assert [one.state for one in ward.found()] == ["dead", "dead", "stored"]
    screen.press("replay", newer="yes")
    assert "waits to be converted again" in screen.text
    assert ward.work() == 1
    assert names(ward) == ["OLDER"]


def test_many_at_once_leave_it(ward: Ward, screen: Screen) -> None:
    screen.open("messages", state="dead")
    screen.press("every")
    assert "1 of them would change what later messages have said" in screen.text
    screen.press("replay")
    assert "1 message to be converted again. 1 message left that would change" in screen.text
    assert ward.work() == 1
    assert (names(ward), [one.state for one in ward.found()]) == (["ALONE", "NEWER"], ["dead", "stored", "stored"])
