"""Alerts as an operator and another system see them, on a database and sockets that are real. docs/hl7.md, "Alerts" """

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from fhir_server.authn.addresses import read_allowed
from fhir_server.authn.outbound import Outbound
from fhir_server.store import hl7_alerts, hl7_feeds
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.hl7_alerts import ATTEMPTS, Seen
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.__main__ import run
from hl7_gateway.alert_calls import Caller, pause
from tests.unit.authn.https_servers import Authority, Names, Served, serving

MICROSECONDS = 1_000_000


class Clinic:
    """A tenant with a feed, whose alerts are raised and cleared."""

    def __init__(self, database: Database, tenant: Tenant) -> None:
        self.database, self.tenant = database, tenant
        made = database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "lab", {}, 5))
        assert made is not None
        self.feed = made

    def see(self, condition: str, amount: int = 0, *, holds: bool = True, tell: bool = True) -> None:
        seen = [Seen(self.feed, "lab", condition, holds, amount, grows=condition == "dead")]
        at = time.time_ns() // 1_000
        self.database.transaction(self.tenant.id, lambda c: hl7_alerts.observe(c, self.tenant.id, seen, at, tell=tell))

    def next_attempts(self) -> list[int]:
        found = self.database.transaction(
            self.tenant.id,
            lambda c: c.execute("SELECT next_attempt FROM hl7_alert WHERE next_attempt > 0 ORDER BY id").fetchall(),
        )
        return [row[0] for row in found]

    def hurry(self) -> None:
        """Have all that waits for its next attempt be due."""
        self.database.transaction(
            self.tenant.id, lambda c: c.execute("UPDATE hl7_alert SET next_attempt = 1 WHERE next_attempt > 0")
        )


class Receiver:
    """What another system has been posted, and what it answers next."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.served = Served()

    @property
    def got(self) -> list[tuple[str, dict[str, str], Any]]:
        """Paths, headers and documents."""
        return [(path, headers, json.loads(body)) for _, path, headers, body in self.served.requests]

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(self.statuses.pop(0) if self.statuses else 204)
        request.send_header("Content-Length", "0")
        request.end_headers()


@pytest.fixture
def clinic(app_database: Database, tenant: Tenant) -> Clinic:
    return Clinic(app_database, tenant)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def caller(app_database: Database, receiver: Receiver, tmp_path: Path) -> Iterator[Caller]:
    authority = Authority(tmp_path)
    names = Names(alerts_example=["127.0.0.1"])
    outbound = Outbound(read_allowed("127.0.0.0/8"), context=authority.trusting(), resolve=names)
    with serving(receiver.handle, authority.certified("alerts.example")) as served:
        receiver.served = served
        yield Caller(app_database, outbound, f"https://alerts.example:{served.port}/hook?key=secret")


def test_an_alert_is_posted_when_it_is_raised_and_when_it_is_cleared(
    clinic: Clinic, receiver: Receiver, caller: Caller
) -> None:
    clinic.see("dead", 3)
    assert caller.once(clinic.tenant.id) == 1
    clinic.see("dead", 3)
    assert caller.once(clinic.tenant.id) == 0
    clinic.see("dead", holds=False)
    assert caller.once(clinic.tenant.id) == 1
    slug = clinic.tenant.slug
    (path, headers, raised), (_, _, cleared) = receiver.got
    assert (path, headers["content-type"]) == ("/hook?key=secret", "application/json")
    assert {key: raised[key] for key in ("state", "clinic", "feed", "condition", "amount", "text")} == {
        "state": "raised",
        "clinic": slug,
        "feed": "lab",
        "condition": "dead",
        "amount": 3,
        "text": f"{slug}/lab: dead letters that somebody must look at: 3",
    }
    assert (cleared["id"], cleared["state"], cleared["raised"]) == (raised["id"], "cleared", raised["raised"])
    assert cleared["cleared"] >= cleared["raised"]
    assert set(cleared) - set(raised) == {"cleared"}


def test_what_is_not_taken_is_tried_again_later(clinic: Clinic, receiver: Receiver, caller: Caller) -> None:
    receiver.statuses = [500, 404, 302]
    clinic.see("silent", 60)
    for attempt in (1, 2, 3):
        begun = time.time_ns() // 1_000
        assert caller.once(clinic.tenant.id) == 0
        (due,) = clinic.next_attempts()
        assert pause(attempt) <= due - begun <= pause(attempt) + 60 * MICROSECONDS
        assert caller.once(clinic.tenant.id) == 0
        assert len(receiver.got) == attempt
        clinic.hurry()
    assert caller.once(clinic.tenant.id) == 1
    assert clinic.next_attempts() == []
    assert [body for _, _, body in receiver.got] == [receiver.got[0][2]] * 4


def test_pauses_grow_to_an_hour_and_end_after_about_a_day() -> None:
    pauses = [pause(attempt) for attempt in range(1, ATTEMPTS)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (15 * MICROSECONDS, 3_600 * MICROSECONDS)
    assert 18 < sum(pauses) / MICROSECONDS / 3_600 < 30


def test_an_address_that_may_not_be_called_is_told_in_the_log_without_it(
    clinic: Clinic, app_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    clinic.see("silent", 60)
    assert Caller(app_database, Outbound(), "https://127.0.0.1:9/hook?key=secret").once(clinic.tenant.id) == 0
    (record,) = [one for one in caplog.records if one.message == "an alert could not be told"]
    assert vars(record)["reason"] == "address"
    assert "secret" not in repr(vars(record))
    assert len(clinic.next_attempts()) == 1


def test_a_thread_tells_what_it_is_told_of(clinic: Clinic, receiver: Receiver, caller: Caller) -> None:
    clinic.see("queue", 20_000)
    caller.start()
    for _ in range(3):
        caller.tell(clinic.tenant.id)
    ending = time.monotonic() + 20
    while clinic.next_attempts():
        assert time.monotonic() < ending, "nothing is told"
        time.sleep(0.01)
    caller.close()
    assert [body["condition"] for _, _, body in receiver.got] == ["queue"]


def test_what_is_not_told_before_a_stop_is_due_for_whoever_comes_after(
    clinic: Clinic, receiver: Receiver, caller: Caller
) -> None:
    clinic.see("queue", 20_000)
    clinic.see("dead", 1)
    caller.start()
    caller.close()
    assert caller.once(clinic.tenant.id) == 0
    assert receiver.got == []
    assert all(due <= time.time_ns() // 1_000 for due in clinic.next_attempts())
    assert len(clinic.next_attempts()) == 2


Command = Callable[..., str]


@pytest.fixture
def command(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `hl7-gateway alerts`; what it says, after ``status`` was checked."""
    assert database.owner is not None
    monkeypatch.setenv("DATABASE_URL", database.owner)

    def command(*words: str, status: int = 0) -> str:
        found = run(("alerts", *words))
        said = capsys.readouterr()
        assert found == status, said.err
        return said.err if status else said.out

    return command


def test_alerts_are_listed_and_acknowledged(command: Command, clinic: Clinic) -> None:
    slug = clinic.tenant.slug
    assert command("list", slug) == ""
    clinic.see("silent", 7_200)
    clinic.see("dead", 1)
    dead, silent = command("list", slug).splitlines()
    number, label, condition, since, state, said = silent.split("\t")
    assert (label, condition, state) == (f"{slug}/lab", "silent", "open")
    assert said == "no message has come for 7,200 seconds"
    assert since.startswith("20")
    assert {dead, silent} <= set(command().splitlines())
    assert command("acknowledge", slug, number, "--by", "night shift") == "1 acknowledged\n"
    assert "has no open alert" in command("acknowledge", slug, number, status=1)
    assert command("list", slug).splitlines()[1].split("\t")[4].endswith(" by night shift")
    assert command("acknowledge", slug, "--all") == "1 acknowledged\n"
    clinic.see("silent", holds=False)
    assert [line.split("\t")[2] for line in command("list", slug).splitlines()] == ["dead"]
    assert command("list", slug, "--all").splitlines()[1].split("\t")[4].startswith("cleared 20")
    assert "There must be a number" in command("acknowledge", slug, status=2)
    assert "There is no tenant" in command("list", "nowhere", status=1)
