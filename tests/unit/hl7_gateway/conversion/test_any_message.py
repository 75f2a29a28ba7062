"""Whatever the fields hold, a message is converted, or refused with its place. docs/hl7.md"""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.r4 import json
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.registry import FAMILIES
from hl7_gateway.message import Message
from hl7_gateway.problems import Refused
from tests.unit.hl7_gateway.conversion.applied import FEED, applied

_ODD = st.sampled_from(
    ["", '""', "^", "~", "&", "^^^A", "1", "0", "-1", "1e9", "00000000", "20240818", "202408181126-0400", "99999999",
     "Y", "N", "D", "X", "NM", "SN", "CE", "ED", "RP", "DT", "TM", "DR", "123^^^A^MR", "A^B^C~D^E^F", "&&&^&&&^",
     "1&A^2&B", "\\F\\\\S\\\\T\\", "\\X41\\", ">^5", "^1^-^0", "^application^pdf^Base64^JVBERi0=", "S12", "\u00e9"]
)  # fmt: skip
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n|\x00\x0b\x1c"), max_size=12)
_FIELD = st.one_of(_ODD, _ODD, _TEXT)
_EVENTS = sorted((kind, event) for kind, (_, events) in FAMILIES.items() for event in events)
_SEGMENTS = sorted({name for family, _ in FAMILIES.values() for name in family.handlers})


@st.composite
def messages(draw: Any) -> str:
    kind, event = draw(st.sampled_from(_EVENTS))
    names = draw(st.lists(st.sampled_from([*_SEGMENTS, "ZZZ"]), max_size=8))
    lines = [f"MSH|^~\\&|A|B|C|D|20240818||{kind}^{event}|1|P|2.5.1"]
    if draw(st.booleans()) or not names:
        lines.append("PID|1||123^^^A^MR||DOE^JANE")
    lines.extend("|".join([name, *draw(st.lists(_FIELD, max_size=30))]) for name in names)
    return "\r".join(lines)


@given(messages())
@settings(max_examples=400, deadline=None)
def test_any_message_is_converted_or_refused(text: str) -> None:
    message = Message(text)
    try:
        conversion = convert(message, FEED)
    except Refused:
        return
    names = [draft.name for draft in conversion.drafts]
    assert len(names) == len(set(names))
    for resource in applied(conversion).values():
        json.dumps(resource)
    for draft in conversion.drafts:
        for stated in draft.stated:
            for said in stated.values:
                assert all(str(place) for place in said.places.values())
                assert '""' not in json.dumps(said.value).decode().replace('\\"', "").replace(':""', "!")


@pytest.mark.parametrize(
    "filler",
    [
        "OBX|1|ST|x||a",
        "PID|1||1^^^A",
        "NTE|1||x",
        "PV1|1|I",
        "ORC|RE|1",
        "TQ1|1|||||||x",
        "SCH|1^A",
        "OBX|1|ED|x||a\rTXA|1",
        "OBX|1|ST|x||a\rPRT|1|AD||PO|7^Kim|||G|W^1||||||1 Main",
    ],
)
def test_many_segments_take_time_in_proportion(filler: str) -> None:
    def cost(times: int) -> float:
        text = "MSH|^~\\&|A|B|C|D|20240818||ORU^R01|1|P|2.5.1\rPID|1||1^^^A\rOBR|1||F1|x\r" + "\r".join(
            [filler] * times
        )
        started = time.thread_time()
        convert(Message(text), FEED)
        return time.thread_time() - started

    cost(100)
    # Four times the segments may take some eight times the time, not sixteen.
    assert cost(8_000) < 8 * max(cost(2_000), 0.01)
