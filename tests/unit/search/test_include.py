"""What includes find, and how PostgreSQL goes about it in a tenant that its statistics do not know.
https://hl7.org/fhir/R4/search.html#include"""

from __future__ import annotations

import pytest

from fhir_server.access.policy import EVERYTHING
from fhir_server.search.include import Found, compile_round
from fhir_server.search.query import Include
from fhir_server.search.registry import parameters
from fhir_server.store.store import Store
from tests.unit.store.conftest import hasher, new_store, store

__all__ = ["hasher", "new_store", "store"]

SUBJECT = parameters("Observation")["subject"]


@pytest.mark.parametrize("reverse", [False, True], ids=["_include", "_revinclude"])
def test_what_is_referred_to_is_looked_up_once_whatever_is_expected(store: Store, reverse: bool) -> None:
    """Of a tenant without statistics PostgreSQL expects one row, and would look at all references for each resource."""
    include = Include("Observation", (SUBJECT,), "", reverse=reverse, iterate=False, text="")
    found = [Found("Patient" if reverse else "Observation", 1, "1")]
    compiled = compile_round([include], found, [1], EVERYTHING, store.tenant_id, store.hasher, 100)
    assert compiled is not None
    result = store.search(f"EXPLAIN {compiled.sql}", compiled.values)
    plan = "\n".join((result.get_value(row, 0) or b"").decode() for row in range(result.ntuples))
    assert "InitPlan" in plan, plan
    assert "Semi Join" not in plan, plan
