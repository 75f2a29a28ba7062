"""Parallel writers for longer than `make test` has time for."""

from __future__ import annotations

from random import Random

import pytest

from tests.functional.live import Live
from tests.functional.test_concurrency import (
    test_conditional_creates_make_one,
    test_creates_under_one_id_and_deletes,
    test_of_updates_with_if_match_one_wins,
    throw_transactions,
)


@pytest.mark.parametrize("seed", range(5))
def test_overlapping_transactions(live: Live, seed: int) -> None:
    answered = throw_transactions(live, Random(seed), 16, 15)
    assert answered[200] > answered[409]


@pytest.mark.parametrize("round_number", range(10))
def test_races_again_and_again(live: Live, round_number: int) -> None:
    test_conditional_creates_make_one(live, 30)
    test_of_updates_with_if_match_one_wins(live)
    test_creates_under_one_id_and_deletes(live)
