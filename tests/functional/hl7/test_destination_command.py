"""`hl7-gateway destination` as an operator uses it, on a database that is real. docs/hl7-outbound.md"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from fhir_server.interactions.context import Tenant as Clinic
from fhir_server.settings import ConfigurationError
from fhir_server.store import hl7_destinations, hl7_feeds
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import Write
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant
from hl7_gateway.commands.destination import destination
from tests.functional.hl7.outbound import System, Told, answer, until

Command = Callable[..., str]


@pytest.fixture
def command(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command; what it says, or what it is refused with, after ``status`` was checked."""
    assert database.owner is not None
    monkeypatch.setenv("DATABASE_URL", database.owner)

    def command(*words: str, status: int = 0) -> str:
        result = CliRunner().invoke(destination, words)
        assert result.exit_code == status, (result.output, result.exception)
        if isinstance(result.exception, ConfigurationError):
            return result.output + str(result.exception)
        return result.output

    return command


@pytest.fixture
def told(app_database: Database, tenant: Tenant) -> Told:
    return Told(app_database, Clinic(tenant.id, tenant.slug))


def write(told: Told, number: str, **content: object) -> None:
    body = {"identifier": [{"value": number}], **content}
    store = Store(told.database, told.hasher, told.tenant.id)
    store.put(Write("Patient", number, "PUT", None, None, json.dumps(body).encode(), IndexRows()))


def test_destinations_are_added_paused_listed_and_removed(command: Command, told: Told, system: System) -> None:
    slug, tenant = told.tenant.slug, told.tenant.id
    told.database.transaction(tenant, lambda c: hl7_feeds.add(c, tenant, "lab", {"port": 1}, 1))
    words = ("--set", "host=127.0.0.1", "--set", f"port={system.port}", "--rule", "Patient:active", "--feed", "lab")
    assert command("add", slug, "his", *words) == f"{slug}/his\tadded\n"
    assert "already" in command("add", slug, "his", *words, status=1)
    listed = command("list", slug).rstrip("\n").split("\t")
    assert listed[:4] == [f"{slug}/his", "on", "lab", "nothing yet"]
    assert json.loads(listed[4])["rules"] == [{"resource": "Patient", "when": "active"}]
    changed = command("set", slug, "his", "--set", "zone=Europe/Paris", "--set", "port=1", "--rule", "Encounter")
    assert json.loads(changed) == {
        "host": "127.0.0.1", "port": 1, "zone": "Europe/Paris", "rules": [{"resource": "Encounter", "when": ""}]
    }  # fmt: skip
    write(told, "1")
    assert "nothing yet" in command("list", slug)
    assert "zone must be" in command("set", slug, "his", "--set", "zone=Nowhere", status=1)
    assert command("pause", slug, "his") == f"{slug}/his\tpaused\n"
    assert "\tpaused\t" in command("list", slug)
    assert command("resume", slug, "his") == f"{slug}/his\tresumed\n"
    assert command("remove", slug, "his") == f"{slug}/his\tremoved\n"
    assert command("list", slug) == ""
    assert "There is no destination 'his'" in command("pause", slug, "his", status=1)


def test_what_is_wrong_with_a_destination_is_said(command: Command, told: Told) -> None:
    said = command("add", told.tenant.slug, "his", "--set", "port=0", "--rule", "Basic", status=1)
    assert "host is missing" in said
    assert "port must be a number from 1 to 65535" in said
    assert "resource must be one of" in said
    unusable = ("--set", "host=h", "--set", "port=1", "--set", "ca=/none.pem", "--rule", "Patient")
    assert "PEM files" in command("add", told.tenant.slug, "his", *unusable, status=1)
    assert command("list", told.tenant.slug) == ""


def test_a_destination_is_tested_and_nothing_is_sent(command: Command, told: Told, system: System) -> None:
    told.add(system)
    write(told, "1", active=True)
    slug = told.tenant.slug
    assert command("test", slug, "his") == f"127.0.0.1:{system.port}\treached\n"
    said = command("test", slug, "his", "Patient/1")
    assert "ADT^A28^ADT_A05|PREVIEW" in said
    assert "PID|1||1" in said
    assert "is not told: It is not there" in command("test", slug, "his", "Patient/2", status=1)
    assert system.raw == []
    system.down()
    assert "cannot be reached" in command("test", slug, "his", status=1)


def test_the_outbox_is_shown_and_dead_letters_are_sent_again(command: Command, told: Told, system: System) -> None:
    told.add(system)
    slug = told.tenant.slug
    system.behave = lambda raw: answer(raw, "AE")
    write(told, "1")
    with told.sending():
        until(lambda: told.states() == ["dead"])
        (row,) = told.outbox()
        shown = command("outbox", slug, "his", "--state", "dead").rstrip("\n").split("\t")
        assert shown[0] == str(row.id)
        assert shown[2:] == [
            "Patient/1/_history/1", "A28", f"FHIR{row.id}", "dead", "attempts: 1", "AE 101 PID-3 no such patient"
        ]  # fmt: skip
        assert command("outbox", slug, "his", "--state", "sent") == ""
        assert "patient                    PID|1||1" in command("outbox", slug, "his", "--messages")
        assert "1 dead" in command("list", slug)
        assert "Not dead letters" in command("resend", slug, "his", "1", status=1)
        assert command("resend", slug, "his", status=2)
        system.behave = answer
        assert command("resend", slug, "his", "--all") == f"{row.id}\twaits\n"
        until(lambda: told.states() == ["sent"])
    assert "1 sent" in command("list", slug)


def test_a_destination_of_another_clinic_is_not_touched(
    command: Command, told: Told, system: System, new_tenant: Callable[[], Tenant]
) -> None:
    told.add(system)
    other = new_tenant()
    assert "There is no destination" in command("remove", other.slug, "his", status=1)
    assert len(told.within(lambda c, t: hl7_destinations.listed(c, t))) == 1
