"""Messages that came at the same time are kept in one transaction, before any of them is acknowledged.

docs/hl7.md, "Safe before it is acknowledged"
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Final

from fhir_server.errors import Conflict, Unavailable
from fhir_server.store import hl7_messages
from fhir_server.store.hl7_messages import Incoming, Kept
from fhir_server.store.reading import now
from fhir_server.store.session import Connection, Database

logger = logging.getLogger(__name__)

PATIENCE: Final = 10.0
"""Seconds that a message may wait for a database that is away; then its sender is told to send it again."""

_MOST: Final = 256
_OCTETS: Final = 16 * 1024 * 1024
"""How many bytes are kept together, as long as there is more than one message."""

_PAUSE: Final = 0.25


class NotKept(Exception):
    """A message that could not be stored. Whether it was is not known: the same one again is known as such."""


@dataclass(slots=True)
class _Pending:
    tenant_id: int
    incoming: Incoming
    until: float
    kept: Future[Kept] | asyncio.Future[Kept]

    @property
    def key(self) -> tuple[int, bytes]:
        return self.incoming.feed_id, self.incoming.fingerprint

    def answer(self, answer: Kept | NotKept) -> None:
        """Tell whoever waits, unless its connection is gone."""
        kept = self.kept
        if kept.cancelled() or (isinstance(kept, Future) and not kept.set_running_or_notify_cancel()):
            return
        if isinstance(answer, NotKept):
            kept.set_exception(answer)
        else:
            kept.set_result(answer)


_Answers = list[tuple[_Pending, Kept | NotKept]]


def _answer(answers: _Answers) -> None:
    for one, answer in answers:
        one.answer(answer)


def _answer_all(answers: _Answers) -> None:
    """Tell all that wait: those of an event loop at once, since to wake it costs as much as to answer one of them."""
    by_loop: dict[asyncio.AbstractEventLoop, _Answers] = {}
    for one, answer in answers:
        if isinstance(one.kept, Future):
            one.answer(answer)
        else:
            by_loop.setdefault(one.kept.get_loop(), []).append((one, answer))
    for loop, of_loop in by_loop.items():
        # A loop that has ended has nobody any more who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_answer, of_loop)


class Keeper:
    """Keeps messages, from a thread of its own that commits whatever has come while it committed the last ones.

    Nobody waits in order to be with others: a sender alone has a transaction for each message, many share one.
    """

    def __init__(self, database: Database, patience: float = PATIENCE) -> None:
        self._database = database
        self._patience = patience
        self._came: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="hl7-keeper", daemon=True)

    def start(self) -> None:
        """Begin to keep what comes."""
        self._thread.start()

    def close(self) -> None:
        """Keep what has come, and end."""
        self._came.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def keep(self, tenant_id: int, incoming: Incoming) -> Future[Kept]:
        """What became of a message once it is committed. The Future raises NotKept."""
        future: Future[Kept] = Future()
        self._came.put(_Pending(tenant_id, incoming, time.monotonic() + self._patience, future))
        return future

    def kept(self, tenant_id: int, incoming: Incoming) -> asyncio.Future[Kept]:
        """The same for the running event loop."""
        future: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self._came.put(_Pending(tenant_id, incoming, time.monotonic() + self._patience, future))
        return future

    def _work(self) -> None:
        while True:
            many, going_on = self._gather()
            by_tenant: dict[int, list[_Pending]] = {}
            for one in many:
                by_tenant.setdefault(one.tenant_id, []).append(one)
            for tenant_id, of_tenant in by_tenant.items():
                self._keep(tenant_id, of_tenant)
            if not going_on:
                return

    def _gather(self) -> tuple[list[_Pending], bool]:
        """What has come, at least one, and whether there may come more."""
        first = self._came.get()
        if first is None:
            return [], False
        many, octets = [first], len(first.incoming.raw)
        while len(many) < _MOST and octets < _OCTETS:
            try:
                one = self._came.get_nowait()
            except queue.Empty:
                break
            if one is None:
                return many, False
            many.append(one)
            octets += len(one.incoming.raw)
        return many, True

    def _keep(self, tenant_id: int, many: list[_Pending]) -> None:
        """Keep messages of one tenant, again and again while the database is away and their senders wait."""
        firsts: dict[tuple[int, bytes], _Pending] = {}
        for one in many:
            firsts.setdefault(one.key, one)
        while firsts:
            incoming = [one.incoming for one in firsts.values()]
            try:
                kept = self._database.transaction(tenant_id, partial(_kept, tenant_id, incoming))
            except (Unavailable, Conflict):
                many = _given_up(many, time.monotonic())
                keys = {one.key for one in many}
                firsts = {key: one for key, one in firsts.items() if key in keys}
                time.sleep(_PAUSE if firsts else 0)
            except Exception as error:  # noqa: BLE001 - one message must not take its neighbours with it
                self._one_by_one(tenant_id, many, firsts, error)
                return
            else:
                _tell(many, dict(zip(firsts, kept, strict=True)), firsts)
                return

    def _one_by_one(
        self,
        tenant_id: int,
        many: list[_Pending],
        firsts: dict[tuple[int, bytes], _Pending],
        error: Exception,
    ) -> None:
        if len(firsts) == 1:
            logger.error("a message cannot be kept", exc_info=error, extra={"tenant_id": tenant_id})
            _answer_all([(one, NotKept()) for one in many])
            return
        for key in firsts:
            self._keep(tenant_id, [one for one in many if one.key == key])


def _kept(tenant_id: int, incoming: list[Incoming], connection: Connection) -> list[Kept]:
    return hl7_messages.keep(connection, tenant_id, incoming, now())


def _given_up(many: list[_Pending], at: float) -> list[_Pending]:
    """Those that may go on to wait; the others are told that they were not kept."""
    _answer_all([(one, NotKept()) for one in many if one.until <= at])
    return [one for one in many if one.until > at]


def _tell(many: list[_Pending], kept: dict[tuple[int, bytes], Kept], firsts: dict[tuple[int, bytes], _Pending]) -> None:
    answers: _Answers = []
    for one in many:
        found = kept[one.key]
        if found.new and firsts[one.key] is not one:
            # The same message twice at the same moment: the second one came again.
            found = Kept(found.id, False, found.state, found.acknowledgment)
        answers.append((one, found))
    _answer_all(answers)
