"""Fields and segments as text, read again. https://www.hl7.eu/HL7v2x/v281/std281/ch02.html"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.message import Message
from hl7_gateway.outbound.building.text import components, repetitions, segment, subcomponents, taken_back, text

ANY = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('|^~\\&#"\r\n\t'), max_size=20)


@given(st.lists(ANY, min_size=1, max_size=5))
def test_any_text_stands_where_it_was_put(parts: list[str]) -> None:
    raw = segment("ZZZ", {2: components(*map(text, parts)), 4: text(parts[0])})
    message = Message(f"MSH|^~\\&|\r{raw}\r")
    assert [one.name for one in message] == ["MSH", "ZZZ"]
    found = message.all("ZZZ")[0]
    assert [found.text(2, number) for number in range(1, len(parts) + 1)] == [part.strip() for part in parts]
    assert found.text(4) == parts[0].strip()
    assert not found.first(4).null


def test_what_is_empty_at_the_end_is_left_out() -> None:
    assert segment("PV1", {2: "I", 5: "", 7: ""}) == "PV1||I"
    assert segment("PV1", {}) == "PV1"
    assert components("a", "", "b", "", "") == "a^^b"
    assert subcomponents("", "1.2", "ISO", "") == "&1.2&ISO"
    assert repetitions(["a", "", "b", "a"]) == "a~b"


def test_what_is_gone_is_taken_back() -> None:
    assert taken_back({1: "1", 2: "a", 3: "b", 4: ""}, {1: "1", 3: "c", 5: "d"}) == {1: "1", 2: '""', 3: "c", 5: "d"}
