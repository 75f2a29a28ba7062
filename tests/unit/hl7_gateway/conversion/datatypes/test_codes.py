"""Codes. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message

_PART = st.sampled_from(["", "A", "M", "Code", "LN", "L", "99LOC", '""', "\\T\\", "x&y"])
_FIELD = st.lists(_PART, max_size=11).map("^".join)
_SEX = concept(table="0001")


def _walk(field: str, mapping: FeedMapping) -> Walk:
    return Walk(Message(f"MSH|^~\\&|A|B|||20260101||ADT^A01|1|P|2.5.1\rOBX|1|CWE|{field}\r"), mapping)


@given(st.lists(_FIELD, min_size=1, max_size=4))
def test_a_code_that_is_remembered_is_what_it_would_be_anew(fields: list[str]) -> None:
    remembering = FeedMapping("lab", code_systems={"99LOC": "urn:local"})
    for field in fields * 2:
        walk = _walk(field, remembering)
        anew = _walk(field, FeedMapping("lab", code_systems={"99LOC": "urn:local"}))
        values = [(one.message.segments[1].first(3), one) for one in (walk, anew)]
        found, expected = (_SEX(value, one) for value, one in values)
        assert found == expected
        if found is not None:
            # Whoever takes it may change it: the next one is not changed by that.
            found[0]["text"] = "changed"
            for coding in found[0].get("coding", ()):
                coding.clear()
            found[1].clear()
