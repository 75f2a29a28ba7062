"""From drafts to resources in the store, over a real PostgreSQL. docs/hl7.md"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from fhir_server.audit import event as events
from fhir_server.r4 import json
from fhir_server.store.hl7_messages import DEAD, STORED
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import DRAFT, Draft, Stated, Warned
from hl7_gateway.deliver import Work, deliver_all
from hl7_gateway.delivery.apply import Application
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message
from hl7_gateway.problems import Place, Refused
from tests.factories.hl7_delivery import AUTHORITY, Hospital, encounter, hospital_of, patient, practitioner, said


@pytest.fixture
def hospital(app_database: Database, tenant: Tenant) -> Hospital:
    return hospital_of(app_database, tenant)


BORN = said("birthDate", "PID-7", "2000-01-01")


def test_a_message_becomes_resources_that_refer_to_each_other(hospital: Hospital) -> None:
    attending = said("participant", "PV1-7", {"individual": {"reference": DRAFT + "Practitioner#1"}})
    found = hospital.hear(patient("1", BORN), encounter("9", attending), practitioner("5"))
    names = found.names
    visit = hospital.read(names["Encounter#1"])
    assert visit["subject"] == {"reference": names["Patient#1"]}
    assert visit["participant"] == [{"individual": {"reference": names["Practitioner#1"]}}]
    assert hospital.read(names["Patient#1"])["birthDate"] == "2000-01-01"
    assert {(kind, before, after) for kind, _, before, after in found.written} == {
        ("Patient", 0, 1),
        ("Encounter", 0, 1),
        ("Practitioner", 0, 1),
    }


def test_the_same_again_makes_no_version_and_no_provenance(hospital: Hospital) -> None:
    drafts = [patient("1", BORN), encounter("9"), practitioner("5")]
    first, again = hospital.hear(*drafts), hospital.hear(*drafts)
    assert again.written == []
    assert again.names == first.names
    assert again.unchanged == 2
    assert len(hospital.all("Provenance")) == 1


def test_a_later_message_changes_what_it_says_and_nothing_else(hospital: Hospital) -> None:
    phone, home = {"system": "phone", "value": "1"}, {"city": "A"}
    name = hospital.hear(patient("1", BORN, said("telecom", "PID-13", phone), said("address", "PID-11", home))).names[
        "Patient#1"
    ]
    hospital.hear(patient("1", said("telecom", "PID-13"), said("birthDate", "PID-7", "2000-01-02")))
    found = hospital.read(name)
    assert "telecom" not in found
    assert (found["birthDate"], found["address"]) == ("2000-01-02", [home])
    assert hospital.version(name) == 2
    message = max(row[0] for row in hospital.rows("SELECT id FROM hl7_message"))
    assert hospital.lineage(name)["birthDate"]["PID-7"]["m"] == message
    assert hospital.lineage(name)["address"]["PID-11"]["m"] < message
    assert "telecom" not in hospital.lineage(name)


def test_results_before_the_admission_are_of_the_same_patient(hospital: Hospital) -> None:
    early = hospital.hear(patient("1", stub=True), encounter("9", status="unknown"))
    late = hospital.hear(patient("1", BORN), encounter("9"))
    assert late.names == early.names
    assert hospital.read(late.names["Patient#1"])["birthDate"] == "2000-01-01"
    assert len(hospital.all("Patient")) == 1


def test_two_authorities_are_two_patients(hospital: Hospital, new_tenant: Callable[[], Tenant]) -> None:
    other = patient("1")
    other.identifiers = [("urn:oid:9.9", "1")]
    found = [hospital.hear(one).names["Patient#1"] for one in (patient("1"), other)]
    assert found[0] != found[1]
    elsewhere = hospital_of(hospital.store.database, new_tenant())
    elsewhere.hear(patient("1"))
    assert (len(hospital.all("Patient")), len(elsewhere.all("Patient"))) == (2, 1)


def test_any_of_the_numbers_finds_a_patient_the_first_one_first(hospital: Hospital) -> None:
    one, two = hospital.hear(patient("1", more=["10"])), hospital.hear(patient("2", more=["20"]))
    assert hospital.hear(patient("99", more=["20"])).names == two.names
    assert hospital.hear(patient("10", more=["2"])).names == one.names


def test_a_patient_made_over_rest_is_found(hospital: Hospital) -> None:
    found = hospital.hear(patient("1", BORN)).names["Patient#1"]
    assert hospital.hear(patient("1")).names["Patient#1"] == found


def test_what_is_only_mentioned_is_made_once_and_never_changed(hospital: Hospital) -> None:
    first = hospital.hear(patient("1"), practitioner("5", "Kim")).names["Practitioner#1"]
    hospital.hear(patient("1"), practitioner("5", "Changed"))
    assert (hospital.read(first)["name"], hospital.version(first)) == ([{"family": "Kim"}], 1)
    hospital.hear(patient("1"), practitioner("5", "Changed", stub=False))
    assert hospital.read(first)["name"] == [{"family": "Changed"}]


def test_two_drafts_of_one_resource_are_one_write(hospital: Hospital) -> None:
    found = hospital.hear(
        patient("1"),
        practitioner("5", "Kim"),
        practitioner("5", "Other", name="Practitioner#2"),
        patient("1", BORN, name="Patient#2"),
    )
    assert found.names["Practitioner#1"] == found.names["Practitioner#2"]
    assert len(found.written) == 2
    assert hospital.read(found.names["Patient#1"])["birthDate"] == "2000-01-01"


def test_drafts_that_contradict_each_other_make_no_version_when_they_come_again(hospital: Hospital) -> None:
    drafts = [patient("1", BORN), patient("1", said("birthDate", "PID-7", "2001-01-01"), name="Patient#2")]
    assert len(hospital.hear(*drafts).written) == 1
    assert hospital.hear(*drafts).written == []


def test_what_one_message_says_under_one_slot_is_said_together(hospital: Hospital) -> None:
    first, second = ({"system": "phone", "value": value} for value in "12")
    drafts = [
        patient("1", said("telecom", "PID-13", first)),
        patient("1", said("telecom", "PID-13", second), name="Patient#2"),
    ]
    name = hospital.hear(*drafts).names["Patient#1"]
    assert hospital.read(name)["telecom"] == [first, second]
    assert hospital.hear(*drafts).written == []
    hospital.hear(drafts[1])
    assert hospital.read(name)["telecom"] == [second]


def mother(*natural: str, name: str = "RelatedPerson#1") -> Draft:
    return Draft(
        name,
        "RelatedPerson",
        natural=("mother", *natural),
        stated=[said("patient", "PID-21#patient", {"reference": DRAFT + "Patient#1"})],
    )


def test_a_natural_key_is_of_the_resources_that_it_names(hospital: Hospital) -> None:
    draft = mother(DRAFT + "Patient#1")
    one = hospital.hear(patient("1"), draft).names
    # Found by another number, the patient is the same, and so is the mother.
    again = hospital.hear(patient("7", more=["1"]), draft)
    assert again.names == one
    assert hospital.hear(patient("2"), draft).names["RelatedPerson#1"] != one["RelatedPerson#1"]
    assert len(hospital.all("RelatedPerson")) == 2


def test_keys_in_a_circle_are_a_dead_letter(hospital: Hospital) -> None:
    circle = [
        mother(DRAFT + "RelatedPerson#2"),
        mother(DRAFT + "RelatedPerson#1", name="RelatedPerson#2"),
    ]
    (found,) = hospital.run(hospital.work(patient("1"), *circle))
    assert found.state == DEAD
    assert hospital.all("Patient") == []


def test_what_nothing_identifies_is_new_with_each_message(hospital: Hospital) -> None:
    note = Draft("Basic#1", "Basic", stated=[said("code", "NTE-4", {"text": "a"})])
    work = hospital.work(note)
    names = [found.names["Basic#1"] for found in hospital.run(work, hospital.work(note))]
    assert names[0] != names[1]
    # The same message makes the same resource, whatever has become of the first try.
    assert hospital.run(work)[0].names["Basic#1"] == names[0]


def test_a_deletion_takes_what_is_there(hospital: Hospital) -> None:
    name = hospital.hear(patient("1"), encounter("9")).names["Encounter#1"]
    gone = hospital.hear(patient("1"), encounter("9", action="delete"))
    assert gone.written == [("Encounter", name.partition("/")[2], 1, 2)]
    assert hospital.version(name) == -2
    assert hospital.lineage(name) == {}
    assert hospital.hear(patient("1"), encounter("9", action="delete")).written == []
    # One that comes again afterwards is its next version.
    assert hospital.hear(patient("1"), encounter("9")).names["Encounter#1"] == name
    assert hospital.version(name) == 3
    assert hospital.read(name)["status"] == "in-progress"


def test_what_is_not_there_is_not_referred_to(hospital: Hospital) -> None:
    visit = encounter("9", action="none")
    report = Draft(
        "Basic#1",
        "Basic",
        [(AUTHORITY, "7")],
        stated=[
            said("code", "OBR-4", {"text": "a"}),
            said("extension", "PV1", {"url": "urn:visit", "valueReference": {"reference": DRAFT + "Encounter#1"}}),
        ],
    )
    found = hospital.hear(patient("1"), visit, report)
    assert "extension" not in hospital.read(found.names["Basic#1"])
    assert hospital.all("Encounter") == []
    assert str(found.warnings[0].place) == "PV1"
    hospital.hear(patient("1"), encounter("9"))
    there = hospital.hear(patient("1"), visit, report)
    assert hospital.read(found.names["Basic#1"])["extension"][0]["valueReference"] == {
        "reference": there.names["Encounter#1"]
    }


def test_what_is_not_made_is_changed_where_it_is_there(hospital: Hospital) -> None:
    finished = encounter("9", status="finished", action="none")
    assert "Encounter" not in [kind for kind, *_ in hospital.hear(patient("1"), finished).written]
    name = hospital.hear(patient("1"), encounter("9")).names["Encounter#1"]
    hospital.hear(patient("1"), finished)
    assert (hospital.read(name)["status"], hospital.version(name)) == ("finished", 2)
    only_named = Draft("Encounter#1", "Encounter", finished.identifiers, action="none")
    assert hospital.hear(patient("1"), only_named).unchanged == 1


def test_one_invalid_resource_makes_a_dead_letter_that_names_the_field_and_not_its_content(hospital: Hospital) -> None:
    wrong = encounter("9", said("priority", "PV1-4", {"coding": [{"code": "not a code  at all"}]}))
    work = [hospital.work(patient("1")), hospital.work(patient("2"), wrong), hospital.work(patient("3"))]
    found = hospital.run(*work)
    assert [one.state for one in found] == [STORED, DEAD, STORED]
    assert len(hospital.all("Patient")) == 2
    ((problem,),) = hospital.rows("SELECT problem FROM hl7_message WHERE state = 'dead'")
    assert (problem["code"], problem["place"]) == (207, "PV1-4")
    assert problem["said"] == "Encounter.priority.coding[0].code is not valid (value)."
    assert "not a code" not in str(found)


@pytest.mark.parametrize(
    "hostile",
    [
        said("name", "PID-5", {"family": "SECRET\0"}),
        said("name", "PID-5", {"family": "SECRET\udc80"}),
        said("name", "PID-5", {"family": "SECRET" * 200_000}),
        said("birthDate", "PID-7", ["SECRET"]),
        said("telecom", "PID-13", "SECRET"),
        said("multipleBirthInteger", "PID-25", Decimal("1E+999999")),
        said("extension", "PID-6", *({"url": f"SECRET {number}"} for number in range(2000))),
        said("link", "PID", {"other": {"reference": "SECRET"}, "type": "SECRET"}),
    ],
    ids=range(8),
)
def test_hostile_values_are_dead_letters_without_their_content(
    hospital: Hospital, hostile: Stated, caplog: pytest.LogCaptureFixture
) -> None:
    found = hospital.run(hospital.work(patient("1")), hospital.work(patient("2", hostile)), hospital.work(patient("3")))
    assert [one.state for one in found] == [STORED, DEAD, STORED]
    assert "SECRET" not in str(found[1].problem) + caplog.text + str([record.__dict__ for record in caplog.records])
    assert len(hospital.all("Patient")) == 2


def test_why_a_message_was_not_converted_is_kept(hospital: Hospital) -> None:
    (found,) = hospital.run(hospital.work(refused=Refused(101, "AE", Place("PID", 1, 3), "A patient is needed.")))
    assert found.state == DEAD
    assert hospital.rows("SELECT problem FROM hl7_message") == [
        ({"code": 101, "place": "PID-3", "said": "A patient is needed."},)
    ]
    assert hospital.rows("SELECT count(*) FROM hl7_queue") == [(0,)]


def test_warnings_are_kept_with_the_message(hospital: Hospital) -> None:
    work = hospital.work(patient("1"))
    assert not isinstance(work.said, Refused)
    work.said.warnings.append(Warned(Place("PID", 1, 7), "Not a date."))
    work.said.unmapped.append(Place("ZPI", 1, 2))
    hospital.run(work)
    ((kept,),) = hospital.rows("SELECT warnings FROM hl7_message")
    assert kept["warnings"] == [{"place": "PID-7", "said": "Not a date."}]
    assert kept["unmapped"] == ["ZPI-2"]


def test_what_nobody_has_foreseen_is_a_dead_letter_with_an_incident(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = Application.run
    secret = "".join(["SEC", "RET"])

    def fail(self: Application) -> object:
        if any(draft.identifiers == [(AUTHORITY, "666")] for draft in self._conversion.drafts):
            raise KeyError(secret)
        return run(self)

    monkeypatch.setattr(Application, "run", fail)
    with caplog.at_level(logging.ERROR):
        found = hospital.run(hospital.work(patient("1")), hospital.work(patient("666")), hospital.work(patient("2")))
    assert [one.state for one in found] == [STORED, DEAD, STORED]
    assert found[1].problem is not None
    assert "incident" in found[1].problem.said
    assert len(hospital.all("Patient")) == 2
    assert secret not in caplog.text + str(caplog.records[0].__dict__)


def test_messages_of_one_transaction_see_each_other(hospital: Hospital) -> None:
    found = hospital.run(
        hospital.work(patient("1", more=["2"]), practitioner("5", "Kim")),
        hospital.work(patient("2", BORN), practitioner("5", "Changed")),
        hospital.work(patient("2", said("gender", "PID-8", "male"))),
    )
    name = found[0].names["Patient#1"]
    assert {one.names["Patient#1"] for one in found} == {name}
    assert hospital.version(name) == 3
    assert hospital.read(name)["birthDate"] == "2000-01-01"
    assert len(hospital.all("Practitioner")) == 1


def test_a_transaction_that_ends_early_leaves_nothing_and_makes_the_same_next_time(hospital: Hospital) -> None:
    work = [hospital.work(patient("1", BORN), encounter("9"), practitioner("5"), mother(DRAFT + "Patient#1"))]

    def die() -> None:
        raise KeyboardInterrupt

    hospital.before_commit = die
    with pytest.raises(KeyboardInterrupt):
        hospital.run(*work)
    counts = (
        "SELECT (SELECT count(*) FROM resource), (SELECT count(*) FROM hl7_lineage), (SELECT count(*) FROM hl7_queue)"
    )
    assert hospital.rows(counts) == [(0, 0, 1)]
    hospital.before_commit = lambda: None
    hospital.run(*work)
    assert hospital.rows(counts) == [(5, 4, 0)]
    assert [hospital.version(name) for name in hospital.run(*work)[0].names.values()] == [1, 1, 1, 1]


def test_two_workers_that_make_the_same_at_once_make_it_once(hospital: Hospital) -> None:
    one = hospital.work(patient("1"), practitioner("5"))
    other = hospital.work(patient("2"), practitioner("5"))
    held, may_end = threading.Event(), threading.Event()

    def first() -> None:
        def work(store: Store) -> None:
            deliver_all(hospital.desk, store, [one])
            held.set()
            may_end.wait(5)

        hospital.store.transaction(work)

    with ThreadPoolExecutor(2) as pool:
        earlier = pool.submit(first)
        held.wait(5)
        later = pool.submit(hospital.run, other)
        with pytest.raises(TimeoutError):
            later.result(0.2)
        may_end.set()
        earlier.result()
        assert later.result()[0].state == STORED
    assert (len(hospital.all("Practitioner")), len(hospital.all("Patient"))) == (1, 2)


def test_provenance_names_the_versions_the_feed_and_the_message(hospital: Hospital) -> None:
    hospital.hear(patient("1"))
    work = hospital.work(patient("1", BORN), encounter("9"))
    (found,) = hospital.run(work)
    newest = hospital.all("Provenance")[0]
    assert [one["reference"] for one in newest["target"]] == [
        f"{found.names['Patient#1']}/_history/2",
        f"{found.names['Encounter#1']}/_history/1",
    ]
    assert newest["agent"][0]["who"] == {
        "identifier": {"system": "urn:hl7-feed", "value": "lab"},
        "display": "LAB, General Hospital",
    }
    assert newest["entity"] == [
        {
            "role": "source",
            "what": {"identifier": {"system": "urn:hl7-message", "value": str(work.message)}},
        }
    ]
    assert newest["activity"]["coding"][0]["code"] == "UPDATE"


def test_the_audit_trail_holds_each_message_under_its_feed(hospital: Hospital) -> None:
    stored, refused = (
        hospital.work(patient("1")),
        hospital.work(refused=Refused(101, "AE", None, "A patient is needed.")),
    )
    found = hospital.run(stored, refused)
    kept = [events.decode(row[0]) for row in hospital.rows("SELECT record FROM audit_record ORDER BY seq")]
    assert [(one.subject, one.outcome, one.request_id) for one in kept] == [
        ("hl7-feed/lab", "0", f"hl7-message/{stored.message}"),
        ("hl7-feed/lab", "4", f"hl7-message/{refused.message}"),
    ]
    assert [list(one) for one in kept[0].written] == [list(found[0].written[0])]
    assert kept[0].patients == (hospital.store.hasher.uncached(found[0].names["Patient#1"]),)


def test_meta_of_a_resource_stays(hospital: Hospital) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    name = hospital.hear(patient("1", said("meta.security", "PV1-16", label))).names["Patient#1"]
    hospital.hear(patient("1", BORN))
    ((meta,),) = hospital.rows("SELECT meta::text FROM resource WHERE version = 2")
    assert hospital.version(name) == 2
    assert json.parse(meta) == {"security": [label]}


def test_outside_a_transaction_nothing_is_delivered(hospital: Hospital) -> None:
    with pytest.raises(ValueError, match="transaction"):
        deliver_all(hospital.desk, hospital.store, [hospital.work(patient("1"))])


def test_each_sample_is_delivered_and_comes_to_nothing_more_when_it_comes_again(
    hospital: Hospital, shared_data: Path
) -> None:
    work = []
    for path in sorted((shared_data / "hl7v2").glob("*.hl7")):
        message = Message(path.read_bytes().decode())
        try:
            work += [Work(hospital.kept(), "lab", convert(message, FeedMapping("lab"))) for _ in range(2)]
        except Refused:
            # Of a type that is not converted.
            continue
    found = hospital.run(*work)
    assert len(found) > 60
    assert [one.problem for one in found if one.problem is not None] == []
    assert [one.message for one in found[1::2] if one.written] == []
    # Beside those of what a message says somebody did.
    own = [one for one in hospital.all("Provenance") if "urn:hl7-message" in repr(one.get("entity"))]
    assert len(own) == sum(bool(one.written) for one in found)
