"""Number search, written and read. https://hl7.org/fhir/R4/search.html#number"""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import number
from tests.unit.search.searching import Searching, clause


def risk(name: str, **probability: object) -> dict[str, object]:
    required = {"status": "final", "subject": {"reference": "Patient/1"}}
    return {"resourceType": "RiskAssessment", "id": name, **required, "prediction": [probability]}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("probability=0.5", "half"),
        ("probability=0.50", "half"),
        ("probability=1e-1", "tenth"),
        ("probability=0.1", "tenth"),
        ("probability=0.100", ""),
        ("probability=ne0.5", "range tenth"),
        ("probability=gt0.5", "range"),
        ("probability=ge0.5", "half range"),
        ("probability=lt0.5", "range tenth"),
        ("probability=le0.104", "tenth"),
        ("probability=sa0.2", "half range"),
        ("probability=sa0.4", "half"),
        ("probability=eb0.4", "tenth"),
        ("probability=ap0.52", "half range"),
        ("probability=0.1,0.5", "half tenth"),
        ("probability:missing=false", "half range tenth"),
    ],
)
def test_probabilities(searching: Searching, query: str, expected: str) -> None:
    searching.write(
        risk("half", probabilityDecimal=Decimal("0.50")),
        risk("tenth", probabilityDecimal=Decimal("0.104")),
        risk("range", probabilityRange={"low": {"value": Decimal("0.3")}, "high": {"value": Decimal("0.6")}}),
        risk("none", qualitativeRisk={"text": "?"}),
    )
    assert searching.find("RiskAssessment", query) == expected


@pytest.mark.parametrize(
    "query",
    [
        "probability:x=1",
        "probability=a",
        "probability=",
        "probability=gt",
        "probability=1|2",
        "probability=NaN",
        "probability=1e99999",
    ],
)
def test_what_cannot_be_answered_is_refused(query: str) -> None:
    with pytest.raises(BadRequest, match=r"Supported: :missing|a number is written as"):
        number.where(clause("RiskAssessment", query), SqlParameters(1), Hasher(bytes(16)))
