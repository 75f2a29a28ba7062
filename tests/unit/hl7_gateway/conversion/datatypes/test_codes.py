"""Codes. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.validation import issues
from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import converted, of_type

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


def test_spaces_that_no_code_of_fhir_may_have_do_not_keep_a_message_out() -> None:
    found = converted(
        "\r".join(
            [
                "MSH|^~\\&|A|B|||20260101||ORU^R01|1|P|2.5.1",
                "PID|1||1^^^X^MR  Z||SMITH^ANNA",
                "PV1|1|I|W^1||||||||||||||||V1",
                "DG1|1||I  9^X^L||20260101|A|||||||||99999999999",
                "ORC|RE|1|2||||^Q  4  H^^20260101",
                "OBR|1|1|2|CBC \\X09\\ W  DIFF^Blood  count^L|||20260101",
                "OBX|1|NM|WBC\\X0D0A\\COUNT^White^L||5|mg  L^^L|||||F",
            ]
        )
    )
    assert [issues(one, warnings=False) for one in found.values()] == [[]] * len(found)
    (report,), (result,), (person,) = (of_type(found, kind) for kind in ("DiagnosticReport", "Observation", "Patient"))
    assert report["code"]["coding"][0] == {"system": "urn:hl7:north:L", "code": "CBC W DIFF", "display": "Blood  count"}
    assert result["code"]["coding"][0]["code"] == "WBC COUNT"
    assert result["valueQuantity"] == {"value": 5, "unit": "mg  L", "system": "urn:hl7:north:L", "code": "mg L"}
    assert person["identifier"][0]["type"]["coding"][0]["code"] == "MR Z"
