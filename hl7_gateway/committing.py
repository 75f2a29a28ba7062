"""Messages that came at the same time are committed together, without a thread between them and PostgreSQL.

docs/decisions/0020-messages-kept-by-the-event-loop.md
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from fhir_server.store.hl7_keeping import Keeping
from fhir_server.store.hl7_messages import Incoming, Kept
from fhir_server.store.hl7_notices import Lost
from fhir_server.store.reading import now
from fhir_server.store.session import Database
from hl7_gateway.keeping import PATIENCE, Keeper, NotKept

logger = logging.getLogger(__name__)

_MOST: Final = 256
_OCTETS: Final = 16 * 1024 * 1024
"""How many bytes are kept together, as long as there is more than one message."""

_GATHERING: Final = 0.03
"""Seconds that messages which are in no hurry wait for others: a commit costs about as much for one as for ten."""
_ENOUGH: Final = 32
"""How many of them wait for no more."""

_NEVER: Final = float("inf")

_AGAIN: Final = 1.0
"""Seconds between two attempts to connect."""

Key = tuple[int, bytes]


Tell = Callable[[Kept | NotKept], None]


class _Pending(NamedTuple):
    tenant_id: int
    incoming: Incoming
    tell: Tell

    @property
    def key(self) -> Key:
        return self.incoming.feed_id, self.incoming.fingerprint


_Group = list[_Pending]


class Committer:
    """Keeps messages, of one event loop: what has come while the last ones were committed is one transaction.

    Nobody waits in order to be with others, but those that are in no hurry. Whatever is out of the ordinary (the
    database is away, a message that it does not take, one that has a number) is left to ``keeper``, which has the
    patience; so are all, until there is a connection again.
    """

    def __init__(self, database: Database, keeper: Keeper, patience: float = PATIENCE) -> None:
        self._database = database
        self._keeper = keeper
        self._patience = patience
        self._came: deque[_Pending] = deque()
        self._groups: deque[_Group] = deque()
        self._busy = False
        self._due = _NEVER
        self._gathering: asyncio.TimerHandle | None = None
        self._link: Keeping | None = None
        self._late: asyncio.TimerHandle | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._slow: asyncio.Task[None] | None = None
        self._left: _Group = []
        self._flushing = False
        self._idle = asyncio.Event()
        self._closed = False

    def start(self) -> None:
        """Connect, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._connecting = asyncio.create_task(self._connect())

    async def close(self) -> None:
        """Keep what has come, and end."""
        self._closed = True
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathered()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        while self._busy:
            self._idle.clear()
            await self._idle.wait()
        self._hang_up()

    def keep(self, tenant_id: int, incoming: Incoming, tell: Tell, *, hurry: bool = True) -> None:
        """Have ``tell`` called, which must not fail, with what became of a message once it is committed.

        Without ``hurry`` it may wait for others for a moment.
        """
        self._came.append(_Pending(tenant_id, incoming, tell))
        self._due = min(self._due, self._loop.time() + _GATHERING if not hurry else 0.0)
        if not self._busy:
            # Not at once: others may have come with it.
            self._busy = True
            self._loop.call_soon(self._next)
        elif self._gathering is not None and (hurry or len(self._came) >= _ENOUGH):
            self._gathering.cancel()
            self._gathering = None
            self._loop.call_soon(self._next)

    def kept(self, tenant_id: int, incoming: Incoming, *, hurry: bool = True) -> asyncio.Future[Kept]:
        """The same as a Future, which raises NotKept."""
        future: asyncio.Future[Kept] = self._loop.create_future()
        self.keep(tenant_id, incoming, partial(_set, future), hurry=hurry)
        return future

    def _next(self) -> None:
        if not self._came:
            self._busy = False
            self._idle.set()
            return
        if self._due > self._loop.time() and len(self._came) < _ENOUGH and not self._closed:
            self._gathering = self._loop.call_at(self._due, self._gathered)
            return
        self._commit()

    def _gathered(self) -> None:
        self._gathering = None
        self._commit()

    def _commit(self) -> None:
        many = self._gather()
        # Who was left behind has waited already.
        self._due = 0.0 if self._came else _NEVER
        by_tenant: dict[int, _Group] = {}
        for one in many:
            by_tenant.setdefault(one.tenant_id, []).append(one)
        if self._link is None or any(one.incoming.sequence is not None for one in many):
            self._leave(many)
            return
        self._groups.extend(by_tenant.values())
        try:
            for tenant_id, group in by_tenant.items():
                self._link.send(tenant_id, list(_firsts(group).values()), now())
            self._flush()
        except (Lost, ValueError) as error:
            self._give_up(error)
        else:
            self._late = self._loop.call_later(self._patience, self._give_up, TimeoutError())

    def _gather(self) -> list[_Pending]:
        many: list[_Pending] = []
        octets = 0
        numbered: set[Key] = set()
        while self._came and (not many or (len(many) < _MOST and octets < _OCTETS)):
            if self._came[0].incoming.sequence is not None:
                key = self._came[0].key
                if key in numbered:
                    # What becomes of the same one again depends on those between.
                    break
                numbered.add(key)
            many.append(self._came.popleft())
            octets += len(many[-1].incoming.raw)
        return many

    def _flush(self) -> None:
        """Send on, when the socket takes more."""
        if self._link is None:
            return
        flushed = self._link.flush()
        if not flushed and not self._flushing:
            self._loop.add_writer(self._link.fileno, self._writable)
        elif flushed and self._flushing:
            self._loop.remove_writer(self._link.fileno)
        self._flushing = not flushed

    def _writable(self) -> None:
        try:
            self._flush()
        except Lost as error:
            self._give_up(error)

    def _readable(self) -> None:
        """Tell what is committed, and commit what has come meanwhile."""
        if self._link is None:
            return
        try:
            outcomes = self._link.heard()
        except Lost as error:
            self._give_up(error)
            return
        for outcome in outcomes:
            group = self._groups.popleft()
            self._left += group if isinstance(outcome, Exception) else _tell(group, outcome)
        if outcomes and not self._groups:
            self._settled()

    def _settled(self) -> None:
        """All that was sent is answered, or left."""
        if self._late is not None:
            self._late.cancel()
            self._late = None
        left, self._left = self._left, []
        if left:
            self._leave(left)
        else:
            self._next()

    def _leave(self, many: _Group) -> None:
        """Leave messages to the keeper; those that come meanwhile wait, so that they stay in their order."""
        task = self._slow = self._loop.create_task(self._patiently(many))
        task.add_done_callback(lambda _: self._next())

    async def _patiently(self, many: _Group) -> None:
        futures = [self._keeper.kept(one.tenant_id, one.incoming) for one in many]
        await asyncio.wait(futures)
        for one, future in zip(many, futures, strict=True):
            error = future.exception()
            one.tell(future.result() if error is None else NotKept())

    def _give_up(self, error: Exception) -> None:
        """The connection is of no use any more."""
        logger.warning("the connection on which messages are kept is lost", exc_info=error)
        self._hang_up()
        if not self._closed:
            self._connecting = self._loop.create_task(self._connect())
        if self._groups:
            self._left += [one for group in self._groups for one in group]
            self._groups.clear()
            self._settled()

    def _hang_up(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            self._loop.remove_reader(link.fileno)
            self._loop.remove_writer(link.fileno)
            self._flushing = False
            link.close()

    async def _connect(self) -> None:
        """Connect, again and again while the database is away."""
        while True:
            opening = self._loop.run_in_executor(None, Keeping.open, self._database)
            try:
                link = await asyncio.shield(opening)
            except asyncio.CancelledError:
                opening.add_done_callback(_forget)
                raise
            except Lost:
                await asyncio.sleep(_AGAIN)
            else:
                self._link = link
                self._loop.add_reader(link.fileno, self._readable)
                return


def _forget(opening: asyncio.Future[Keeping]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _firsts(group: _Group) -> dict[Key, Incoming]:
    found: dict[Key, Incoming] = {}
    for one in group:
        found.setdefault(one.key, one.incoming)
    return found


def _tell(group: _Group, outcomes: list[Kept | None]) -> _Group:
    """Tell those that wait what became of their messages, unless they are gone; those of which nothing is known."""
    kept = dict(zip(_firsts(group), outcomes, strict=True))
    told: set[Key] = set()
    left = []
    for one in group:
        key = one.key
        found = kept[key]
        if found is None:
            left.append(one)
            continue
        if found.new and key in told:
            # The same message twice at the same moment: the second one came again.
            found = Kept(found.id, False, found.state, found.acknowledgment)
        told.add(key)
        one.tell(found)
    return left


def _set(future: asyncio.Future[Kept], kept: Kept | NotKept) -> None:
    if future.done():
        return
    if isinstance(kept, NotKept):
        future.set_exception(kept)
    else:
        future.set_result(kept)
