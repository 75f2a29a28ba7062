"""Every feed of every clinic, and whose message this is. docs/hl7.md, "Feeds" """

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from fhir_server.errors import FhirError, Unavailable
from fhir_server.store import hl7_feeds
from fhir_server.store.hl7_feeds import CHANGED, FeedRow
from fhir_server.store.hl7_notices import Lost, notices
from fhir_server.store.session import Database
from hl7_gateway.feed import Feed, NotAFeed, parse, received
from hl7_gateway.message import Heading, Segment
from hl7_gateway.wire.peer import Peer, allowed

logger = logging.getLogger(__name__)

PERIOD: Final = 5.0
"""Seconds until a feed that was added, changed or paused is known to all processes, where they are not told of it."""

_APART: Final = 0.25
"""Seconds between two looks, however many changes are told."""

_AGAIN: Final = 1.0

_REMEMBERED: Final = 10_000
"""How many senders are known again without a look at all feeds."""

_LONGEST: Final = 200
"""Characters of a sender's names that are remembered: what a sender makes up must not fill the memory."""

Sender = tuple[str, str]
"""The sending application (MSH-3.1) and facility (MSH-4.1)."""


def sender(header: Segment | Heading | None) -> Sender:
    """Who a message says that it is from."""
    if isinstance(header, Heading):
        return header.application, header.facility
    return (header.text(3), header.text(4)) if header is not None else ("", "")


def recognise(
    feeds: Iterable[Feed], peer: Peer, port: int, own_port: int, header: Segment | Heading | None
) -> Feed | None:
    """The feed that a message came by.

    All that a feed asks for must be so; of several the one that asks for a certificate wins, then the one that asks for
    more of application and facility, then the one with a port of its own. Where two have an equal claim, it is neither:
    a message is not to be given to a clinic that it may not be for. Nor is one that comes by the port of one clinic
    given to another one for what its sender says of itself.
    """
    said = sender(header)
    feeds = tuple(feeds)
    owners = {feed.tenant_id for feed in feeds if feed.port == port != own_port}
    best: tuple[int, int, int] = (-1, -1, -1)
    found: list[Feed] = []
    for feed in feeds:
        if not _fits(feed, peer, port, own_port, said):
            continue
        if owners and not feed.certificate and feed.tenant_id not in owners:
            continue
        claim = _claim(feed)
        if claim > best:
            best, found = claim, []
        if claim == best:
            found.append(feed)
    if len(found) > 1:
        names = [feed.label for feed in found]
        logger.error("a message is of several feeds", extra={"feeds": names, "port": port})
    return found[0] if len(found) == 1 else None


def _fits(feed: Feed, peer: Peer, port: int, own_port: int, said: Sender) -> bool:
    if feed.certificate and feed.certificate != peer.certificate:
        return False
    if (feed.application and feed.application != said[0]) or (feed.facility and feed.facility != said[1]):
        return False
    # Who names itself may use any port; who does not, the gateway's own.
    named = bool(feed.certificate or feed.application or feed.facility)
    if port != (feed.port or (port if named else own_port)):
        return False
    return allowed(peer.address, feed.networks)


def _claim(feed: Feed) -> tuple[int, int, int]:
    return (bool(feed.certificate), bool(feed.application) + bool(feed.facility), bool(feed.port))


def rival(feed: Feed, others: Iterable[Feed]) -> Feed | None:
    """One of ``others`` that asks for just the same, so that no message could be told to be of either."""

    def asked(one: Feed) -> tuple[object, ...]:
        return one.port, one.certificate, one.application, one.facility, one.networks

    return next((one for one in others if one.id != feed.id and asked(one) == asked(feed)), None)


class Feeds:
    """All feeds as they were stored some seconds ago at most, or just now where it follows what PostgreSQL tells.

    Safe to share between threads. ``maps`` gives a feed what the ConceptMaps that it names say now; a feed whose
    ConceptMaps cannot be used is received, and its messages wait.
    """

    def __init__(
        self,
        database: Database,
        own_port: int = 0,
        clock: Callable[[], float] = time.monotonic,
        maps: Callable[[Feed], Feed] | None = None,
    ) -> None:
        self._database = database
        self._maps = maps
        self._own_port = own_port
        self._clock = clock
        self._due = float("-inf")
        self._turn = threading.Lock()
        self._wrong: set[tuple[int, int, tuple[str, ...]]] = set()
        self._all: tuple[Feed, ...] = ()
        self._recognised: dict[tuple[int, str, str, str, str], Feed] = {}
        self._unusable: dict[tuple[int, int], FeedRow] = {}
        self._by_id: dict[tuple[int, int], Feed] = {}
        self._rows: dict[tuple[int, int], FeedRow] = {}
        self._only_received: dict[tuple[int, int], Feed] = {}
        self._ended = threading.Event()
        self._following: threading.Thread | None = None

    def follow(self) -> None:
        """See every change when PostgreSQL tells of it, in a thread of its own, until `close`."""
        self._following = threading.Thread(target=self._follow, name="hl7-feeds", daemon=True)
        self._following.start()

    def close(self) -> None:
        """Follow no more."""
        self._ended.set()
        if self._following is not None:
            self._following.join()

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                self._hear()
            except (Lost, FhirError) as error:
                logger.warning("changes of feeds are not heard of", exc_info=error)
                self._ended.wait(_AGAIN)

    def _hear(self) -> None:
        """Look at what is told, and first at what was told to nobody. Raises Lost or Unavailable."""
        due, changed = float("-inf"), False
        for told in notices(self._database, CHANGED, _APART):
            if self._ended.is_set():
                return
            changed = changed or told != []
            if changed and time.monotonic() >= due:
                self.refresh(now=True)
                due, changed = time.monotonic() + _APART, False

    @property
    def seen(self) -> bool:
        """Whether they were ever read: before that nobody's messages may be refused for being of no feed."""
        return self._due > float("-inf")

    @property
    def all(self) -> tuple[Feed, ...]:
        """Every feed whose messages are received, as last seen; they may have to wait: `held`."""
        return self._all

    @property
    def unusable(self) -> list[FeedRow]:
        """Every feed whose configuration, or a ConceptMap that it names, cannot be used, as it is stored."""
        return list(self._unusable.values())

    def held(self, tenant_id: int) -> list[int]:
        """The feeds of a tenant whose messages wait: paused ones, and those whose configuration cannot be used."""
        paused = [feed.id for feed in self._all if feed.tenant_id == tenant_id and feed.paused]
        return paused + [number for tenant, number in self._unusable if tenant == tenant_id]

    @property
    def resting(self) -> set[int]:
        """The tenants that have feeds, all of which are held."""
        unusable = self._unusable
        found = {tenant for tenant, _ in unusable} | {feed.tenant_id for feed in self._all if feed.paused}
        return found - {
            feed.tenant_id for feed in self._all if not feed.paused and (feed.tenant_id, feed.id) not in unusable
        }

    def get(self, tenant_id: int, feed_id: int) -> Feed | None:
        """A feed whose configuration can be used, by its number, as last seen."""
        return self._by_id.get((tenant_id, feed_id))

    def recognise(self, peer: Peer, port: int, header: Segment | Heading | None) -> Feed | None:
        """The feed that a message came by, as last seen."""
        key = (port, peer.address, peer.certificate, *sender(header))
        recognised = self._recognised
        found = recognised.get(key)
        if found is None:
            found = recognise(self._all, peer, port, self._own_port, header)
            if found is not None and sum(map(len, sender(header))) <= _LONGEST:
                if len(recognised) >= _REMEMBERED:
                    recognised.clear()
                recognised[key] = found
        return found

    def refresh(self, *, now: bool = False) -> None:
        """See what has changed, where the last look is longer ago than PERIOD. Raises Unavailable."""
        with self._turn:
            if not now and self._clock() < self._due:
                return
            rows = self._database.run(lambda c: hl7_feeds.listed(c), read_only=True)
            self._take(rows)
            self._due = self._clock() + PERIOD

    def refresh_if_possible(self) -> None:
        """The same, with what was seen before where the database is away."""
        try:
            self.refresh()
        except Unavailable:
            logger.warning("feeds cannot be read just now")

    def _take(self, rows: Sequence[FeedRow]) -> None:
        found: list[Feed] = []
        unusable: dict[tuple[int, int], FeedRow] = {}
        only_received = {}
        for row in rows:
            key = (row.tenant_id, row.id)
            if self._rows.get(key) == row and key in self._only_received:
                unusable[key], only_received[key] = row, self._only_received[key]
                found.append(only_received[key])
                continue
            if self._rows.get(key) == row and key in self._by_id:
                # As it was, with what has been remembered for it.
                feed = self._by_id[key]
            else:
                try:
                    feed = parse(row)
                except NotAFeed as error:
                    unusable[key] = row
                    self._tell(row, error.problems)
                    if (reduced := received(row)) is not None:
                        only_received[key] = reduced
                        found.append(reduced)
                    continue
            feed = self._mapped(feed)
            if feed.mapping.wanting:
                unusable[key] = row
                self._tell(row, feed.mapping.wanting)
            found.append(feed)
        self._rows = {(row.tenant_id, row.id): row for row in rows}
        others = self._all != tuple(found)
        # First of all, so that nobody converts what is to wait.
        self._unusable = unusable
        self._only_received = only_received
        self._all = tuple(found)
        if others:
            self._recognised = {}
        # Of the others nothing is converted, by none of what holds where a setting is left out.
        self._by_id = {(one.tenant_id, one.id): one for one in found if (one.tenant_id, one.id) not in only_received}

    def _mapped(self, feed: Feed) -> Feed:
        """The feed with what its ConceptMaps say now, or with what they said where that cannot be told just now."""
        if self._maps is None:
            return feed
        try:
            return self._maps(feed)
        except Unavailable:
            logger.warning("ConceptMaps of a feed cannot be read just now", extra={"feed": feed.label})
            return feed

    def _tell(self, row: FeedRow, problems: Sequence[str]) -> None:
        # Once for each change of it: it stays wrong until somebody changes it.
        key = row.id, row.changed, tuple(problems)
        if key not in self._wrong:
            self._wrong.add(key)
            extra = {"feed": f"{row.slug}/{row.name}", "problems": list(problems)}
            logger.error("a feed cannot be used", extra=extra)
