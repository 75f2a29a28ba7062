"""Messages of one patient delivered in one transaction leave what they leave one by one.

docs/decisions/0018-messages-in-order.md
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

import pytest

from fhir_server.audit import event as events
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.simulator.hospital import messages
from tests.functional.hl7.ward import Ward
from tests.soak import story
from tests.soak.facts import SHARED

_VERSIONS = """
SELECT t.name, x.id, x.version, x.deleted, x.meta, x.body FROM (
    SELECT type_id, id, version, deleted, meta, body FROM resource
    UNION ALL SELECT type_id, id, version, deleted, meta, body FROM resource_history) x
  JOIN resource_type t ON t.id = x.type_id WHERE t.name <> 'Provenance'
"""

_STAY = ("A01", "A08", "A02", "A12", "A08", "A03", "A13", "A08", "A11", "A01", "A03")
"""A stay with much that is taken back."""


def tale(seed: int, number: int) -> list[bytes]:
    """Messages of few patients, several in a row of each: a small ward, stays with reversals, merges."""
    ward = messages(seed, 3, datetime(2026, 1, 1, tzinfo=UTC))
    people = chain.from_iterable(story.numbered("SIMULATOR", patient, _STAY) for patient in range(number))
    merged = (raw for one in range(number) for raw in story._merged("SIMULATOR", f"M{one}"))
    return [raw for three in islice(zip(ward, people, merged, strict=False), number) for raw in three]


def traced(entries: Any, names: dict[int, str]) -> Any:
    """Lineage with control ids instead of the numbers of messages."""
    if isinstance(entries, list):
        return [traced(one, names) for one in entries]
    if not isinstance(entries, dict):
        return entries
    found = {key: traced(one, names) for key, one in entries.items()}
    return {**found, "m": names[found["m"]]} if isinstance(found.get("m"), int) else found


def undated(meta: Any) -> Any:
    return {key: value for key, value in meta.items() if key != "lastUpdated"} if meta else meta


def left(ward: Ward) -> dict[str, Any]:
    """What messages have left: versions of resources, lineage, states, what the audit trail has of each."""
    found = ward.found()
    names = {one.id: one.control_id for one in found}
    versions = {
        f"{kind}/{name}/{version}": (deleted, undated(meta), body)
        for kind, name, version, deleted, meta, body in ward.rows(_VERSIONS)
    }
    paths = {path.rpartition("/")[0] for path in versions if path.partition("/")[0] not in SHARED}
    keys = {ward.hasher.uncached(path): path for path in paths}
    rows = ward.rows("SELECT key, entries FROM hl7_lineage")
    lineage = {keys[key]: traced(entries, names) for key, entries in rows if key in keys}
    audited = {}
    for (record,) in ward.rows("SELECT record FROM audit_record ORDER BY seq"):
        event = events.decode(record)
        written = [path for path in event.written if path[0] not in SHARED]
        audited[tuple(names[number] for number in event.messages)] = (event.outcome, event.patients, sorted(written))
    return {
        "versions": versions,
        "lineage": lineage,
        "states": {one.control_id: (one.state, one.problem) for one in found},
        "audited": audited,
    }


@pytest.fixture
def new_ward(app_database: Database, new_tenant: Callable[[], Tenant]) -> Callable[[], Ward]:
    return lambda: Ward(app_database, new_tenant())


@pytest.mark.parametrize("seed", [1, 2])
def test_together_as_one_by_one(new_ward: Callable[[], Ward], seed: int) -> None:
    told = tale(seed, 40)
    alone, together = new_ward(), new_ward()
    for one in (alone, together):
        one.keep(*told)
    assert alone.work(most=1) == len(told)
    worker, sizes = together.worker(most=32), []
    while done := worker.once(together.tenant.id):
        sizes.append(done)
    # Several of one patient have been in one transaction, else this shows nothing.
    patients = {raw.partition(b"PID|1||")[2].partition(b"^")[0] for raw in told[: sizes[0]]}
    assert len(patients) < sizes[0] == 32
    expected, found = left(alone), left(together)
    for name in expected:
        assert found[name] == expected[name], name
