"""The system of an identifier: https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

import pytest

from hl7_gateway.feed_mapping import FeedMapping, own_system, universal_system
from hl7_gateway.message import Message, Value


def system(authority: str, mapping: FeedMapping, header: str = "MSH|^~\\&|APP|HOSP|B|C") -> str:
    message = Message(header)
    return mapping.system(Value(authority.replace("^", "&"), message.delimiters, 1), message)


FEED = FeedMapping("north", authorities={"A": "https://a.example/mrn", "HOSP": "https://hosp.example/id"})


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("A", "https://a.example/mrn"),
        ("A^1.2.3^ISO", "https://a.example/mrn"),
        ("B^1.2.3^ISO", "urn:oid:1.2.3"),
        ("B^1.2.3", "urn:oid:1.2.3"),
        ("B^C0FFEE00-0000-4000-8000-000000000001^GUID", "urn:uuid:c0ffee00-0000-4000-8000-000000000001"),
        ("B^https://b.example/id^URI", "https://b.example/id"),
        ("B^Labs.B.example^DNS", "urn:hl7:dns:labs.b.example"),
        ("B^77^L", "urn:hl7:north:77"),
        ("B", "urn:hl7:north:B"),
        ("B C", "urn:hl7:north:B%20C"),
        ("", "https://hosp.example/id"),
    ],
)
def test_the_most_trusted_says_the_system(authority: str, expected: str) -> None:
    assert system(authority, FEED) == expected


def test_without_an_authority_the_sender_stands_in() -> None:
    bare = FeedMapping("south")
    assert system("", bare) == "urn:hl7:south:HOSP"
    assert system("", bare, "MSH|^~\\&|APP||B|C") == "urn:hl7:south:APP"
    assert system("", bare, "MSH|^~\\&|") == own_system("south", "")


def test_two_feeds_share_no_system_of_their_own() -> None:
    assert system("MR", FeedMapping("one")) != system("MR", FeedMapping("two"))


@pytest.mark.parametrize("universal", ["1.2.x", "not an oid", "", "javascript"])
def test_what_names_nobody_world_wide_is_no_system(universal: str) -> None:
    assert universal_system(universal, "ISO") == ""
