"""A port that senders connect to: who may, how many, and how they are let go. docs/hl7.md"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from hl7_gateway.wire.connection import Connection, Handler, Refuser
from hl7_gateway.wire.peer import Network, allowed
from hl7_gateway.wire.room import Room, Unfinished

logger = logging.getLogger(__name__)

LIMIT: Final = 32 * 1024 * 1024
"""The largest message unless a feed says otherwise."""

_HANDSHAKE: Final = 10.0
_OCTETS: Final = 256 * 1024 * 1024


class Listener:
    """Accepts connections on an address and gives each frame to ``handler``, whose answers go back in order.

    ``limit`` bytes are the largest message, ``allowed`` the networks that may connect (all where there are none, told
    before any handshake), ``pipeline`` how many messages of a connection may be open at once, ``queue`` how many of all
    of them, ``connections`` how many senders, ``unfinished`` bytes how much of messages that have not come as a whole.
    ``refuser`` answers messages that are larger than ``limit``.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        handler: Handler,
        limit: int = LIMIT,
        tls: ssl.SSLContext | None = None,
        allowed: Sequence[Network] | None = None,
        queue: int = 1_024,
        pipeline: int = 16,
        connections: int = 1_024,
        unfinished: int | None = None,
        idle: float | None = None,
        stalled: float = 120.0,
        reuse_port: bool = False,
        refuser: Refuser | None = None,
    ) -> None:
        self._refuser = refuser
        self._address = (host, port)
        self._handler = handler
        self._limit = limit
        self._tls = tls
        self._allowed = allowed
        self._room = Room(queue, max(_OCTETS, limit))
        self._unfinished = Unfinished(unfinished or max(_OCTETS, 2 * limit))
        self._pipeline = pipeline
        self._most = connections
        self._idle = idle
        self._stalled = stalled
        self._reuse_port = reuse_port
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._welcomes: set[asyncio.Task[None]] = set()
        self._open: set[Connection] = set()

    @property
    def port(self) -> int:
        """The port that it listens on, also where it was to choose one."""
        if self._socket is None:
            return self._address[1]
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many senders are connected."""
        return len(self._open)

    @property
    def depth(self) -> int:
        """How many messages are with the handler."""
        return self._room.held

    @property
    def unfinished(self) -> int:
        """How many bytes are held of messages that have not come as a whole."""
        return self._unfinished.octets

    async def start(self) -> None:
        """Listen. Raises OSError where the address is taken."""
        host, port = self._address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=512, reuse_port=self._reuse_port)
        listening.setblocking(False)
        self._socket = listening
        self._accepting = asyncio.create_task(self._accept(listening))
        logger.info("listening for HL7 v2", extra={"port": self.port, "tls": self._tls is not None})

    def secure(self, tls: ssl.SSLContext | None) -> None:
        """Speak so with whoever connects from now on; those who are connected are left as they are."""
        self._tls = tls

    async def close(self, grace: float = 10.0) -> None:
        """Accept nobody any more, answer what was read, and let go; whoever takes longer than ``grace`` is cut off."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait({self._accepting})
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for connection in list(self._open):
            connection.close()
        if not self._welcomes:
            return
        _, late = await asyncio.wait(self._welcomes, timeout=grace)
        for task in late:
            task.cancel()
        if late:
            logger.warning("connections were cut off", extra={"connections": len(late)})
            await asyncio.wait(late)

    async def __aenter__(self) -> Listener:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                # Out of file descriptors, or the sender is gone again: the next may be luckier.
                logger.warning("a connection could not be accepted", exc_info=error)
                await asyncio.sleep(0.1)
                continue
            reason = self._unwelcome(address[0])
            if reason:
                logger.warning("a connection was refused", extra={"peer": address[0], "reason": reason})
                accepted.close()
                continue
            task = asyncio.create_task(self._welcome(accepted, address[0]))
            self._welcomes.add(task)
            task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._welcomes.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("a connection failed", exc_info=error)

    def _unwelcome(self, address: str) -> str:
        if not allowed(address, self._allowed):
            return "its address is not on the list"
        return "there are too many" if len(self._welcomes) >= self._most and not self._makes_room() else ""

    def _makes_room(self) -> bool:
        """Let an idle connection go, of whoever has most of them the one that is so for longest; whether there is one.

        Who forgets to close connections, or opens them on purpose, must not keep the others out.
        """
        count = Counter(one.peer.address for one in self._open)
        quiet = [one for one in self._open if one.quiet]
        if not quiet:
            return False
        min(quiet, key=lambda one: (-count[one.peer.address], one.heard)).give_way()
        return True

    async def _welcome(self, accepted: socket.socket, address: str) -> None:
        loop = asyncio.get_running_loop()
        connection = Connection(
            self._handler,
            self._room,
            self._unfinished,
            limit=self._limit,
            pipeline=self._pipeline,
            idle=self._idle,
            stalled=self._stalled,
            refuser=self._refuser,
        )
        try:
            _keep_alive(accepted)
            await loop.connect_accepted_socket(
                lambda: connection, accepted, ssl=self._tls, ssl_handshake_timeout=_HANDSHAKE if self._tls else None
            )
        except OSError as error:
            reason = type(error).__name__
            logger.warning("a connection was refused", extra={"peer": address, "reason": reason})
            accepted.close()
            return
        self._open.add(connection)
        if self._socket is None:
            connection.close()
        try:
            await connection.ended()
        finally:
            self._open.discard(connection)


def _keep_alive(accepted: socket.socket) -> None:
    """Notice within two minutes that a sender's machine is gone: it may be silent for days and still be there."""
    accepted.setblocking(False)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            accepted.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
