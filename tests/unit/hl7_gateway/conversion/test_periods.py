"""Whatever two times a message sends, no period ends before it starts: https://hl7.org/fhir/R4/datatypes.html#Period"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.validation import issues
from hl7_gateway.conversion.convert import convert
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, applied, converted, of_type


def field(segment: str, **values: str) -> str:
    """A segment with these fields: f44="..." is its 44th."""
    numbers = {int(name[1:]): value for name, value in values.items()}
    return "|".join([segment, *(numbers.get(number, "") for number in range(1, max(numbers) + 1))])


def pairs(one: str, two: str) -> dict[str, str]:
    """Messages that send a start and an end: by the place of the end."""
    orc, obr = "ORC|RE|1^A", "OBR|1|1^A||C"
    return {
        "PV1-45": field("PV1", f2="I", f19="9^^^A", f44=one, f45=two),
        "IN1-13": field("IN1", f2="P", f3="N", f4="ACME", f12=one, f13=two),
        "GT1-14": field("GT1", f3="A^B", f13=one, f14=two),
        "NK1-9": field("NK1", f2="A^B", f3="SPO", f8=one, f9=two),
        "ROL-6": "PV1|1|I\n" + field("ROL", f3="AT", f4="7^A^B", f5=one, f6=two),
        "PRT-12": "PV1|1|I\n" + field("PRT", f4="AT", f5="7^A^B", f11=one, f12=two),
        "OBR-8": field("OBR", f2="1^A", f4="C", f7=one, f8=two, f25="F"),
        "TQ1-8": f"{orc}\n{obr}\n" + field("TQ1", f7=one, f8=two),
        "RF1-8": field("RF1", f1="A", f6="1^A", f7=one, f8=two),
        "AUT-5": field("AUT", f3="ACME", f4=one, f5=two),
        "PRD-9": "RF1|A|||||1^A\n" + field("PRD", f1="RP", f2="A^B", f7="5^NPI", f8=one, f9=two, f10="ACME"),
        "OBR-27": "ORC|NW|1^A\n" + field("OBR", f2="1^A", f4="C", f27=f"^^^{one}^{two}"),
        "OBX-5": f"OBX|1|DR|C||{one}^{two}||||||F",
        "SPM-17": f"{orc}\n{obr}\n" + field("SPM", f2="1^A", f17=f"{one}^{two}"),
        "FT1-4": field("FT1", f2="5", f4=f"{one}^{two}", f6="CG", f7="C"),
        "PID-5": f"PID|1||123^^^A^MR||DOE^JANE^^^^^L^^^^^{one}^{two}",
        "PID-3": f"PID|1||123^^^A^MR^^{one}^{two}",
        "PID-11": f"PID|1||123^^^A^MR||||||||1 Main^^Town^^^^H^^^^^^{one}^{two}",
        "SCH-11": field("SCH", f1="1^A", f11=f"^^^{one}^{two}"),
        "RXE": "ORC|NW|1^A\nRXE||5^D|1||mg\n" + field("TQ1", f7=one, f8=two),
    }


def message(segments: str, kind: str = "ADT^A08", sent: str = "20240818") -> str:
    patient = "" if segments.startswith("PID") else "PID|1||123^^^A^MR\n"
    return f"MSH|^~\\&|A|B|C|D|{sent}||{kind}|1|P|2.5.1\n{patient}{segments}"


PLACES = sorted(pairs("", ""))


@st.composite
def times(draw: Any) -> str:
    """A time with any precision, with an offset or without."""
    digits = draw(st.sampled_from([4, 6, 8, 12, 14]))
    made = draw(st.datetimes().filter(lambda time: time.year >= 1000)).strftime("%Y%m%d%H%M%S")[:digits]
    return made + (draw(st.sampled_from(["", "-0500", "+1300", "+0000"])) if digits > 8 else "")


@pytest.mark.parametrize("place", PLACES)
@given(one=times(), two=times())
@settings(max_examples=25, deadline=None)
def test_any_two_times_make_valid_resources(place: str, one: str, two: str) -> None:
    for name, resource in converted(message(pairs(one, two)[place])).items():
        assert not issues(resource, warnings=False), name


@pytest.mark.parametrize("place", PLACES)
def test_an_end_before_its_start_is_left_out_and_told(place: str) -> None:
    conversion = convert(Message(message(pairs("20240110", "20230101")[place])), FEED)
    assert "2023-01-01" not in str(applied(conversion))
    assert "2024-01-10" in str(applied(conversion))
    if place == "RXE":
        place = "TQ1-8"
    (warned,) = {(f"{one.place.segment}-{one.place.field}", one.said) for one in conversion.warnings}
    assert warned[0] == place
    assert warned[1].endswith("its end was left out.")


def test_what_was_said_of_the_end_before_is_taken_back() -> None:
    drafts = convert(Message(message(pairs("20240110", "20230101")["PV1-45"])), FEED).drafts
    (end,) = [said for draft in drafts for said in draft.stated if said.path == "period.end"]
    assert (end.slot, end.values) == ("PV1-45", ())


def test_a_discharge_that_was_sent_before_the_admission() -> None:
    text = message("EVN|A03|20230101\n" + field("PV1", f2="I", f19="9^^^A", f44="20240110"), "ADT^A03", "20230101")
    conversion = convert(Message(text), FEED)
    (visit,) = of_type(applied(conversion), "Encounter")
    assert (visit["status"], visit["period"]) == ("finished", {"start": "2024-01-10"})
    assert conversion.warnings == []


def test_a_referral_that_is_later_than_its_message() -> None:
    (task,) = of_type(converted(message(field("RF1", f1="A", f6="1^A", f7="20250101"))), "Task")
    assert task["authoredOn"] == "2025-01-01"
    assert "lastModified" not in task
