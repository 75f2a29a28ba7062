"""A clinic's messages in a browser without JavaScript: found, repaired, replayed, dropped. docs/hl7.md, "On a page" """

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from fhir_server.app import FhirServer
from fhir_server.audit import event as events
from fhir_server.audit import verify
from fhir_server.store import hl7_alerts, hl7_feeds
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.hl7_alerts import Alert, Seen
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.__main__ import run
from hl7_gateway.console import bulk_page, messages_page
from hl7_gateway.recording import operator
from tests.functional.hl7.gateway import message
from tests.functional.hl7.message_pages import Screen
from tests.functional.hl7.ward import Ward, visit
from tests.functional.smart_flow import Clinic
from tests.functional.test_pages import _Accessible

NOBODY = message("2", "A01", "")
"""Without a patient: 101."""


def shared(number: int) -> bytes:
    """A visit of somebody whose number tells nobody apart, until a mapping says that it does."""
    return visit(str(number), "A01", str(100 + number)).replace(b"HOSP^MR", b"HOSP^SS")


MENDED = '[[put]]\nfield = "PID-3.5"\nvalue = "MR"'
"""The mapping that does."""


@pytest.fixture
def ward(app_database: Database, tenant: Tenant) -> Ward:
    return Ward(app_database, tenant, port=1, facility="HOSP")


@pytest.fixture
def screen(app: FhirServer, tenant: Tenant) -> Screen:
    clinic = Clinic(app, tenant)
    clinic.settings(second_factor=False)
    return Screen.of(clinic, "clinic_admin")


def test_messages_are_counted_and_found_and_no_url_names_a_patient(ward: Ward, screen: Screen) -> None:
    ward.keep(message("1", patient="4711"), message("7", "A08", "815"), NOBODY)
    ward.work()
    screen.open("messages")
    assert "dead letters 1" in screen.text
    assert "waiting 0 nothing waits" in screen.text
    assert "stored 2 of all 3" in screen.text
    for typed, expected in (
        ({"control_id": "7"}, {"7"}),
        ({"state": "dead"}, {"2"}),
        ({"type": "adt", "event": "a01"}, {"1", "2"}),
        ({"patient": "4711^^^HOSP"}, {"1"}),
        ({"patient": "urn:hl7:lab:HOSP|815"}, {"7"}),
        ({"patient": "815"}, {"7"}),
        ({"patient": "4712"}, set()),
        ({"feed": "lab"}, {"1", "2", "7"}),
        ({"until": "2020-01-01T00:00"}, {"1", "2", "7"}),
        ({"since": "2020-01-01T00:00"}, set()),
    ):
        screen.open("messages")
        if "Show all" in screen.text:
            screen.press("all")
        screen.press("find", **typed)
        assert screen.url == screen.clinic.url("messages"), typed
        assert {ward.whole(number).found.control_id for number in screen.numbers} == expected, typed
    searches = [one for one in screen.trail("hl7-search") if "patient=4711^^^HOSP" in one.query]
    assert [len(one.patient_ids) for one in searches] == [1] * len(searches) != []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"patient": "a^b~c"}, "Write the number as it stands in PID-3"),
        ({"patient": "|5"}, "Write the number as it stands in PID-3"),
        ({"since": "tomorrow"}, "Write the time as year-month-day"),
        ({"feed": "gone"}, "There is no such feed any more"),
        ({"state": "lost"}, "Choose one of the states"),
    ],
)
def test_what_cannot_be_looked_for_is_said_at_its_field(
    ward: Ward, screen: Screen, typed: dict[str, str], said: str
) -> None:
    screen.open("messages")
    screen.press("find", **typed)
    assert screen.status == 400
    assert said in screen.text
    assert f'href="#{next(iter(typed))}"' in screen.html


def test_older_messages_are_on_the_next_page(ward: Ward, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages_page, "PER_PAGE", 2)
    ward.keep(*(message(str(one), patient=str(one)) for one in range(5)))
    screen.open("messages")
    seen = [screen.numbers]
    while found := re.search(r'href="[^"]+\?before=(\d+)"', screen.html):
        screen.open("messages", before=found[1])
        seen.append(screen.numbers)
    assert [number for page in seen for number in page] == [one.id for one in reversed(ward.found())]
    assert [len(page) for page in seen] == [2, 2, 1]


def test_a_dead_letter_is_repaired_and_what_it_was_is_kept(ward: Ward, screen: Screen) -> None:
    bad = visit("2", "A01", "456").replace(b"HOSP^MR", b"HOSP^SS")
    ward.keep(bad)
    ward.work()
    (dead,) = ward.found()
    screen.open(f"messages/{dead.id}")
    assert "Why it is a dead letter PID-3 : " in screen.text
    assert "PID-3 Patient identifier list 456^^^HOSP^SS PID-3: 101: " in screen.text
    assert 'class="error" id="wrong"' in screen.html
    text = screen.field("text")
    assert text.replace("\n", "\r") + "\r" == bad.decode()

    screen.press("preview", text=text)
    assert "It would be a dead letter. 101" in screen.text
    # A browser sends line ends of its own: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html
    better = text.replace("HOSP^SS", "HOSP^MR").replace("\n", "\r\n")
    screen.press("preview", text=better)
    assert "What the edited message would change now" in screen.text
    assert '+ comes name[0].family = "SMITH"' in screen.text
    assert ward.encounters() == {}
    assert [one.state for one in ward.found()] == ["dead"]
    assert screen.field("text") == text.replace("HOSP^SS", "HOSP^MR"), "what was typed is not lost"

    screen.press("replay", text=better)
    old, new = ward.found()
    assert screen.url == screen.clinic.url(f"messages/{new.id}?done=corrected")
    assert (old.state, new.state, new.replay_of) == ("dropped", "received", old.id)
    assert ward.raw(old.id) == bad
    assert ward.raw(new.id) == bad.replace(b"HOSP^SS", b"HOSP^MR")
    assert ward.work() == 1
    assert ward.encounters() == {"V456": "in-progress"}

    screen.open(f"messages/{new.id}")
    assert f"It corrects message {old.id}" in screen.text
    assert "hl7-feed/lab converted: " in screen.text
    assert f"made it, as a correction of message {old.id}" in screen.text
    assert re.search(r"Encounter/\S+ 1 new", screen.text)
    screen.open(f"messages/{old.id}")
    assert f"It was corrected: message {new.id} was converted in its place" in screen.text
    (replay,) = screen.trail("hl7-replay")
    assert (replay.subject, set(replay.messages)) == (screen.person.id, {old.id, new.id})
    previews = screen.trail("hl7-preview")
    assert [one.messages for one in previews] == [(old.id,)] * 2
    assert {one.outcome for one in screen.trail("hl7-read")} == {"0"}
    assert verify.verify(ward.database, ward.hasher, ward.tenant.id).problem == ""


def test_a_corrected_message_is_found_by_what_it_says_of_itself(ward: Ward, screen: Screen) -> None:
    ward.keep(visit("2", "Z99", "456"))
    (dead,) = ward.found()
    screen.open(f"messages/{dead.id}")
    assert "MSH-9.2" in screen.text
    screen.press("replay", text=screen.field("text").replace("ADT^Z99|2", "ADT^A04|2B"))
    _, new = ward.found()
    assert (new.message_type, new.event, new.control_id) == ("ADT", "A04", "2B")
    assert ward.work() == 1
    assert ward.found()[1].state == "stored"


def test_without_an_edit_it_is_the_same_message_that_is_converted_again(ward: Ward, screen: Screen) -> None:
    ward.keep(shared(1))
    ward.work()
    (dead,) = ward.found()
    screen.open(f"messages/{dead.id}")
    screen.press("replay")
    (same,) = ward.found()
    assert (same.id, same.state, same.replay_of) == (dead.id, "received", 0)
    assert "waits to be converted again" in screen.text
    ward.work()
    (again,) = ward.found()
    assert (again.state, again.attempts) == ("dead", 3)
    screen.open(f"messages/{dead.id}")
    assert screen.text.count("hl7-feed/lab refused") == 2
    assert "The clinic_admin had it converted again" in screen.text


def test_a_dead_letter_is_dropped_for_a_reason_only(ward: Ward, screen: Screen) -> None:
    ward.keep(NOBODY)
    (dead,) = ward.found()
    screen.open(f"messages/{dead.id}")
    screen.press("drop", reason="   ")
    assert screen.status == 400
    assert "Say why this message is not needed" in screen.text
    assert [one.state for one in ward.found()] == ["dead"]
    screen.press("drop", reason="A test of <b>theirs</b>")
    assert [one.state for one in ward.found()] == ["dropped"]
    assert "It was dropped: A test of <b>theirs</b>" in screen.text
    assert "<b>" not in screen.html
    assert "dropped it A test of" in screen.text
    (record,) = screen.trail("hl7-drop")
    assert (record.messages, record.reason) == ((dead.id,), "A test of <b>theirs</b>")
    screen.clinic.url("messages")
    screen.post(f"messages/{dead.id}", do="replay")
    assert screen.status == 409
    assert "no dead letter any more" in screen.text


def test_what_an_operator_has_done_on_the_server_is_shown_as_theirs(
    database: DatabaseUrls, ward: Ward, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert database.owner is not None
    monkeypatch.setenv("DATABASE_URL", database.owner)
    ward.keep(NOBODY)
    (dead,) = ward.found()
    assert run(("drop", ward.tenant.slug, str(dead.id), "--reason", "A test of theirs")) == 0
    screen.open(f"messages/{dead.id}")
    assert f"{operator()} on the server dropped it A test of theirs" in screen.text


def test_many_are_tried_then_converted_again_after_the_mapping_was_mended(ward: Ward, screen: Screen) -> None:
    ward.keep(*(shared(one) for one in range(4)), NOBODY.replace(b"|2|P", b"|9|P"))
    ward.work()
    screen.open("messages", state="dead")
    screen.press("every")
    assert "tried 5 of 5" in screen.text
    assert "would be stored 0" in screen.text
    assert "(4)" in screen.text, "of one reason"
    assert "101 PID: the segment is required (1)" in screen.text
    mended = {"port": 1, "overrides": MENDED}
    ward.database.transaction(
        ward.tenant.id,
        lambda c: hl7_feeds.change(c, ward.tenant.id, "lab", 9, configuration=mended),
    )
    ward.feeds.refresh(now=True)
    screen.open("messages")
    screen.press("every")
    assert "would be stored 4" in screen.text
    assert "still dead letters 1" in screen.text
    assert "new: 4 Encounters" in screen.text
    assert ward.encounters() == {}
    screen.press("replay")
    assert "5 messages to be converted again." in screen.text
    ward.work()
    assert [one.state for one in ward.found()] == ["stored"] * 4 + ["dead"]
    assert len(ward.encounters()) == 4
    (record,) = screen.trail("hl7-replay")
    assert set(record.messages) == {one.id for one in ward.found()}
    screen.open("messages")
    assert "to be converted again" not in screen.text, "it is said once"


def test_the_chosen_ones_are_dropped_together_and_no_more(
    ward: Ward, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.keep(*(NOBODY.replace(b"|2|P", b"|%d|P" % one) for one in range(4)), message("8"))
    first, second, third, fourth, stored = ward.found()
    screen.open("messages")
    screen.press("chosen", message=[str(first.id), str(third.id), str(stored.id), "x", "-1"])
    assert "2 dead letters" in screen.text
    assert "tried 2 of 2" in screen.text
    screen.press("drop", reason="")
    assert "Say why these messages are not needed" in screen.text
    screen.press("drop", reason="Their test system")
    assert "2 messages dropped." in screen.text
    assert [one.state for one in ward.found()] == ["dropped", "dead", "dropped", "dead", "received"]
    screen.post("messages/replay", do="chosen")
    assert screen.status == 400
    monkeypatch.setattr(bulk_page, "MOST", 1)
    screen.post("messages/replay", do="every")
    assert "There are more than 1: these are the oldest" in screen.text
    assert f'name="message" value="{second.id}"' in screen.html
    assert f'value="{fourth.id}"' not in screen.html


def test_what_is_no_message_is_shown_all_the_same(ward: Ward, screen: Screen) -> None:
    feed = ward.feeds.all[-1]
    ward.keep_bytes(feed, b"GET / HTTP/1.1\r\n<script>alert(1)</script>\x00\xff")
    (dead,) = ward.found()
    screen.open(f"messages/{dead.id}")
    assert screen.status == 200
    assert "It is no message of HL7 v2" in screen.text
    assert "It cannot be edited here. It holds control characters" in screen.text
    assert "<script" not in screen.html


def test_a_large_message_is_shown_in_part_and_not_edited(ward: Ward, screen: Screen) -> None:
    rest = "".join(f"OBX|{n}|TX|{n}^A^L||{'x' * 600}||||||F\r" for n in range(1, 600))
    ward.keep(message("1", "A01", "5", rest=rest).replace(b"HOSP^MR", b"HOSP^SS"))
    ward.work()
    (dead,) = ward.found()
    screen.open(f"messages/{dead.id}")
    assert "bytes, and 60,000 can be edited here" in screen.text
    assert "It is too long to be compared here with its version" in screen.text
    assert "more segments, which the text below has" in screen.text
    assert "(600 characters)" in screen.text
    assert len(screen.html) < 600_000
    screen.post(f"messages/{dead.id}", do="replay", text="MSH|" + "x" * 70_000)
    assert "at most 60,000 characters" in screen.text
    assert [one.state for one in ward.found()] == ["dead"]


def test_feeds_are_told_in_numbers_with_the_fields_that_nobody_reads(ward: Ward, screen: Screen) -> None:
    ward.keep(message("1", rest="PV1|1|I\rZPI|1|blue\r"), NOBODY)
    ward.work()
    ward.keep(message("3", "A08"))
    screen.open("feeds")
    row = screen.text[screen.text.index("lab on ") :]
    assert re.match(r"lab on \S+ days ago 0 0 1 oldest \S+ days ago 1 dead letters of lab 0", row), row
    number = ward.found()[0].feed_id
    screen.open(f"feeds/{number}")
    assert "ZPI-2 local segment 1" in screen.text or "ZPI-2 1" in screen.text
    assert "blue" not in screen.html
    assert "SMITH" not in screen.html
    screen.open("messages", feed="lab", state="dead")
    assert [ward.whole(one).found.control_id for one in screen.numbers] == ["2"]
    ward.database.transaction(
        ward.tenant.id, lambda c: hl7_feeds.change(c, ward.tenant.id, "lab", 9, configuration={"zone": "Nowhere"})
    )
    screen.open("feeds")
    assert "cannot be used zone must be a name of the time zone database" in screen.text
    (dead,) = ward.found(state="dead")
    screen.open(f"messages/{dead.id}")
    assert "removed or cannot be used: mend it first" in screen.text
    screen.post(f"messages/{dead.id}", do="replay")
    assert [one.id for one in ward.found(state="dead")] == [dead.id]
    # Gateways of other tests would complain of it.
    ward.database.transaction(ward.tenant.id, lambda c: hl7_feeds.remove(c, ward.tenant.id, "lab"))


AGO = r"(?:just now|\d+ \w+ ago)"


def test_alerts_are_on_the_page_of_feeds_until_their_reason_is_gone(ward: Ward, screen: Screen) -> None:
    number, feed = ward.tenant.id, ward.feed_id

    def see(amount: int) -> None:
        seen = [Seen(feed, "lab", "dead", amount > 0, amount, grows=True), Seen(feed, "lab", "silent", True, 60)]
        ward.database.transaction(number, lambda c: hl7_alerts.observe(c, number, seen, events.now()))

    screen.open("feeds")
    assert "Alerts" not in screen.text
    see(2)
    screen.open("feeds")
    assert re.search(rf"lab dead letters that somebody must look at: 2 {AGO} I have seen it", screen.text)
    assert re.search(rf"lab no message has come for 60 seconds {AGO} I have seen it", screen.text)
    (silent, dead) = sorted(ward.database.transaction(number, lambda c: hl7_alerts.listed(c, number)), key=_condition)
    screen.press(str(dead.id))
    assert screen.url == screen.clinic.url("feeds")
    seen_by = rf"look at: 2 {AGO} {screen.person.username}, {AGO}"
    assert re.search(seen_by, screen.text)
    assert screen.text.count("I have seen it") == 1
    # Of one that is not there, was seen, or is of somebody else, nothing happens.
    for value in (str(dead.id), str(silent.id + 10**9), "x", "", "-1"):
        screen.post("feeds", seen=value)
        assert re.search(seen_by, screen.text)
        assert screen.text.count("I have seen it") == 1
    see(3)
    screen.open("feeds")
    assert re.search(rf"lab dead letters that somebody must look at: 3 {AGO} I have seen it", screen.text)
    see(0)
    screen.open("feeds")
    assert "dead letters that" not in screen.text


def _condition(alert: Alert) -> bool:
    return alert.condition == "dead"


def test_the_pages_can_be_used_without_eyes_and_without_scripts(ward: Ward, screen: Screen) -> None:
    """https://www.w3.org/TR/WCAG22/"""
    ward.keep(NOBODY, message("7"))
    ward.work()
    silent = [Seen(ward.feed_id, "lab", "silent", True, 60)]
    number = ward.tenant.id
    ward.database.transaction(number, lambda c: hl7_alerts.observe(c, number, silent, events.now()))
    dead, stored = ward.found()
    paths = ("messages", f"messages/{dead.id}", f"messages/{stored.id}", "feeds", f"feeds/{dead.feed_id}")
    pages = []
    for path in paths:
        screen.open(path)
        pages.append((path, screen.html))
    screen.post("messages/replay", do="chosen", message=str(dead.id))
    pages.append(("several", screen.html))
    for path, html in pages:
        parsed = _Accessible()
        parsed.feed(html)
        assert {"main", "h1", "title", "header"} <= parsed.seen, path
        assert set(parsed.inputs) <= parsed.labels, path
        assert parsed.scripts == [], path
        for kind in ("select", "textarea"):
            assert set(re.findall(rf'<{kind} id="([^"]+)"', html)) <= parsed.labels, path
        boxes = re.findall(r'type="checkbox"[^>]* id="([^"]+)"', html)
        assert len(boxes) == html.count('type="checkbox"')
        assert set(boxes) <= parsed.labels, path
        assert html.count("<table") == html.count("<thead"), path
        assert len(re.findall(r"<th(?=[ >])", html)) == len(re.findall(r'<th [^>]*scope="(?:col|row)"', html)), path
        regions = re.findall(r'role="region" aria-labelledby="([^"]+)"', html)
        assert all(f'id="{one}"' in html for one in regions), path
        ids = re.findall(r' id="([^"]+)"', html)
        assert len(ids) == len(set(ids)), path
        levels = [int(one) for one in re.findall(r"<h([1-6])", html)]
        assert levels[0] == 1, path
        assert all(after <= before + 1 for before, after in pairwise(levels)), path


def test_an_audit_event_names_the_message_and_the_purpose(ward: Ward, screen: Screen, access_token: object) -> None:
    ward.keep(message("1"))
    ward.work()
    (one,) = ward.found()
    screen.open(f"messages/{one.id}")
    (read,) = screen.trail("hl7-read")
    assert len(read.patient_ids) == 1
    found = screen.api(access_token).get("AuditEvent?_count=50").json["entry"]
    told = [entry["resource"] for entry in found]
    (event,) = [one for one in told if any(code["code"] == "hl7-read" for code in one["subtype"])]
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "HOPERAT"
    assert event["action"] == "R"
    named = [entity["what"] for entity in event["entity"]]
    assert {"identifier": {"system": "urn:hl7-message", "value": str(one.id)}} in named
    assert {"reference": f"Patient/{read.patient_ids[0]}"} in named
