"""The connection to a destination. docs/hl7-outbound.md"""

from __future__ import annotations

import asyncio
import logging

from hl7_gateway.outbound.destination import Destination
from hl7_gateway.outbound.rules import NotADestination
from hl7_gateway.wire.client import Sender

logger = logging.getLogger(__name__)


class Line(Sender):
    """A connection that keeps the acknowledgment as it came, in ``received``.

    Files of certificates are read for each connection that is made: who renews them restarts nothing.
    """

    def __init__(self, destination: Destination) -> None:
        one = destination.configuration
        super().__init__(one.host, one.port, tls=destination.tls(), timeout=one.timeout)
        self._destination = destination
        self.received: bytes | None = None

    async def _next(self, reader: asyncio.StreamReader) -> bytes:
        self.received = await super()._next(reader)
        return self.received

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            try:
                self._tls = self._destination.tls()
            except NotADestination as error:
                # Somebody is in the middle of writing them.
                row = self._destination.row
                extra = {"tenant_id": row.tenant_id, "destination": row.id, "problems": error.problems}
                logger.warning("certificates stay as they were", extra=extra)
        return await super()._connected()
