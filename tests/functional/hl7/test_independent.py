"""A plain splitter finds in resources what it finds in messages, and nothing is invented. docs/hl7-recall.md"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from tests.functional.conftest import Api
from tests.functional.hl7.known import known
from tests.functional.hl7.recall import SAMPLES, ZONE, Found, Sent, conversions, converted, measured, names, pinned
from tests.functional.hl7.splitter import Fact, facts, moments, split
from tests.functional.hl7.ward import Ward

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample messages are not on this machine")


def _shown(shares: dict[str, float], missed: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {share} %, missed: {missed.get(name, 'nothing')}" for name, share in shares.items())


@needs_samples
def test_no_less_of_a_message_is_found_than_before() -> None:
    found = measured()
    shares = {segment: found.recall(segment) for segment in sorted(found.facts)}
    print(_shown(shares, dict(found.missed)))
    limits = pinned()
    assert {name: share for name, share in shares.items() if share < limits.get(name, 0)} == {}


@needs_samples
def test_no_more_of_a_resource_is_invented_than_before() -> None:
    found = measured()
    shares = {kind: found.precision(kind) for kind in sorted(found.values)}
    print(_shown(shares, dict(found.unsaid)))
    limits = pinned()
    assert {kind: share for kind, share in shares.items() if share < limits.get(kind, 0)} == {}


@needs_samples
def test_the_page_tells_what_is_reached() -> None:
    """It may lag behind a little, so that each improvement need not write it anew: see `recall.py`."""
    found, limits = measured(), pinned()
    shares = {one: found.recall(one) for one in found.facts} | {one: found.precision(one) for one in found.values}
    assert {one: share for one, share in shares.items() if share >= limits.get(one, share) + 10} == {}
    assert set(limits) <= set(shares)


SILENT = {
    "OBX-2": "the type of OBX-5", "OBX-6": "a unit of what has none", "PID-24": "PID-25 tells it better",
    "PID-30": "neither Y nor N", "PID-33": "when the record was changed, of which lineage tells", "PD1-4": "nobody",
    "PV2-22": "not restricted", "OBR-11": "no reflex order", "OBR-25": "of an order", "ORC-29": "translated",
    "DG1-6": "translated, or of a charge", "DG1-15": "of an order or a charge", "DG1-21": "no deletion",
    "NTE-4": "what kind of note", "FT1-6": "translated", "TQ1-4": "hours of a repeat that is coded",
    "PRT-2": "what is to be done", "ROL-2": "what is to be done", "PRB-1": "what is to be done", "PRB-2": "no time",
    "PRD-1": "translated", "PRT-4": "translated", "PRT-11": "of a mention", "PRT-12": "of a mention",
    "RF1-1": "translated", "RF1-2": "translated", "RF1-25": "translated", "AUT-1": "a kind of plan",
    "RXO-7": "RXE tells it better", "RXO-11": "RXE tells it better", "RXO-21": "RXE tells it better",
    "SCH-10": "of SCH-9, in minutes", "AIS-7": "how long, of which the end tells",
    "AIP-9": "how long, of which the end tells", "AIL-9": "how long, of which the end tells",
    "AIG-11": "how long, of which the end tells", "SCH-9": "less than the time between start and end, or in seconds",
    "RXA-1": "a counter", "RXA-9": "whether the source is primary", "RXA-11": "RXA-27 tells it better",
    "RXA-21": "no deletion", "OBX-3": "what it is of a vaccination", "OBX-11": "of what is said of a vaccination",
    "RXO-22": "RXE tells it better", "TXA-3": "the type of the content", "TXA-13": "of a document that is not sent",
    "TXA-19": "translated", "TQ1-6": "TQ1-7 and TQ1-8 tell it better", "DG1-22": "no number, only its authority",
    "ACC-5": "yes or no", "ACC-6": "yes or no", "ACC-10": "yes or no", "PRT-8": "the same name was told in capitals",
}  # fmt: skip
"""Fields that are looked at, and of which nothing is to be found in any resource: why that is no loss."""


@needs_samples
def test_nothing_is_lost_in_silence() -> None:
    """Of each field something is found, or the field is reported as unmapped."""
    silent: Counter[str] = Counter()
    for message, conversion, resources in conversions():
        reported = {f"{place.segment}-{place.field}" for place in conversion.unmapped}
        found, sent = Found(resources), [fact for fact in facts(message, ZONE) if len(fact.all_of) == 1]
        there = {fact.place.split(".")[0] for fact in sent if found.holds(fact)}
        silent.update({fact.place.split(".")[0] for fact in sent} - there - reported)
    assert {field: times for field, times in silent.items() if field not in SILENT} == {}


def various() -> list[str]:
    """Sample messages that together have every segment that any of their type has."""
    taken: list[str] = []
    seen: set[tuple[str, str]] = set()
    for message in sorted(converted(), key=len, reverse=True):
        kind = message.split("|")[8].split("^")[0]
        segments = {(kind, name) for name, _ in split(message)}
        if not segments <= seen:
            taken.append(message)
            seen |= segments
    return taken


@needs_samples
def test_no_less_is_found_over_rest(
    app_database: Database, new_tenant: Callable[[], Tenant], new_api: Callable[..., Api]
) -> None:
    """What a message comes to is in the store of a clinic that had nothing before, and can be read."""
    meant = {message: resources for message, _, resources in conversions()}
    for message in various():
        tenant = new_tenant()
        api, ward = new_api(slug=tenant.slug), Ward(app_database, tenant, zone=ZONE)
        ward.keep(message.encode())
        assert ward.work() == 1
        assert [(one.state, one.problem) for one in ward.found()] == [("stored", None)]
        stored = [entry["resource"] for entry in api.get("?_count=1000").json["entry"]]
        assert missing(message, *stored) <= missing(message, *meant[message]), message.splitlines()[0]


MESSAGE = (
    "MSH|^~\\&|A|B|||20240818||ADT^A01|1|P|2.5\r"
    "PID|1||123^^^HOSP&1.2.3&ISO^MR||SMITH \\T\\ SONS^ANNA||19610615|F\r"
    "OBX|1|NM|718-7^Hb^LN||13.5|g/dL^^UCUM|||||F|||202408181126"
)
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:oid:1.2.3", "value": "123", "type": {"coding": [{"code": "MR"}]}}],
    "name": [{"family": "SMITH & SONS", "given": ["ANNA"]}],
    "birthDate": "1961-06-15",
    "gender": "female",
}
RESULT: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Hb"}]},
    "effectiveDateTime": "2024-08-18T11:26:00-04:00",
    "valueQuantity": {"value": 13.5, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"},
}


def missing(message: str, *resources: dict[str, Any]) -> set[Fact]:
    """The facts of a message that are not among resources."""
    found = Found(resources)
    return {fact for fact in facts(message, ZONE) if not found.holds(fact)}


def missed(*resources: dict[str, Any]) -> set[str]:
    return {fact.place for fact in missing(MESSAGE, *resources)}


def test_what_is_there_is_found() -> None:
    assert missed(PATIENT, RESULT) == {"PID-3.4", "OBX-2.1"}


@pytest.mark.parametrize(
    ("changed", "places"),
    [
        ({"birthDate": "1961-06-16"}, {"PID-7.1"}),
        ({"gender": "male"}, {"PID-8.1"}),
        ({"name": [{"family": "SMITH & SONS"}, {"given": ["ANNA"]}]}, {"PID-5 name"}),
        ({"identifier": [{"system": "urn:oid:9", "value": "123"}]}, {"PID-3 of whom", "PID-3.4", "PID-3.5"}),
    ],
)
def test_what_is_wrong_in_a_patient_is_missed(changed: dict[str, Any], places: set[str]) -> None:
    assert missed(PATIENT | changed, RESULT) - {"PID-3.4", "OBX-2.1"} == places - {"PID-3.4"}


def test_a_value_of_another_result_is_missed() -> None:
    other = {"resourceType": "Observation", "valueQuantity": RESULT["valueQuantity"]}
    found = missed(PATIENT, {key: value for key, value in RESULT.items() if key != "valueQuantity"}, other)
    assert found - {"PID-3.4", "OBX-2.1"} == {"OBX-5 of OBX-3"}


def test_what_is_invented_is_seen() -> None:
    sent = Sent.of(MESSAGE)
    assert all(map(sent.says, ["SMITH & SONS", "ANNA SMITH", "1961-06-15", "13.5", "g/dL"]))
    assert not any(map(sent.says, ["JONES", "ANNA JONES", "1961-06-16", "13.6"]))
    assert known("use", "official")
    assert not known("use", "ANNA")
    assert not known("family", "official")


def test_times() -> None:
    assert moments("196106", "UTC") == ["1961-06"]
    assert moments("20240818112615.1234-0600", "UTC") == ["2024-08-18T11:26:15.1234-06:00", "2024-08-18"]
    assert moments("202401181126", "America/New_York") == ["2024-01-18T11:26:00-05:00", "2024-01-18"]
    assert moments("99999999", "UTC") == moments("20241318", "UTC") == []


def test_systems() -> None:
    assert names("urn:hl7:north:Good%20Hospital")[1:] == ["Good Hospital"]
    assert names("http://terminology.hl7.org/CodeSystem/v2-0005")[1:] == ["HL70005"]


def test_what_must_stand_together() -> None:
    together = {fact.place: fact for fact in facts(MESSAGE, "UTC") if len(fact.all_of) > 1}
    assert set(together) == {
        "PID-3 of whom",
        "PID-5 name",
        "OBX-3 code",
        "OBX-6 code",
        "OBX-5 of OBX-3",
        "OBX-6 of OBX-5",
    }
    assert isinstance(together["PID-3 of whom"], Fact)
