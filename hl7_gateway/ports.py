"""The ports that feeds want to be listened on, opened and closed as feeds come and go. docs/hl7.md, "Feeds" """

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from hl7_gateway.feed import Feed
from hl7_gateway.securing import Secured
from hl7_gateway.wire.connection import Handler, Refuser
from hl7_gateway.wire.listener import LIMIT, Listener

logger = logging.getLogger(__name__)

_AGAIN: Final = 10
"""How many looks pass between two attempts to open a port that is taken."""


class Ports:
    """A listener for each port. A port that is taken is tried again, while the others are served.

    ``own`` is the gateway's own port, 0 for none. It and those that ``secured`` names are open without a feed that has
    them: a feed that is known by more than its port may come by any. ``refuser`` answers what is too large for a port.
    """

    def __init__(
        self,
        host: str,
        own: int,
        handler: Callable[[int], Handler],
        secured: Secured | None = None,
        refuser: Callable[[int], Refuser] | None = None,
    ) -> None:
        self._refuser = refuser
        self._host = host
        self._handler = handler
        self._secured = secured or Secured()
        self._standing = {port for port in (own, *self._secured.by_port) if port}
        self._open: dict[int, Listener] = {}
        self._limits: dict[int, int] = {}
        self._taken: dict[int, int] = {}

    @property
    def open(self) -> tuple[int, ...]:
        """The ports that are listened on."""
        return tuple(sorted(self._open))

    def secure(self, secured: Secured) -> None:
        """Show other certificates to whoever connects from now on; ``secured`` names the same ports as before."""
        self._secured = secured
        for port, listener in self._open.items():
            listener.secure(secured.of(port))

    async def follow(self, feeds: Iterable[Feed]) -> None:
        """Open the ports that are missing and close those that nobody wants any more."""
        wanted = dict.fromkeys(self._standing, LIMIT)
        for feed in feeds:
            for port in (feed.port,) if feed.port else self._standing:
                wanted[port] = max(wanted.get(port, 0), feed.limit)
        for port in [port for port in self._open if self._limits[port] != wanted.get(port)]:
            # Senders connect again; with another limit they may send larger messages.
            await self._close(port, 1.0)
        for port, limit in wanted.items():
            if port not in self._open:
                await self._start(port, limit)

    async def _start(self, port: int, limit: int) -> None:
        looks = self._taken.get(port, 0)
        if looks % _AGAIN:
            self._taken[port] = looks + 1
            return
        listener = Listener(
            self._host,
            port,
            handler=self._handler(port),
            limit=limit,
            tls=self._secured.of(port),
            refuser=None if self._refuser is None else self._refuser(port),
        )
        try:
            await listener.start()
        except OSError as error:
            if not looks:
                logger.error("a port cannot be listened on", extra={"port": port}, exc_info=error)
            self._taken[port] = looks + 1
            return
        self._taken.pop(port, None)
        self._open[port] = listener
        self._limits[port] = limit

    async def _close(self, port: int, grace: float) -> None:
        del self._limits[port]
        await self._open.pop(port).close(grace)

    async def close(self, grace: float) -> None:
        """Accept nobody any more, and answer what was read."""
        await asyncio.gather(*(self._close(port, grace) for port in list(self._open)))
