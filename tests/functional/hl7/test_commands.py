"""`hl7-gateway` as an operator uses it, on a database that is real. docs/hl7.md, "Dead letters" """

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_server.audit.event import Event, decode
from fhir_server.store import hl7_feeds
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.__main__ import run
from tests.functional.hl7.gateway import message
from tests.functional.hl7.ward import Ward, visit

Command = Callable[..., str]


@pytest.fixture
def command(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command; what it says on standard output, after ``status`` was checked."""
    assert database.owner is not None
    monkeypatch.setenv("DATABASE_URL", database.owner)

    def command(*words: str, status: int = 0) -> str:
        found = run(words)
        said = capsys.readouterr()
        assert found == status, said.err
        return said.out if status != 1 or said.out else said.err

    return command


@pytest.fixture
def ward(app_database: Database, tenant: Tenant) -> Ward:
    return Ward(app_database, tenant, application="EPIC", facility=f"T{tenant.id}")


def test_feeds_are_added_changed_paused_listed_and_removed(command: Command, tenant: Tenant) -> None:
    slug, port = tenant.slug, f"port={10_000 + tenant.id}"
    assert command("feed", "add", slug, "lab", "--set", port, "--set", "application=LAB") == f"{slug}/lab\tadded\n"
    (listed,) = command("feed", "list", slug).splitlines()
    assert listed == f'{slug}/lab\ton\t{{"port": {10_000 + tenant.id}, "application": "LAB"}}'
    assert "already" in command("feed", "add", slug, "lab", "--set", f"port={30_000 + tenant.id}", status=1)
    assert "The feed 'lab' asks for the same port" in command(
        "feed", "add", slug, "other", "--set", port, "--set", "application=LAB", status=1
    )
    assert "zone must be a name of the time zone" in command("feed", "set", slug, "lab", "--set", "zone=X", status=1)
    changed = command("feed", "set", slug, "lab", "--set", "zone=Europe/Paris", "--set", "application=null")
    assert json.loads(changed) == {"port": 10_000 + tenant.id, "zone": "Europe/Paris"}
    command("feed", "pause", slug, "lab")
    assert "\tpaused\t" in command("feed", "list", slug)
    command("feed", "resume", slug, "lab")
    assert "\ton\t" in command("feed", "list")
    command("feed", "remove", slug, "lab")
    assert command("feed", "list", slug) == ""
    assert "There is no feed 'lab'" in command("feed", "pause", slug, "lab", status=1)
    assert "There is no tenant" in command("feed", "add", "nowhere", "lab", status=1)


def test_which_number_is_expected_is_shown_set_and_forgotten(command: Command, tenant: Tenant) -> None:
    slug, port = tenant.slug, f"port={10_000 + tenant.id}"
    command("feed", "add", slug, "lab", "--set", port)
    assert "does not number its messages" in command("feed", "number", slug, "lab", status=1)
    assert json.loads(command("feed", "set", slug, "lab", "--sequence"))["sequence"] is True
    assert command("feed", "number", slug, "lab") == f"{slug}/lab\t-1\n"
    assert command("feed", "number", slug, "lab", "--expect", "4711") == f"{slug}/lab\t4711\n"
    assert "0 is no number" in command("feed", "number", slug, "lab", "--expect", "0", status=1)
    command("feed", "set", slug, "lab", "--set", "silent=60")
    assert command("feed", "number", slug, "lab") == f"{slug}/lab\t4711\n"
    command("feed", "set", slug, "lab", "--no-sequence")
    command("feed", "set", slug, "lab", "--set", "sequence=true")
    assert command("feed", "number", slug, "lab") == f"{slug}/lab\t-1\n"
    assert "sequence must be true or false" in command("feed", "set", slug, "lab", "--set", "sequence=1", status=1)
    command("feed", "add", slug, "other", "--sequence", "--set", port, "--set", "application=X")
    assert '"sequence": true' in command("feed", "list", slug)


def test_a_value_may_stand_in_a_file(command: Command, tenant: Tenant, tmp_path: Path) -> None:
    table = tmp_path / "authorities.json"
    table.write_text('{"HOSP": "urn:oid:1.2.3"}')
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('[[drop]]\nfield = "PID-10"\n')
    words = ("--set", f"port={10_000 + tenant.id}", "--set", f"authorities=@{table}", "--set", f"overrides=@{mapping}")
    command("feed", "add", tenant.slug, "lab", *words)
    assert '"authorities": {"HOSP": "urn:oid:1.2.3"}' in command("feed", "list", tenant.slug)
    assert "cannot be read" in command("feed", "set", tenant.slug, "lab", "--set", "zone=@/none", status=1)
    assert "KEY=VALUE" in command("feed", "set", tenant.slug, "lab", "--set", "zone", status=1)


def file_of(directory: Path, *raws: bytes) -> str:
    path = directory / "messages.hl7"
    path.write_bytes(b"".join(raws))
    return str(path)


def test_a_feed_is_tested_without_anything_being_stored(command: Command, ward: Ward, tmp_path: Path) -> None:
    own = visit("1", "A01", "123").replace(b"|HOSP|FHIR", f"|T{ward.tenant.id}|FHIR".encode())
    said = command("feed", "test", ward.tenant.slug, "lab", file_of(tmp_path, own))
    assert '+ name[0].family = "SMITH"' in said
    assert "Encounter/" in said
    assert ward.found() == []
    assert ward.encounters() == {}
    strange = file_of(tmp_path, visit("1", "A01", "123"))
    assert "would be of no feed" in command("feed", "test", ward.tenant.slug, "lab", strange, status=1)
    bad = file_of(tmp_path, own.replace(b"ADT^A01", b"ADT^Z99"))
    assert "would be a dead letter: 201" in command("feed", "test", ward.tenant.slug, "lab", bad, status=1)


def test_messages_are_found_and_shown(command: Command, ward: Ward) -> None:
    ward.keep(visit("1", "A01", "123"), message("2", "A04", "456").replace(b"HOSP^MR", b"HOSP^SS"))
    ward.work()
    slug = ward.tenant.slug
    assert len(command("messages", "list", slug).splitlines()) == 2
    (dead,) = command("messages", "list", slug, "--state", "dead", "--feed", "lab").splitlines()
    number, _, feed, event, control_id, state, said = dead.split("\t")
    assert (feed, event, control_id, state) == ("lab", "ADT^A04", "2", "dead")
    assert said.startswith("101 PID-3 ")
    assert command("messages", "list", slug, "--control-id", "2", "--type", "adt", "--event", "A04") == dead + "\n"
    assert command("messages", "list", slug, "--patient", "urn:hl7:lab:HOSP|123").split("\t")[4] == "1"
    assert command("messages", "list", slug, "--patient", "urn:hl7:lab:HOSP|99") == ""
    assert len(command("messages", "list", slug, "--since", "1970-01-01", "--until", "1970-01-02").splitlines()) == 2
    assert command("messages", "list", slug, "--since", "2000-01-01") == ""
    assert command("messages", "list", slug, "--count", "1", "--before", number).split("\t")[4] == "1"
    assert "SYSTEM|NUMBER" in command("messages", "list", slug, "--patient", "123", status=1)
    shown = command("messages", "show", slug, number).splitlines()
    (place,) = [index for index, text in enumerate(shown) if text.startswith("patient ")]
    assert shown[place].split("PID", 1)[1].startswith("|1||456^^^HOSP^SS")
    assert shown[place + 1].strip().startswith("^ PID-3: ")
    assert any(text.startswith("answered: MSH|") for text in shown)
    assert command("messages", "show", slug, number, "--raw") == ward.raw(int(number)).decode()
    assert "There is no message 999999999" in command("messages", "show", slug, "999999999", status=1)


def test_a_dead_letter_is_corrected_replayed_and_acknowledged_differently(
    command: Command, ward: Ward, tmp_path: Path
) -> None:
    bad = visit("2", "A01", "456").replace(b"HOSP^MR", b"HOSP^SS")
    ward.keep(bad)
    ward.work()
    (dead,) = ward.found()
    slug, number = ward.tenant.slug, str(dead.id)
    corrected = file_of(tmp_path, bad.replace(b"HOSP^SS", b"HOSP^MR"))
    said = command("replay", slug, number, "--corrected", corrected, "--preview")
    assert '+ name[0].family = "SMITH"' in said
    assert [one.state for one in ward.found()] == ["dead"]
    assert ward.encounters() == {}
    assert command("replay", slug, number, "--preview").count("would be a dead letter: 101") == 1
    assert command("replay", slug, number, "--corrected", corrected) == "1 to be converted again\n"
    assert ward.work() == 1
    old, new = ward.found()
    assert (old.state, new.state, new.replay_of) == ("dropped", "stored", old.id)
    assert ward.raw(old.id) == bad
    assert ward.encounters() == {"V456": "in-progress"}
    assert f"{number} is no dead letter" in command("replay", slug, number, status=1)


def test_dead_letters_are_replayed_all_at_once_after_the_feed_was_mended(command: Command, ward: Ward) -> None:
    bad = [visit(str(one), "A01", str(100 + one)).replace(b"HOSP^MR", b"HOSP^SS") for one in range(5)]
    ward.keep(*bad)
    ward.work()
    slug = ward.tenant.slug
    command("feed", "set", slug, "lab", "--set", 'overrides=[[put]]\nfield = "PID-3.5"\nvalue = "MR"')
    ward.feeds.refresh(now=True)
    assert command("replay", slug, "--all", "--control-id", "3") == "1 to be converted again\n"
    assert ward.work() == 1
    assert command("replay", slug, "--all", "--feed", "lab") == "4 to be converted again\n"
    assert ward.work() == 4
    assert {(one.state, one.replay_of) for one in ward.found()} == {("stored", 0)}
    assert len(ward.encounters()) == 5
    assert ward.answer("0").code == "AA"
    assert "Name the numbers" in command("replay", slug, status=1)


def test_a_dead_letter_is_dropped_and_stays_readable(command: Command, ward: Ward) -> None:
    ward.keep(message("1").replace(b"HOSP^MR", b"HOSP^SS"), visit("2", "A01", "5"))
    ward.work()
    dead, stored = ward.found()
    words = ("drop", ward.tenant.slug, str(dead.id), str(stored.id), "--reason", "their test system")
    said = command(*words).splitlines()
    assert said == [f"{dead.id}\tdropped", f"{stored.id}\tis no dead letter"]
    assert [one.state for one in ward.found()] == ["dropped", "stored"]
    assert ward.raw(dead.id).startswith(b"MSH")
    assert (ward.whole(dead.id).found.problem or {})["dropped"] == "their test system"


def test_other_clinics_messages_are_neither_shown_nor_replayed(
    command: Command, ward: Ward, new_tenant: Callable[[], Tenant]
) -> None:
    ward.keep(message("1").replace(b"HOSP^MR", b"HOSP^SS"))
    ward.work()
    number, other = str(ward.found()[0].id), new_tenant().slug
    assert command("messages", "list", other) == ""
    assert "There is no message" in command("messages", "show", other, number, status=1)
    assert "is no dead letter" in command("replay", other, number, status=1)
    assert command("drop", other, number) == f"{number}\tis no dead letter\n"


def test_a_message_is_converted_without_a_server(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    booked = message("3", "S12", kind="SIU", rest="RGS|1\r").replace(b"EVN|S12|20260101\r", b"SCH|1^A\r")
    path = file_of(tmp_path, visit("1", "A01", "123"), message("2", "Z99"), booked)
    assert run(("convert", path, "--set", "zone=America/New_York")) == 1
    said = capsys.readouterr()
    bundle, last = map(json.loads, said.out.splitlines())
    (appointment,) = [one["resource"] for one in last["entry"] if one["resource"]["resourceType"] == "Appointment"]
    assert appointment["status"] == "proposed"
    assert "messages.hl7[3]: Without a time an appointment is proposed." in said.err
    assert bundle["type"] == "transaction"
    kinds = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    assert {"Patient", "Encounter", "MessageHeader"} <= kinds
    assert "messages.hl7[2]: MSH-9" in said.err


def test_what_a_feed_sends_is_scored_and_another_mapping_is_compared(
    command: Command, ward: Ward, tmp_path: Path
) -> None:
    for number in ("1", "2"):
        ward.keep(message(number, "A01", number, rest="PV1|1|I||||||||||||||||||V1\rZPI|1|blue\r"))
    assert ward.work() == 2
    slug = ward.tenant.slug
    first, *fields = command("score", slug, "lab").splitlines()
    assert "% of " in first
    assert "in 2 messages; 0 of them with warnings" in first
    assert "ZPI-2\t2" in fields
    file = tmp_path / "lab.toml"
    file.write_text(
        "[[read]]\nfield='ZPI-2'\nresource='Patient'\nextension='https://clinic.example/colour'\ntype='ST'\n"
    )
    said = command("compare", slug, "lab", str(file))
    assert "2 of 2 messages would come to something else" in said
    assert '+ Patient#1.extension = {"url":"https://clinic.example/colour","valueString":"blue"}' in said
    file.write_text("")
    assert "0 of 2 messages would come to something else" in command("compare", slug, "lab", str(file))
    file.write_text("[[put]]\nfield='x'\nvalue='y'")
    assert "is not a field as in PID-13" in command("compare", slug, "lab", str(file), status=1)


def trail(ward: Ward, kind: str) -> list[Event]:
    """The records of a kind, the oldest first."""
    rows = ward.rows("SELECT record FROM audit_record ORDER BY seq")
    return [one for one in map(decode, (record for (record,) in rows)) if one.kind == kind]


def test_what_an_operator_does_with_messages_is_in_the_audit_trail(
    command: Command, ward: Ward, tmp_path: Path
) -> None:
    """Who it was is told by the operating system, whatever the environment says."""
    slug, bad = ward.tenant.slug, message("2", "A04", "456").replace(b"HOSP^MR", b"HOSP^SS")
    ward.keep(visit("1", "A01", "123"), bad, message("3", "A04", "7").replace(b"HOSP^MR", b"HOSP^SS"))
    ward.work()
    _, second, third = ward.found()
    ((subject,),) = ward.rows("SELECT body -> 'subject' ->> 'reference' FROM resource WHERE body ? 'class'")
    patient = subject.removeprefix("Patient/")
    before = ward.rows("SELECT count(*) FROM audit_record")
    command("messages", "list", slug, "--state", "dead", "--event", "a04")
    command("messages", "show", slug, str(second.id))
    corrected = file_of(tmp_path, visit("2", "A04", "123"))
    command("replay", slug, str(second.id), "--corrected", corrected, "--preview")
    command("replay", slug, str(second.id), "--corrected", corrected)
    command("drop", slug, str(third.id), str(second.id), "--reason", "a test of theirs")
    made = ward.found()[-1]
    kinds = ("hl7-search", "hl7-read", "hl7-preview", "hl7-replay", "hl7-drop")
    search, read, previewed, replayed, dropped = [one for kind in kinds for one in trail(ward, kind)]
    user = pwd.getpwuid(os.getuid()).pw_name
    assert {(one.subject, one.client_id, one.outcome) for one in (search, read, previewed, replayed, dropped)} == {
        (user, "hl7-gateway-cli", "0")
    }
    assert search.query == "GET messages?event=a04&state=dead"
    assert (read.messages, previewed.messages, previewed.patient_ids) == ((second.id,), (second.id,), (patient,))
    assert (replayed.messages, replayed.detail) == ((second.id, made.id), {str(second.id): made.id})
    assert replayed.patient_ids == (patient,)
    assert (dropped.messages, dropped.reason) == ((third.id,), "a test of theirs")
    command("drop", slug, str(third.id))
    assert ward.rows("SELECT count(*) FROM audit_record") == [(before[0][0] + 5,)], "what changed nothing is no act"


def test_a_feed_whose_concept_map_is_missing_is_told(command: Command, ward: Ward) -> None:
    slug, url = ward.tenant.slug, "http://hospital.example/sexes"
    row = f"{slug}/lab\t"
    assert command("feed", "list", slug).startswith(f"{row}on\t")
    overrides = f'[[translate]]\nfield = "PID-8"\nmap = "{url}"'
    assert "there is none of this URL" in command(
        "feed", "set", slug, "lab", "--set", f"overrides={overrides}", status=1
    )
    ward.database.transaction(
        ward.tenant.id,
        lambda c: hl7_feeds.change(c, ward.tenant.id, "lab", 9, configuration={"overrides": overrides}),
    )
    try:
        said = command("feed", "list", slug)
    finally:
        # Whoever looks at the feeds of all clinics would be told of it.
        command("feed", "remove", slug, "lab")
    assert said.startswith(f"{row}its messages wait: [[translate]] no. 1: ConceptMap {url}: there is none of this URL")
