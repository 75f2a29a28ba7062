"""A process that sends for all destinations of all clinics. docs/hl7-outbound.md"""

from __future__ import annotations

from typing import Final

from fhir_server import logs
from fhir_server.settings import Settings
from fhir_server.store.session import Database
from hl7_gateway.outbound.senders import Senders
from hl7_gateway.starting import hasher_of
from hl7_gateway.stopping import told_to_stop

_CONNECTIONS: Final = 6
"""For reading what messages are made from; each sender has one of its own beside."""


def run(settings: Settings, app_url: str) -> None:
    """Send what waits and what comes, until SIGINT or SIGTERM; what is under way then is finished."""
    stopping = told_to_stop()
    database = Database(app_url, _CONNECTIONS)
    database.open()
    try:
        hasher = hasher_of(database, stopping.is_set)
        if hasher is not None:
            logs.event("hl7 destinations are sent to")
            Senders(database, hasher, lambda slug: f"{settings.public_url}/t/{slug}/fhir").run(stopping)
            logs.event("hl7 destinations are sent to no more")
    finally:
        database.close()
