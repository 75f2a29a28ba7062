"""What a walk over a message knows of places. docs/hl7.md, "Lineage" """

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.conversion.draft import Said
from hl7_gateway.conversion.walk import Places
from hl7_gateway.problems import Place

_NUMBERS = st.integers(0, 3)
_PARTS = st.dictionaries(
    st.sampled_from(["", "value", "system", "type.coding[0].code"]),
    _NUMBERS | st.builds(Place, st.just("PV1"), st.integers(1, 2), _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS),
)


@given(st.integers(1, 3), _NUMBERS, _NUMBERS, _PARTS)
def test_places_as_texts_are_the_texts_of_the_places(
    number: int, field: int, repetition: int, parts: dict[str, int | Place]
) -> None:
    places = Places("PID", number, field, repetition, parts)
    expected = {path: str(place) for path, place in places.items()}
    assert places.texts() == expected
    assert Said("x", places).texts == expected
    assert Said("x", dict(places)).texts == expected
