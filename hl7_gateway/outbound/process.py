"""A process that sends for all destinations of all clinics. docs/hl7-outbound.md"""

from __future__ import annotations

import logging
import threading
from typing import Final

from fhir_server import logs
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import FhirError
from fhir_server.settings import Settings
from fhir_server.store import directory
from fhir_server.store.session import Database
from hl7_gateway.outbound.senders import Senders
from hl7_gateway.stopping import told_to_stop

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
_CONNECTIONS: Final = 6
"""For reading what messages are made from; each sender has one of its own beside."""


def run(settings: Settings, app_url: str) -> None:
    """Send what waits and what comes, until SIGINT or SIGTERM; what is under way then is finished."""
    stopping = told_to_stop()
    database = Database(app_url, _CONNECTIONS)
    database.open()
    try:
        hasher = _hasher(database, stopping)
        if hasher is not None:
            logs.event("hl7 destinations are sent to")
            Senders(database, hasher, lambda slug: f"{settings.public_url}/t/{slug}/fhir").run(stopping)
            logs.event("hl7 destinations are sent to no more")
    finally:
        database.close()


def _hasher(database: Database, stopping: threading.Event) -> Hasher | None:
    """The hasher of the database, once it answers; None at a stop."""
    told = False
    while not stopping.is_set():
        try:
            return Hasher(directory.hash_key(database))
        except FhirError as error:
            if not told:
                logger.warning("senders wait for the database", exc_info=error)
                told = True
            stopping.wait(_LOOK_SECONDS)
    return None
