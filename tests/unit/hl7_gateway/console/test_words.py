"""Ages and numbers in plain words."""

from __future__ import annotations

import pytest

from hl7_gateway.console.words import ago, counted, listed

NOW = 1_800_000_000_000_000


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (-5, "just now"),
        (1, "1 second ago"),
        (59, "59 seconds ago"),
        (60, "1 minute ago"),
        (3_599, "59 minutes ago"),
        (7_200, "2 hours ago"),
        (86_400 * 3, "3 days ago"),
    ],
)
def test_ages(seconds: int, said: str) -> None:
    assert ago(NOW - seconds * 1_000_000, NOW) == said


def test_nothing_has_no_age() -> None:
    assert ago(0, NOW) == ""


def test_numbers_and_lists() -> None:
    assert [counted(one, "message") for one in (0, 1, 1_200)] == ["0 messages", "1 message", "1,200 messages"]
    assert [listed(one) for one in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
