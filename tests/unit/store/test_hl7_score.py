"""What of a feed's messages is not mapped. docs/hl7.md"""

from __future__ import annotations

from fhir_server.store import hl7_messages
from fhir_server.store.hl7_messages import Settled
from fhir_server.store.hl7_score import score
from fhir_server.store.session import Connection, Database
from fhir_server.store.tenants import Tenant
from tests.unit.store.test_hl7_messages import incoming


def test_the_newest_messages_of_a_feed(app_database: Database, tenant: Tenant) -> None:
    said = [
        {"warnings": [], "unmapped": ["ZPI-3", "OBX[2]-9"], "bytes_received": 100, "bytes_unmapped": 30},
        {"warnings": [{"place": "PID-7", "said": "x"}], "unmapped": ["ZPI-3", "ZPI[2]-3"], "bytes_unmapped": 20},
        None,
    ]
    with_raw = [incoming(str(number), b"x" * 100) for number in range(4)]

    def work(connection: Connection) -> None:
        kept = hl7_messages.keep(connection, tenant.id, with_raw, 7)
        settled = [Settled(one.id, "stored", "1", None, told) for one, told in zip(kept[:3], said, strict=True)]
        settled.append(Settled(kept[3].id, "dead", "1", {"code": 207}))
        hl7_messages.settle(connection, tenant.id, settled, 8)

    app_database.transaction(tenant.id, work)
    found = app_database.transaction(tenant.id, lambda c: score(c, tenant.id, 1, 1000))
    assert (found.messages, found.bytes_received, found.bytes_unmapped, found.warned) == (3, 300, 50, 1)
    assert found.fields == (("ZPI-3", 2), ("OBX-9", 1))
    assert round(found.mapped, 3) == 0.833
    newest = app_database.transaction(tenant.id, lambda c: score(c, tenant.id, 1, 1))
    assert (newest.messages, newest.bytes_unmapped, newest.fields) == (1, 0, ())


def test_of_a_feed_that_has_sent_nothing(app_database: Database, tenant: Tenant) -> None:
    found = app_database.transaction(tenant.id, lambda c: score(c, tenant.id, 99, 1000))
    assert (found.messages, found.fields, found.mapped) == (0, (), 1.0)
