"""How long the SQL of one search may be."""

from __future__ import annotations

import pytest

from fhir_server.errors import BadRequest
from fhir_server.search import size


def test_a_statement_within_the_limit_is_itself() -> None:
    assert size.within("a" * size.LONGEST) == "a" * size.LONGEST


def test_a_longer_one_is_refused_with_what_would_help() -> None:
    with pytest.raises(BadRequest, match="name the type at each step") as refused:
        size.within("a" * (size.LONGEST + 1))
    assert refused.value.issues[0].code == "too-costly"
    assert "_type=Patient,Encounter" in refused.value.issues[0].diagnostics
    assert "Patient/[id]/*" in refused.value.issues[0].diagnostics


def test_a_budget_counts_all_texts() -> None:
    budget = size.Budget()
    for _ in range(10):
        budget.spend("a" * size.LONGEST, "")
    with pytest.raises(BadRequest, match="too large"):
        budget.spend("a")


def test_one_text_alone_may_be_too_long() -> None:
    with pytest.raises(BadRequest, match="too large"):
        size.Budget().spend("", "a" * (size.LONGEST + 1))
