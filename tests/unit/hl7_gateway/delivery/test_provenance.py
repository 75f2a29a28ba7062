"""Where versions come from. https://hl7.org/fhir/R4/provenance.html"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.access.policy import Access
from fhir_server.interactions.context import Context
from fhir_server.interactions.context import Tenant as Clinic
from fhir_server.interactions.write import prepare
from fhir_server.r4 import json
from fhir_server.store.resources import Write
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant
from hl7_gateway.delivery.provenance import provenance, write_of
from hl7_gateway.delivery.work import feed_principal
from tests.factories.hl7_delivery import BASE, hospital_of

_WRITTEN = st.tuples(
    st.sampled_from(["Patient", "Encounter", "Observation"]),
    st.from_regex(r"[A-Za-z0-9.-]{1,12}", fullmatch=True),
    st.integers(0, 3),
    st.integers(1, 4),
)
_SENDER = st.sampled_from(["", "ADT1 GOOD HEALTH", "Lab & Sons", f"see {BASE}/Patient/1", "three  words here"])


@pytest.fixture
def ctx(app_database: Database, tenant: Tenant) -> Context:
    store: Store = hospital_of(app_database, tenant).store
    principal = feed_principal("east", tenant.slug)
    return Context(Clinic(tenant.id, tenant.slug), principal, Access(()), store, BASE)


def _comparable(write: Write) -> dict[str, Any]:
    """All of a write but its id; the order of index rows means nothing."""
    found = asdict(write)
    rows = {name: sorted(value) if isinstance(value, list) else value for name, value in found.pop("rows").items()}
    return {**found, "id": "", "body": json.parse(write.body or b""), "rows": rows}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 2**40), _SENDER, st.lists(_WRITTEN, min_size=1, max_size=4), st.integers(0, 2**51))
def test_it_is_written_as_any_other_resource_would_be(
    ctx: Context, message: int, sender: str, written: list[tuple[str, str, int, int]], recorded: int
) -> None:
    found = provenance(message, "east", sender, written, recorded)
    assert _comparable(write_of(ctx, found)) == _comparable(prepare(ctx, found, "x", "POST", 0))


@pytest.mark.parametrize(
    ("sender", "display"),
    [("", "east"), (" \t ", "east"), (" \x07", "east"), ("\0 LAB\x01", " LAB"), ("x" * 10_000, "x" * 200)],
)
def test_whatever_a_sender_calls_itself_keeps_no_message_out(ctx: Context, sender: str, display: str) -> None:
    found = provenance(4711, "east", sender, [("Patient", "1", 0, 1)], 1)
    assert found["agent"][0]["who"]["display"] == display
    write_of(ctx, found)
