"""Whom messages are about: the same as conversion says. docs/decisions/0018-messages-in-order.md"""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_server.crypto.hashing import Hasher
from hl7_gateway.conversion.convert import MOST_SEGMENTS, convert
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message
from hl7_gateway.overrides.reading import read
from hl7_gateway.patients import MOST, patient_hash, refuse_crowds, whom
from hl7_gateway.problems import Refused

HASHER = Hasher(b"0123456789abcdef")
FEED = FeedMapping("lab", authorities={"HOSP": "urn:oid:1.2.3"})
SAMPLES = sorted((Path(__file__).parents[4] / "shared/data/hl7v2").glob("*.hl7"))


def message(rest: str, event: str = "A01") -> Message:
    return Message(f"MSH|^~\\&|A|B|C|D|20260101||ADT^{event}|7|P|2.5.1\r{rest}")


def test_each_identifier_that_tells_a_patient_apart_counts() -> None:
    found = whom(message("PID|1|9^^^OLD|123^^^HOSP^MR~77^^^X^SS|8^^^ALT\r"), FEED, HASHER).patients
    assert set(found) == {
        patient_hash(HASHER, "urn:oid:1.2.3", "123"),
        patient_hash(HASHER, "urn:hl7:lab:OLD", "9"),
        patient_hash(HASHER, "urn:hl7:lab:ALT", "8"),
    }


def test_who_is_merged_counts_too_and_so_does_everybody_of_a_message_with_several() -> None:
    rest = "PID|1||1^^^HOSP\rMRG|2^^^HOSP\rPID|2||3^^^HOSP\rMRG|4^^^HOSP\r"
    wanted = {patient_hash(HASHER, "urn:oid:1.2.3", number) for number in "1234"}
    assert set(whom(message(rest, "A40"), FEED, HASHER).patients) == wanted


def test_a_feeds_own_mapping_counts() -> None:
    own = FeedMapping("lab", overrides=read('[[copy]]\nfrom = "ZPI-1"\nto = "PID-3"\n'))
    found = whom(message("PID|1||\rZPI|5^^^HOSP\r"), own, HASHER).patients
    assert found == (patient_hash(HASHER, "urn:hl7:lab:HOSP", "5"),)


def test_a_message_that_is_too_long_to_be_converted_names_nobody() -> None:
    rest = "".join(f"PID|1||{number}^^^HOSP\r" for number in range(MOST_SEGMENTS))
    assert whom(message(rest), FEED, HASHER).patients == ()


@pytest.mark.skipif(not SAMPLES, reason="the sample messages are not here")
def test_order_is_kept_for_every_patient_that_conversion_knows() -> None:
    seen = 0
    for path in SAMPLES:
        sample = Message(path.read_bytes().decode("utf-8", "replace"))
        try:
            drafts = convert(sample, FEED).drafts
        except Refused:
            continue
        known = {one for draft in drafts if draft.type == "Patient" for one in draft.identifiers}
        assert {patient_hash(HASHER, *one) for one in known} <= set(whom(sample, FEED, HASHER).patients), path.name
        seen += bool(known)
    assert seen > 10


def test_a_message_may_name_so_many_and_no_more() -> None:
    many = "~".join(f"{number}^^^HOSP" for number in range(MOST))
    refuse_crowds(message(f"PID|1||{many}\r"))
    assert len(whom(message(f"PID|1||{many}\r"), FEED, HASHER).patients) == MOST
    with pytest.raises(Refused) as caught:
        refuse_crowds(message(f"PID|1||{many}\rMRG|1^^^HOSP\r"))
    assert (caught.value.code, str(caught.value.place)) == (207, "MRG-1")
    with pytest.raises(Refused):
        refuse_crowds(message("".join(f"PID|{number}||{number}^^^HOSP\r" for number in range(MOST + 1))))


def test_a_feeds_own_mapping_makes_no_crowd_either() -> None:
    own = FeedMapping("lab", overrides=read('[[copy]]\nfrom = "ZPI-1"\nto = "PID-3"\n'))
    crowd = "~".join(f"{number}^^^HOSP" for number in range(MOST * 3))
    assert len(whom(message(f"PID|1||\rZPI|{crowd}\r"), own, HASHER).patients) == MOST
