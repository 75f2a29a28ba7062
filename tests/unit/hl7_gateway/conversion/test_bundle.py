"""A message as a transaction: https://hl7.org/fhir/R4/bundle.html#transaction"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_server.validation import issues
from hl7_gateway.conversion.bundle import as_bundle
from hl7_gateway.conversion.convert import convert
from hl7_gateway.message import Message
from hl7_gateway.problems import Refused
from tests.unit.hl7_gateway.conversion.applied import FEED
from tests.unit.hl7_gateway.conversion.test_samples import FILES, read


def bundle(text: str) -> dict[str, Any]:
    message = Message(text)
    return as_bundle(convert(message, FEED), message, FEED)


def resources(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry for entry in found["entry"] if entry["resource"]["resourceType"] == kind]


HEADER = "MSH|^~\\&|APP|HOSP|R|F|20240818112600||ADT^{}|M1|P|2.5.1\r"


def test_what_is_known_by_an_identifier_is_updated_by_it() -> None:
    found = bundle(HEADER.format("A01") + "PID|1||12 3^^^A^MR||DOE^JANE\rPV1|1|I||||||||||||||||||V1^^^A")
    (patient,) = resources(found, "Patient")
    assert patient["request"] == {"method": "PUT", "url": "Patient?identifier=urn:hl7:north:A|12%203"}
    (encounter,) = resources(found, "Encounter")
    assert encounter["resource"]["subject"] == {"reference": patient["fullUrl"]}


def test_who_is_only_mentioned_is_created_where_there_is_none() -> None:
    found = bundle(HEADER.format("A01") + "PID|1||1^^^A||DOE^JANE\rPV1|1|I|||||77^WHO^DOC^^^^^^NPI||||||||||||V1^^^A")
    (doctor,) = resources(found, "Practitioner")
    assert doctor["request"]["ifNoneExist"] == "identifier=http://hl7.org/fhir/sid/us-npi|77"


def test_a_merge_is_told_by_links() -> None:
    found = bundle(HEADER.format("A40") + "PID|1||2^^^A\rMRG|1^^^A")
    survivor, retired = resources(found, "Patient")
    assert retired["resource"]["active"] is False
    assert retired["resource"]["link"] == [{"other": {"reference": survivor["fullUrl"]}, "type": "replaced-by"}]
    assert survivor["resource"]["link"] == [{"other": {"reference": retired["fullUrl"]}, "type": "replaces"}]


def test_an_appointment_without_a_time_is_proposed_as_in_the_store() -> None:
    text = HEADER.format("A01").replace("ADT^A01", "SIU^S12") + "SCH|1^A{}\rPID|1||1^^^A||DOE^JANE\rRGS|1"
    message, told = Message(text.format("")), list[str]()
    (made,) = resources(as_bundle(convert(message, FEED), message, FEED, told), "Appointment")
    assert made["resource"]["status"] == "proposed"
    assert told == ["Without a time an appointment is proposed."]
    assert issues(made["resource"], warnings=False) == []
    (made,) = resources(bundle(text.format("||||||||30|MIN|^^^20240301100000")), "Appointment")
    assert made["resource"]["status"] == "booked"


def test_the_same_message_is_the_same_bundle() -> None:
    text = HEADER.format("A01") + "PID|1||1^^^A||DOE^JANE"
    assert bundle(text) == bundle(text)


@pytest.mark.skipif(not FILES, reason="the sample messages are not on this machine")
@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_bundles_of_samples_are_valid(path: Path) -> None:
    message = read(path)
    try:
        conversion = convert(message, FEED)
    except Refused:
        pytest.skip("not converted yet")
    found = as_bundle(conversion, message, FEED)
    problems = issues(found, warnings=False)
    assert not problems, [str(one) for one in problems][:5]
    urls = {entry["fullUrl"] for entry in found["entry"]}
    assert len(urls) == len(found["entry"])
    assert references(found) <= urls


def references(value: Any) -> set[str]:
    """Every reference by urn:uuid in a Bundle."""
    if isinstance(value, dict):
        own = {value["reference"]} if isinstance(value.get("reference"), str) else set()
        return own.union(*(references(one) for one in value.values()))
    if isinstance(value, list):
        return set().union(*(references(one) for one in value))
    return set()
