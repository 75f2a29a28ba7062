"""What a message needed is freed with it: nothing of it refers to itself, for the collector of cycles to look for.
https://docs.python.org/3/library/gc.html"""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from itertools import islice

from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.simulator.hospital import messages
from tests.functional.hl7.ward import Ward


def test_a_message_leaves_nothing_to_be_collected(app_database: Database, tenant: Tenant) -> None:
    ward = Ward(app_database, tenant)
    told = list(islice(messages(7, 10, datetime(2026, 1, 1, tzinfo=UTC)), 200))
    worker = ward.worker()
    ward.keep(*told[:100])
    while worker.once(tenant.id):
        pass
    ward.keep(*told[100:])
    gc.collect()
    gc.disable()
    try:
        delivered = 0
        while done := worker.once(tenant.id):
            delivered += done
        found = gc.collect()
    finally:
        gc.enable()
    assert delivered == 100
    # A transaction leaves some of the driver's; before, a message left five hundred.
    assert found < delivered
