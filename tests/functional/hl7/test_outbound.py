"""Changes arrive at other systems over sockets, in the order of each patient, and none is lost. docs/hl7-outbound.md"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_server.interactions.context import Tenant
from fhir_server.settings import Settings
from fhir_server.store import directory, hl7_destinations, hl7_outbound
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import Write
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from hl7_gateway.message import Message
from hl7_gateway.outbound import preparing
from hl7_gateway.wire import tls
from tests.functional.conftest import Api
from tests.functional.hl7.certificates import Authority, Issued
from tests.functional.hl7.outbound import System, Told, answer, until
from tests.functional.test_care_versions import consent


@pytest.fixture
def api(new_api: Callable[..., Api]) -> Api:
    return new_api()


@pytest.fixture
def told(api: Api, app_database: Database) -> Told:
    number = directory.tenant_id(app_database, api.slug)
    assert number is not None
    return Told(app_database, Tenant(number, api.slug))


def patient(number: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": number,
        "identifier": [{"system": "urn:oid:1.2.3", "value": number}],
        "name": [{"family": f"Family {number}"}],
        **more,
    }


def visit(number: str, who: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": number,
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": f"Patient/{who}"},
        **more,
    }


def put(api: Api, resource: dict[str, Any]) -> None:
    found = api.put(f"{resource['resourceType']}/{resource['id']}", resource)
    assert found.status in (200, 201), found.data


def test_a_change_over_rest_arrives(api: Api, told: Told, system: System) -> None:
    told.add(system, facility="CLINIC")
    with told.sending():
        put(api, patient("1"))
        put(api, patient("1", gender="female"))
        put(api, visit("v", "1"))
        put(api, visit("v", "1", status="finished"))
        until(lambda: told.states() == ["sent"] * 4)
    assert system.events() == ["A28", "A31", "A01", "A03"]
    pid = system.received[1].first("PID")
    assert pid is not None
    assert (pid[3], pid[8]) == ("1^^^&1.2.3&ISO", "F")
    rows = told.outbox()
    assert [one.message for one in rows] == system.raw
    assert [one.control_id for one in rows] == [one.control_id for one in system.received]
    assert len({one.control_id for one in rows}) == 4
    assert b"MSA|AA|" in (rows[0].acknowledgment or b"")


def test_what_is_sent_is_audited(api: Api, told: Told, system: System) -> None:
    told.add(system)
    with told.sending():
        put(api, patient("1"))
        until(lambda: told.states() == ["sent"])
    row = told.outbox()[0]
    kept = told.within(
        lambda c, t: c.execute(
            "SELECT record FROM audit_record WHERE tenant_id = %s AND kind = 'export'", [t]
        ).fetchall()
    )
    assert len(kept) == 1
    record = str(kept[0][0])
    assert "hl7-destination/his" in record
    assert f"hl7-outbox/{row.id}" in record
    assert "Family" not in record


def test_rules_decide_what_is_told(api: Api, told: Told, system: System) -> None:
    told.add(system, rules=[{"resource": "Patient", "when": "gender = 'female'"}])
    with told.sending():
        put(api, patient("1", gender="male"))
        put(api, patient("2", gender="female"))
        put(api, patient("1", gender="female"))
        put(api, visit("v", "1"))
        until(lambda: sorted(told.states()) == ["sent", "sent", "skipped"])
    # The destination has never heard of 1 before: it is a new person there.
    assert system.events() == ["A28", "A28"]


def test_only_the_latest_where_that_is_enough(api: Api, told: Told, system: System) -> None:
    told.add(system, latest_only=True)
    for gender in ("male", "other", "female"):
        put(api, patient("1", gender=gender))
    with told.sending():
        until(lambda: told.states() == ["skipped", "skipped", "sent"])
    assert system.events() == ["A28"]


def test_a_refused_one_is_dead_and_can_be_sent_again(api: Api, told: Told, system: System) -> None:
    told.add(system)
    system.behave = lambda raw: answer(raw, "AE" if b"Family 1" in raw else "AA")
    with told.sending():
        put(api, patient("1"))
        put(api, patient("2"))
        until(lambda: told.states() == ["dead", "sent"])
        dead = told.outbox("dead")[0]
        assert dead.problem == {
            "code": "AE",
            "said": "",
            "complaints": [{"code": "101", "place": "PID-3", "said": "no such patient"}],
        }
        system.behave = answer
        assert told.within(hl7_outbound.resend, [dead.id]) == [dead.id]
        until(lambda: told.states() == ["sent", "sent"])
    assert [one.control_id for one in system.received] == [
        dead.control_id,
        told.outbox()[1].control_id,
        dead.control_id,
    ]
    assert system.raw[0] == system.raw[2]


@pytest.mark.parametrize("code", ["AA", "AE"])
def test_what_a_database_cannot_hold_in_an_answer_is_left_out(api: Api, told: Told, system: System, code: str) -> None:
    told.add(system)
    system.behave = lambda raw: (
        f"MSH|^~\\&|B|B|A|A|2026||ACK|1|P|2.5.1\rMSA|{code}|{Message(raw.decode()).control_id}|a\0b\r"
        "ERR||PI\0D^1^3|1\0 1|E||||no such\0patient\r"
    ).encode()
    with told.sending():
        put(api, patient("1"))
        until(lambda: told.states() == ["sent" if code == "AA" else "dead"])
    assert len(system.raw) == 1
    (row,) = told.outbox()
    assert b"a\0b" in (row.acknowledgment or b"")
    if code == "AE":
        complaint = {"code": "1  1", "place": "PI D-3", "said": "no such patient"}
        assert row.problem == {"code": "AE", "said": "a b", "complaints": [complaint]}


def test_a_name_that_is_no_host_is_told_and_tried_again(api: Api, told: Told, system: System) -> None:
    told.add(system, host=f"{'a' * 64}.example", attempts=2)
    with told.sending():
        put(api, patient("1"))
        until(lambda: told.states() == ["dead"])
    (row,) = told.outbox()
    assert (row.attempts, row.problem) == (2, {"said": "No connection could be made (gaierror)."})


def test_the_receiver_is_down_and_comes_back(api: Api, told: Told, system: System) -> None:
    told.add(system)
    system.down()
    with told.sending():
        for number in range(3):
            put(api, patient(str(number)))
        until(lambda: any(one.attempts > 1 for one in told.outbox("waiting")))
        system.up()
        until(lambda: told.states() == ["sent"] * 3)
        # It is restarted while the connection is open.
        system.down()
        system.up()
        put(api, patient("4"))
        until(lambda: told.states() == ["sent"] * 4)
    assert sorted(one.text(5) for one in (m.all("PID")[0] for m in system.received)) == [
        "Family 0", "Family 1", "Family 2", "Family 4",
    ]  # fmt: skip


def test_a_patient_who_waits_holds_up_nobody_else(api: Api, told: Told, system: System) -> None:
    # Longer than an answer takes where other tests run beside it: each wait in vain is counted below.
    told.add(system, timeout=0.8, retry=0.9)
    silent = [2]

    def behave(raw: bytes) -> bytes | None:
        if b"Family 1" in raw and silent[0]:
            silent[0] -= 1
            return None
        return answer(raw)

    system.behave = behave
    for resource in (patient("1"), visit("a", "1"), patient("2"), visit("b", "2"), patient("1", gender="male")):
        put(api, resource)
    with told.sending():
        until(lambda: told.states() == ["sent"] * 5)
    names = [(one.event, one.all("PID")[0].text(3)) for one in system.received]
    first = [pair for pair in names if pair[1] == "1"]
    assert first == [("A28", "1")] * 3 + [("A01", "1"), ("A31", "1")]
    assert [pair for pair in names if pair[1] == "2"] == [("A28", "2"), ("A01", "2")]
    # The second patient was done before the first was answered.
    assert names.index(("A01", "2")) < names.index(("A01", "1"))
    # What was sent again is the same message.
    assert len({raw for raw in system.raw if b"A28" in raw and b"Family 1" in raw}) == 1


def test_attempts_may_be_limited(api: Api, told: Told, system: System) -> None:
    told.add(system, attempts=2, timeout=0.3)
    system.behave = lambda raw: None
    with told.sending():
        put(api, patient("1"))
        until(lambda: told.states() == ["dead"])
    assert len(system.raw) == 2
    assert told.outbox()[0].attempts == 2


def test_what_came_from_a_system_does_not_go_back(api: Api, told: Told, system: System) -> None:
    other = System()
    other.up()
    try:
        told.add(system, "source", feed=7)
        told.add(other, "other")
        put(api, patient("1"))

        def by_the_feed(store: Store) -> None:
            store.within(lambda c: c.execute("SELECT set_config('fhir.hl7_feed', '7', true)"))
            body = json.dumps({key: value for key, value in patient("1").items() if key not in ("resourceType", "id")})
            written = store.put(Write("Patient", "1", "PUT", 1, None, body.encode(), IndexRows()))
            assert written.status == "updated"

        Store(told.database, told.hasher, told.tenant.id).transaction(by_the_feed)
        with told.sending():
            until(lambda: told.states("source") == ["sent"] and told.states("other") == ["sent", "sent"])
        assert (len(system.raw), len(other.raw)) == (1, 2)
    finally:
        other.close()


def report(*results: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "id": "r",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "58410-2"}]},
        "subject": {"reference": "Patient/1"},
        "result": [{"reference": f"Observation/{one}"} for one in results],
        **more,
    }


def result(number: str, value: int, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": number,
        "status": "final",
        "code": {"text": f"test {number}"},
        "subject": {"reference": "Patient/1"},
        "valueInteger": value,
        **more,
    }


def test_a_report_and_its_results_are_told_together_once(api: Api, told: Told, system: System) -> None:
    told.add(system, rules=[{"resource": "DiagnosticReport"}, {"resource": "Observation"}])
    put(api, patient("1"))
    together = [result("a", 1), result("b", 2), report("a", "b")]
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
            for one in together
        ],
    }
    assert api.post("", bundle).status == 200
    with told.sending():
        until(lambda: sorted(told.states()) == ["sent", "skipped", "skipped"])
        put(api, result("b", 3, status="corrected"))
        put(api, result("vital", 7))
        until(lambda: sorted(told.states()) == ["sent"] * 3 + ["skipped"] * 2)
        assert api.delete("Observation/vital").status in (200, 204)
        until(lambda: len(system.raw) == 4)
    values = [[(one[5], one[11]) for one in m.all("OBX")] for m in system.received]
    assert values == [[("1", "F"), ("2", "F")], [("1", "F"), ("3", "C")], [("7", "F")], [("7", "W")]]


def test_what_is_paused_waits(api: Api, told: Told, system: System) -> None:
    told.add(system)
    told.within(hl7_destinations.pause, "his", 2, paused=True)
    with told.sending():
        put(api, patient("1"))
        time.sleep(0.3)
        assert told.states() == ["waiting"]
        told.within(hl7_destinations.pause, "his", 3, paused=False)
        until(lambda: told.states() == ["sent"])


def test_several_processes_share_the_work_in_order(api: Api, told: Told, system: System) -> None:
    told.add(system)
    for version in range(6):
        for number in ("1", "2", "3"):
            put(api, patient(number, name=[{"family": f"V{version}"}]))
    with told.sending(), told.sending(), told.sending():
        until(lambda: told.states() == ["sent"] * 18)
    for number in ("1", "2", "3"):
        sent = [m.all("PID")[0].text(5) for m in system.received if m.all("PID")[0].text(3) == number]
        assert sent == [f"V{version}" for version in range(6)]
    assert len(system.raw) == 18


def test_what_a_consent_withholds_is_not_told(api: Api, told: Told, system: System) -> None:
    told.add(system)
    put(api, patient("1"))
    put(api, patient("2"))
    put(api, consent("c", "1", "OPTOUT"))
    with told.sending():
        until(lambda: sorted(told.states()) == ["sent", "skipped"])
    assert [one.all("PID")[0].text(3) for one in system.received] == ["2"]
    (withheld,) = told.outbox("skipped")
    assert (withheld.resource_id, withheld.problem) == ("1", {"said": "The destination may not see it."})


def test_what_nobody_has_foreseen_is_dead_and_holds_up_nobody(
    api: Api, told: Told, system: System, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told.add(system)
    real = preparing.build

    def broken(change: Any, *more: Any) -> Any:
        if change.resource["id"] == "1":
            raise KeyError(change.resource["name"][0]["family"])
        return real(change, *more)

    monkeypatch.setattr(preparing, "build", broken)
    put(api, patient("1"))
    put(api, patient("2"))
    with told.sending():
        until(lambda: told.states() == ["dead", "sent"])
    (dead,) = told.outbox("dead")
    assert dead.problem is not None
    incident = str(dead.problem["said"]).removeprefix("Unexpected; incident ").rstrip(".")
    (record,) = (one for one in caplog.records if getattr(one, "incident", "") == incident)
    assert "Family 1" not in str(vars(record))
    # Once it can be made, it is.
    monkeypatch.setattr(preparing, "build", real)
    assert told.within(hl7_outbound.resend, [dead.id]) == [dead.id]
    with told.sending():
        until(lambda: told.states() == ["sent", "sent"])


def test_what_is_under_way_at_a_stop_is_finished(api: Api, told: Told, system: System) -> None:
    told.add(system, timeout=10.0)
    begun = threading.Event()

    def slow(raw: bytes) -> bytes:
        begun.set()
        time.sleep(0.5)
        return answer(raw)

    system.behave = slow
    put(api, patient("1"))
    put(api, patient("2"))
    with told.sending():
        assert begun.wait(10)
    assert told.states() == ["sent", "waiting"]


def test_a_destination_that_is_changed_is_sent_to_as_it_is_now(api: Api, told: Told, system: System) -> None:
    told.add(system)
    port, system.port = system.port, 0
    system.down()
    with told.sending():
        put(api, patient("1"))
        until(lambda: told.outbox()[0].attempts > 0)
        system.up()
        assert system.port != port
        whole = {"host": "127.0.0.1", "port": system.port, "rules": [{"resource": "Patient"}]}
        assert told.within(hl7_destinations.configure, "his", ["Patient"], whole, 5)
        until(lambda: told.states() == ["sent"])


def test_over_tls_with_certificates_of_both_sides(api: Api, told: Told, tmp_path: Path) -> None:
    made = Authority(tmp_path, "hospital")
    server, own = made.issue("server"), made.issue("own")
    ca = str(made.certificate)
    other = System(tls.context(server.certificate, server.key, ca))
    other.up()
    try:
        told.add(other, ca=ca, certificate=str(own.certificate), key=str(own.key))
        told.add(other, "stranger", ca=ca)
        put(api, patient("1"))
        with told.sending():
            until(lambda: told.states() == ["sent"] and told.outbox(name="stranger")[0].attempts > 0)
        assert told.states("stranger") == ["waiting"]
    finally:
        other.close()


def test_a_certificate_that_was_renewed_is_shown_to_the_next_connection(
    api: Api, told: Told, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Authority(tmp_path, "hospital")
    server, first, second = made.issue("server"), made.issue("own"), made.issue("renewed")
    ca, certificate, key = (tmp_path / name for name in ("ca.pem", "own.pem", "own.key"))

    def hold(issued: Issued) -> None:
        certificate.write_bytes(issued.certificate.read_bytes())
        key.write_bytes(issued.key.read_bytes())

    ca.write_bytes(made.certificate.read_bytes())
    hold(first)
    other = System(tls.context(server.certificate, server.key, str(made.certificate)))
    other.up()
    try:
        told.add(other, ca=str(ca), certificate=str(certificate), key=str(key))
        put(api, patient("1"))
        with told.sending():
            until(lambda: told.states() == ["sent"])
            # One file of two so far: what was read before is of use still.
            key.write_bytes(second.key.read_bytes())
            other.down()
            other.up()
            put(api, patient("2"))
            until(lambda: told.states() == ["sent", "sent"])
            hold(second)
            other.down()
            other.up()
            put(api, patient("3"))
            until(lambda: told.states() == ["sent"] * 3)
    finally:
        other.close()
    assert other.certificates == [first.fingerprint, first.fingerprint, second.fingerprint]
    assert "certificates stay as they were" in caplog.text


def process(settings: Settings) -> subprocess.Popen[bytes]:
    """A process that sends."""
    assert settings.app_database_url is not None
    environ = {**os.environ, "APP_DATABASE_URL": settings.app_database_url, "DATA_DIR": str(settings.data_dir)}
    command = "from hl7_gateway.commands.destination import destination; destination(['send'])"
    return subprocess.Popen([sys.executable, "-c", command], env=environ)


def test_a_process_sends_until_it_is_told_to_stop(api: Api, told: Told, system: System, settings: Settings) -> None:
    told.add(system)
    child = process(settings)
    try:
        put(api, patient("1"))
        until(lambda: told.states() == ["sent"], 30)
    finally:
        child.terminate()
        assert child.wait(10) == 0


def test_a_sender_that_is_killed_loses_nothing(api: Api, told: Told, system: System, settings: Settings) -> None:
    told.add(system, timeout=30.0)
    numbers = [str(number) for number in range(8)]
    for number in numbers:
        put(api, patient(number))
    holding = [4]

    def behave(raw: bytes) -> bytes | None:
        holding[0] -= 1
        # The fourth message is taken, and its acknowledgment never comes.
        return None if holding[0] == 0 else answer(raw)

    system.behave = behave
    child = process(settings)
    try:
        until(lambda: len(system.raw) == 4, 30)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    until(lambda: told.states().count("sent") == 3)
    with told.sending():
        until(lambda: told.states() == ["sent"] * 8)
    ids = [one.control_id for one in system.received]
    assert len(ids) == 9
    assert ids[3] == ids[4]
    assert system.raw[3] == system.raw[4]
    assert sorted(set(ids)) == sorted(one.control_id for one in told.outbox())
