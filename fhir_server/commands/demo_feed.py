"""The demo's feed of HL7 v2: whatever comes to MLLP_PORT is for one of the demo clinics. docs/hl7.md, "Feeds" """

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from fhir_server.store import hl7_feeds, tenants

STEP = "demo feed"

_SLUG = "riverside"
_CONFIGURATION = {"zone": "America/New_York"}


def seed(connection: psycopg.Connection, report: Callable[[str], None]) -> None:
    """Give the demo clinic a feed that takes any sender, unless there is no such clinic, or it has one of this name."""
    tenant = tenants.find(connection, _SLUG)
    if tenant is None:
        return
    with connection.transaction():
        connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant.id)])
        now = time.time_ns() // 1000
        if hl7_feeds.add(connection, tenant.id, "demo", _CONFIGURATION, now) is not None:
            report(f"Demo clinic {_SLUG}: a feed for HL7 v2")
