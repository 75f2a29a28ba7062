"""The order of versions. https://terminology.hl7.org/CodeSystem-v2-0104.html"""

from __future__ import annotations

from itertools import pairwise

import pytest

from hl7_gateway.wire.versions import USUAL, VERSIONS, before


def test_each_is_older_than_the_next_and_not_than_itself() -> None:
    for older, newer in pairwise(VERSIONS):
        assert before(older, newer)
        assert not before(newer, older)
        assert not before(older, older)


@pytest.mark.parametrize("version", ["", "9", "2.5.1\n", "v2.5"])
def test_one_that_there_is_not_is_the_usual_one(version: str) -> None:
    assert before(version, "2.6") == before(USUAL, "2.6")
    assert not before(version, "2.5")
