"""How much looking up codes may cost. https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from __future__ import annotations

import pytest

from fhir_server.errors import BadRequest
from fhir_server.terminology.budget import MAX_BYTES, MAX_CODES, MAX_DOCUMENTS, MAX_STEPS, Budget, check_count


def test_each_limit_may_be_reached_and_not_passed() -> None:
    budget = Budget()
    budget.spend(MAX_STEPS)
    with pytest.raises(BadRequest, match="too many steps"):
        budget.spend(1)
    budget.read(MAX_BYTES)
    with pytest.raises(BadRequest, match="more than 64 MB"):
        budget.read(1)
    check_count(MAX_CODES, "x")
    with pytest.raises(BadRequest, match="code:in=x stands for 10001 codes") as refused:
        check_count(MAX_CODES + 1, "code:in=x")
    assert refused.value.issues[0].code == "too-costly"


def test_documents_are_counted() -> None:
    budget = Budget()
    for _ in range(MAX_DOCUMENTS):
        budget.look_up()
    with pytest.raises(BadRequest, match="more than 100 ValueSets"):
        budget.look_up()
