"""Two engines, one answer; and what is said where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.search import second_opinion
from fhir_server.search.registry import Parameter, parameters
from fhir_server.search.second_opinion import differing, recorded
from tests.unit.search.test_expression_values import PATIENT, own

EXPRESSIONS = [
    ("token", "Patient.extension('urn:x').value"),
    ("token", "Patient.extension.where(url = 'urn:x').value.ofType(code)"),
    ("token", "Patient.name.where(use = 'old').exists()"),
    ("string", "Patient.name.select(given.first() & ' ' & family)"),
    ("number", "Patient.name.given.count()"),
    ("number", "Patient.multipleBirth.ofType(integer)"),
    ("quantity", "Patient.extension('urn:n').value.ofType(Quantity)"),
    ("string", "Patient.name.given[0] | Patient.name.family.first().upper()"),
    ("date", "Patient.birthDate | Patient.deceased.ofType(dateTime)"),
]


@pytest.mark.parametrize(("kind", "expression"), EXPRESSIONS)
def test_both_find_the_same(kind: str, expression: str) -> None:
    empty = {"resourceType": "Patient", "id": "x"}
    assert differing(own("own", kind, expression), [PATIENT, empty]) == ([], "")
    assert recorded(own("own", kind, expression), PATIENT)


def test_a_difference_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    parameter = own("own", "token", "Patient.name.use")
    monkeypatch.setattr(second_opinion, "recorded", lambda p, r: {'"official"'})
    assert differing(parameter, [PATIENT, PATIENT])[0] == [0, 1]
    # Values of other types have no place in this index, so that only too many of ours are a difference.
    several = own("own", "token", "Patient.extension.value")
    monkeypatch.setattr(second_opinion, "recorded", lambda p, r: {'"red"'})
    assert differing(several, [PATIENT])[0] == []
    monkeypatch.setattr(second_opinion, "recorded", lambda p, r: {'"pink"'})
    assert differing(several, [PATIENT])[0] == [0]


def test_what_the_other_engine_cannot_say() -> None:
    nothing: list[dict[str, Any]] = [PATIENT]
    assert differing(own("own", "token", "Patient.name.where(use.hasValue()).use"), nothing) == (
        [],
        "the other engine cannot evaluate it",
    )
    composite = parameters("Observation")["code-value-quantity"]
    assert isinstance(composite, Parameter)
    assert differing(composite, nothing)[1] == "composites are compared row by row only"


def test_it_may_not_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_opinion, "TIMEOUT_SECONDS", 0.01)
    assert differing(own("own", "token", "Patient.name.use"), [PATIENT])[1].startswith("the other engine takes more")
