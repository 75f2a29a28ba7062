"""What happens over and over is logged now and then. docs/hl7.md"""

from __future__ import annotations

from hl7_gateway.seldom import Seldom


def test_the_first_time_is_told_and_then_how_often_it_was_since() -> None:
    now = 0.0
    seldom = Seldom(10.0, lambda: now)
    assert [seldom.times("a") for _ in range(4)] == [1, 0, 0, 0]
    assert seldom.times("b") == 1
    now = 9.9
    assert seldom.times("a") == 0
    now = 10.0
    assert seldom.times("a") == 5
    assert seldom.times("a") == 0


def test_no_more_are_remembered_than_bearable() -> None:
    seldom = Seldom(10.0, lambda: 0.0)
    for number in range(5_000):
        assert seldom.times(number) == 1
    assert len(seldom._told) <= 1_000
