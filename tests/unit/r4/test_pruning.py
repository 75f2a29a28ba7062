"""Nothing empty is left, nothing else changes. https://hl7.org/fhir/R4/json.html"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.r4.pruning import prune


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": {"b": {"c": []}}, "d": 0, "e": False, "f": ""}, {"d": 0, "e": False, "f": ""}),
        ({"contact": [{}, {"gender": "male"}]}, {"contact": [{"gender": "male"}]}),
        ({"given": ["x", None], "_given": [{}, {"id": "1"}]}, {"given": ["x", None], "_given": [None, {"id": "1"}]}),
        ({"given": ["x", "y"], "_given": [None, {"extension": []}]}, {"given": ["x", "y"]}),
    ],
)
def test_prune(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert prune(before) == after


VALUES = st.recursive(st.integers() | st.text(max_size=2), lambda v: st.lists(v) | st.dictionaries(st.text("_ab"), v))


def _empties(value: Any) -> int:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(member in ({}, []) or _empties(member) for member in members)


@settings(max_examples=40)
@given(st.dictionaries(st.text("_ab"), VALUES))
def test_nothing_empty_is_left(resource: dict[str, Any]) -> None:
    pruned = prune(resource)
    assert _empties(pruned) == 0
    assert prune(pruned) == pruned
