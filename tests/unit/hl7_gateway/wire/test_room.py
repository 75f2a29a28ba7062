"""How much is with handlers at once. docs/hl7.md"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.wire.room import Room, Unfinished


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


def test_the_slowest_of_unfinished_ones_is_let_go_where_there_are_too_many_bytes() -> None:
    now = 0.0
    gone: list[str] = []
    unfinished = Unfinished(100, lambda: now)

    def note(name: str, octets: int) -> None:
        unfinished.note(name, octets, lambda: gone.append(name))

    note("slow", 40)
    now = 10.0
    note("quick", 50)
    now = 11.0
    note("slow", 45)
    assert (gone, unfinished.octets) == ([], 95)
    note("new", 20)
    assert (gone, unfinished.octets) == (["slow"], 70)
    # Whoever is gone tells so, and one alone may have all the room.
    note("slow", 0)
    note("new", 0)
    note("quick", 200)
    assert (gone, unfinished.octets) == (["slow"], 200)
    note("quick", 0)
    assert unfinished.octets == 0
