"""What a process waits for when it starts. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import FhirError
from fhir_server.store import directory
from fhir_server.store.session import Database

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5


def hasher_of(database: Database, stopped: Callable[[], bool]) -> Hasher | None:
    """The hasher of the database, once it answers; None at a stop."""
    told = False
    while not stopped():
        try:
            return Hasher(directory.hash_key(database))
        except FhirError as error:
            if not told:
                logger.warning("the gateway waits for the database", exc_info=error)
                told = True
            time.sleep(_LOOK_SECONDS)
    return None
