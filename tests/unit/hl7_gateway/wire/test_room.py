"""How much is with handlers at once. docs/hl7.md"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.wire.room import Room


@given(st.lists(st.one_of(st.integers(0, 60), st.none()), max_size=60))
def test_never_more_than_bearable_and_everybody_comes_in_turn(steps: list[int | None]) -> None:
    room = Room(3, 50)
    inside: list[tuple[int, int]] = []
    entered: list[int] = []

    def enter(number: int, octets: int) -> None:
        inside.append((number, octets))
        entered.append(number)

    came = 0
    for octets in steps:
        if octets is None:
            if inside:
                room.leave(inside.pop(0)[1])
        else:
            number, came = came, came + 1

            def later(number: int = number, octets: int = octets) -> None:
                enter(number, octets)

            if room.enter(octets, later):
                enter(number, octets)
        assert room.held == len(inside) <= 3
        assert len(inside) == 1 or sum(held for _, held in inside) <= 50
    while inside:
        room.leave(inside.pop(0)[1])
    assert entered == list(range(came))
