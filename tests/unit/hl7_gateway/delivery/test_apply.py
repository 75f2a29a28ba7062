"""Merges of patients and accounts, and what a message leaves alone. https://hl7.org/fhir/R4/patient.html#links"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.store.hl7_messages import DEAD
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.conversion.draft import Conversion, Draft, Merge, Stated
from hl7_gateway.deliver import Delivered, Work
from tests.factories.hl7_delivery import AUTHORITY, Hospital, hospital_of, patient, said

BORN = said("birthDate", "PID-7", "2000-01-01")


@pytest.fixture
def hospital(app_database: Database, tenant: Tenant) -> Hospital:
    return hospital_of(app_database, tenant)


def retired(number: str, name: str = "Patient#2") -> Draft:
    """The patient of MRG-1, as the conversion has it."""
    stated = [said("identifier", "PID-3", {"system": AUTHORITY, "value": number})]
    return Draft(name, "Patient", [(AUTHORITY, number)], stated=stated, stub=True)


def merge(hospital: Hospital, away: str, stays: str) -> Delivered:
    return hospital.hear(patient(stays), retired(away), merges=[Merge("Patient", "Patient#2", "Patient#1")])


def links(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(link["type"], link["other"]["reference"]) for link in found.get("link", [])}


def test_whoever_is_merged_lives_on_and_what_comes_later_lands_there(hospital: Hospital) -> None:
    old = hospital.hear(patient("123", BORN)).names["Patient#1"]
    new = hospital.hear(patient("456")).names["Patient#1"]
    merge(hospital, "123", "456")
    before, after = hospital.read(old), hospital.read(new)
    assert (before["active"], links(before), before["birthDate"]) == (False, {("replaced-by", new)}, "2000-01-01")
    assert (after["active"], links(after)) == (True, {("replaces", old)})
    later = hospital.hear(patient("123", said("gender", "PID-8", "male")))
    assert later.names["Patient#1"] == new
    assert hospital.read(new)["gender"] == "male"
    assert hospital.version(old) == 2
    assert hospital.lineage(old)["active"]["MRG-1#active"]["s"][0][1] == {"": "MRG-1"}


def test_the_same_merge_again_changes_nothing(hospital: Hospital) -> None:
    hospital.hear(patient("123"))
    assert len(merge(hospital, "123", "456").written) == 2
    assert merge(hospital, "123", "456").written == []


def test_a_patient_nobody_knew_is_made_to_be_retired(hospital: Hospital) -> None:
    names = merge(hospital, "123", "456").names
    assert hospital.read(names["Patient#2"])["active"] is False
    assert hospital.hear(patient("123")).names["Patient#1"] == names["Patient#1"]


def test_two_merges_in_one_message(hospital: Hospital) -> None:
    merges = [Merge("Patient", "Patient#2", "Patient#1"), Merge("Patient", "Patient#3", "Patient#1")]
    drafts = [patient("1"), retired("2"), retired("3", "Patient#3")]
    names = hospital.hear(*drafts, merges=merges).names
    both = {("replaces", names["Patient#2"]), ("replaces", names["Patient#3"])}
    assert links(hospital.read(names["Patient#1"])) == both
    assert hospital.hear(*drafts, merges=merges).written == []
    assert hospital.hear(patient("4", more=["3"])).names["Patient#1"] == names["Patient#1"]


def test_a_merge_of_the_merged_is_followed_to_its_end(hospital: Hospital) -> None:
    merge(hospital, "1", "2")
    merge(hospital, "2", "3")
    three = hospital.hear(patient("3")).names
    assert hospital.hear(patient("1")).names == three
    # Whoever is merged into one that was merged away is merged into the one that lives on.
    merge(hospital, "7", "1")
    assert hospital.hear(patient("7")).names == three


def test_a_merge_the_other_way_round_takes_the_first_one_back(hospital: Hospital) -> None:
    first = merge(hospital, "1", "2").names
    second = merge(hospital, "2", "1").names
    assert second["Patient#1"] == first["Patient#2"]
    one, two = hospital.read(second["Patient#1"]), hospital.read(second["Patient#2"])
    assert (one["active"], links(one)) == (True, {("replaces", second["Patient#2"])})
    assert (two["active"], links(two)) == (False, {("replaced-by", second["Patient#1"])})
    assert hospital.hear(patient("2")).names["Patient#1"] == second["Patient#1"]


def test_a_merge_into_another_one_later_moves_the_link(hospital: Hospital) -> None:
    first = merge(hospital, "1", "2").names
    found = merge(hospital, "1", "3")
    assert links(hospital.read(first["Patient#2"])) == {("replaced-by", found.names["Patient#1"])}
    assert links(hospital.read(first["Patient#1"])) == set()
    assert [one.said for one in found.warnings] == ["The retired patient lived on as another one before."]
    assert hospital.hear(patient("1")).names["Patient#1"] == found.names["Patient#1"]


def test_links_in_a_circle_end(hospital: Hospital) -> None:
    a, b = (hospital.hear(patient(number)).names["Patient#1"] for number in "12")
    for own, other, number in ((a, b, "1"), (b, a, "2")):
        replaced = {"other": {"reference": other}, "type": "replaced-by"}
        hospital.hear(patient(number, said("link", "X", replaced), said("active", "X", False)))
        assert hospital.version(own) == 2
    assert hospital.hear(patient("1")).names["Patient#1"] in (a, b)


def test_numbers_of_one_feed_stay_when_another_feed_knows_the_patient_by_others(hospital: Hospital) -> None:
    name = hospital.hear(patient("1", more=["10"])).names["Patient#1"]
    (found,) = hospital.run(replace(hospital.work(patient("1", more=["20"])), feed="radiology"))
    assert found.names["Patient#1"] == name
    assert [one["value"] for one in hospital.read(name)["identifier"]] == ["1", "10", "20"]
    hospital.hear(patient("1"))
    assert [one["value"] for one in hospital.read(name)["identifier"]] == ["1", "20"]


def test_an_account_is_retired_into_the_other_one(hospital: Hospital) -> None:
    def account(name: str, number: str) -> Draft:
        stated = [said("status", "PID-18#status", "active", initial=True)]
        return Draft(name, "Account", [(AUTHORITY + ".18", number)], stated=stated, stub=name == "Account#2")

    drafts = [account("Account#1", "1"), account("Account#2", "2")]
    names = hospital.hear(*drafts, merges=[Merge("Account", "Account#2", "Account#1")]).names
    found = hospital.read(names["Account#2"])
    assert (found["status"], found["partOf"]) == ("inactive", {"reference": names["Account#1"]})
    assert hospital.hear(*drafts, merges=[Merge("Account", "Account#2", "Account#1")]).written == []


def test_what_cannot_be_merged_is_a_dead_letter(hospital: Hospital) -> None:
    two = [
        Draft(f"Basic#{n}", "Basic", [(AUTHORITY, str(n))], stated=[said("code", "X", {"text": "a"})]) for n in (1, 2)
    ]
    work = Work(hospital.kept(), "lab", Conversion(two, [Merge("Basic", "Basic#1", "Basic#2")]))
    (found,) = hospital.run(work)
    assert found.state == DEAD
    assert hospital.all("Basic") == []


def test_an_element_that_the_resource_does_not_have_is_a_dead_letter(hospital: Hospital) -> None:
    (found,) = hospital.run(hospital.work(patient("1", said("nickname", "PID-5", "x"))))
    assert found.problem is not None
    assert str(found.problem) == "PID-5: Patient has no element nickname"


MERGES = st.lists(st.permutations("1234").map(lambda pair: (pair[0], pair[1])), max_size=5)


def end_of(lives_as: dict[str, str], number: str, stop: str = "") -> str:
    """Whom a patient lives on as, or the last before ``stop``."""
    while lives_as[number] not in (number, stop):
        number = lives_as[number]
    return number


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(MERGES)
def test_after_any_merges_each_number_leads_to_whoever_lives_on(hospital: Hospital, log: list[tuple[str, str]]) -> None:
    # One tenant serves all examples: each has numbers of its own.
    example = f"{len(hospital.rows('SELECT FROM hl7_message'))}-"

    def found() -> list[str]:
        return [one.names["Patient#1"] for one in hospital.run(*(hospital.work(patient(example + n)) for n in "1234"))]

    ids = dict(zip("1234", found(), strict=True))
    lives_as = {number: number for number in "1234"}
    for away, stays in log:
        end = end_of(lives_as, stays, stop=away)
        lives_as |= {away: end, end: end}
        merge(hospital, example + away, example + stays)
    assert found() == [ids[end_of(lives_as, number)] for number in "1234"]
    for number, name in ids.items():
        kept = hospital.read(name)
        assert kept["active"] is (lives_as[number] == number)
        assert [one["value"] for one in kept["identifier"]] == [example + number]


def test_a_number_that_is_not_said_any_more_finds_nobody(hospital: Hospital) -> None:
    """It may be somebody else's by now: two patients can be merged, what was mixed up cannot be told apart."""
    first = hospital.hear(patient("1", more=["2"])).names["Patient#1"]
    hospital.hear(patient("1"))
    second = hospital.hear(patient("2")).names["Patient#1"]
    assert second != first
    assert [[one["value"] for one in hospital.read(path)["identifier"]] for path in (first, second)] == [["1"], ["2"]]
    # Until a merge says that they are one.
    merge(hospital, "2", "1")
    assert hospital.hear(patient("2")).names["Patient#1"] == first


def test_a_name_is_what_was_said_last_whichever_feed_says_it(hospital: Hospital) -> None:
    first = patient("1", said("name", "PID-5", {"family": "Old"}), said("birthDate", "PID-7", "1961-02-03"))
    path = hospital.hear(first).names["Patient#1"]

    def other(*stated: Stated) -> None:
        (found,) = hospital.run(replace(hospital.work(patient("1", *stated)), feed="radiology"))
        assert found.problem is None

    other(said("name", "PID-5", {"family": "New"}))
    assert (hospital.read(path)["name"], hospital.read(path)["birthDate"]) == ([{"family": "New"}], "1961-02-03")
    other(Stated("name", "PID-5", ()))
    assert "name" not in hospital.read(path)
    hospital.hear(first)
    assert hospital.read(path)["name"] == [{"family": "Old"}]
