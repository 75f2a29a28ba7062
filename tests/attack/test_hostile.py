"""Hostile input of many more kinds than `make test` has time for; ATTACK_SEEDS sets how many runs there are."""

from __future__ import annotations

import os
from random import Random

import pytest

from tests.functional.test_hostile import Attacker, throw_bodies, throw_lines, throw_queries

SEEDS = range(100, 100 + int(os.environ.get("ATTACK_SEEDS", "10")))


@pytest.mark.parametrize("seed", SEEDS)
def test_bodies(attack: Attacker, seed: int) -> None:
    throw_bodies(attack, Random(seed), 300)


@pytest.mark.parametrize("seed", SEEDS)
def test_queries(attack: Attacker, seed: int) -> None:
    throw_queries(attack, Random(seed), 1000)


@pytest.mark.parametrize("seed", SEEDS)
def test_lines(attack: Attacker, seed: int) -> None:
    throw_lines(attack, Random(seed), 3000)
