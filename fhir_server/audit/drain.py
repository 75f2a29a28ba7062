"""From the spool into PostgreSQL, again and again; what dead processes left as well. docs/audit.md, "The spool"."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from fhir_server.audit import event as events
from fhir_server.audit.event import Event
from fhir_server.audit.spool import INTENT, Spool, Torn, framed, orphan, orphans, unframed
from fhir_server.crypto.hashing import Hasher
from fhir_server.store.audit import RecordsRefused, Row

log = logging.getLogger(__name__)

BATCH = 500
"""Records that are appended in one transaction."""

LONGEST_WRITE_US = 3600 * 1_000_000
"""A write that has no outcome after this has none to come."""

Append = Callable[[int, Sequence[Row]], int]
"""(tenant, rows) -> how many were new; raises where PostgreSQL cannot take them."""

Settle = Callable[[Event], Event]
"""What can be found out about a write whose outcome nobody wrote down."""


class Drain:
    """Moves what is in a spool to where ``append`` puts it; one thread at a time."""

    def __init__(self, spool: Spool, append: Append, hasher: Hasher, settle: Settle) -> None:
        self._spool = spool
        self._append = append
        self._hasher = hasher
        self._settle = settle
        self._open: dict[str, bytes] = {}
        self._done: list[tuple[Path, set[str]]] = []

    def step(self) -> None:
        """Move what this process has written so far. Raises what ``append`` does; then it is to be called again."""
        while True:
            lines, place = self._spool.read()
            if not lines:
                break
            self._spool.sync()
            self._put(self._records(lines, self._open, "of this process"))
            done = self._spool.settle(place)
            if done is not None:
                self._done.append((done, set(self._open)))
        for path, intents in self._done:
            intents &= self._open.keys()
            if not intents:
                path.unlink(missing_ok=True)
        self._done = [pair for pair in self._done if pair[1]]

    def give_up_on_old_intents(self, at: int) -> None:
        """Record what began so long before ``at`` that its outcome will not come any more."""
        # Copied at once: requests go on in other threads, though only this one changes what is open.
        waiting = [events.decode(payload) for payload in self._open.values()]
        old = [event for event in waiting if at - event.at > LONGEST_WRITE_US]
        self._put(self._settle(event) for event in old)
        for event in old:
            self._open.pop(event.id, None)

    def close(self) -> None:
        """The process ends, and no request is under way: nothing that it began is still going on."""
        self._put([self._settle(events.decode(payload)) for payload in self._open.values()])
        self._open.clear()

    def take_over(self) -> int:
        """Move what dead processes have left; answers how many there were."""
        taken = 0
        for directory in orphans(self._spool.root, self._spool.directory):
            with orphan(directory) as segments:
                if segments is None:
                    continue
                self._take(segments, directory.name)
                shutil.rmtree(directory, ignore_errors=True)
            if segments:
                taken += 1
                log.warning("audit spool of a dead process taken over", extra={"segments": len(segments)})
        return taken

    def _take(self, segments: Sequence[Path], name: str) -> None:
        intents: dict[str, bytes] = {}
        for path in segments:
            with path.open("rb") as file:
                while lines := file.readlines(1 << 20):
                    self._put(self._records([line.removesuffix(b"\n") for line in lines], intents, name))
        self._put(self._settle(events.decode(payload)) for payload in intents.values())

    def _records(self, lines: Iterable[bytes], intents: dict[str, bytes], where: str) -> list[Event]:
        """The records among the lines; intents are noted, and forgotten once their outcome is there."""
        found = []
        for line in lines:
            try:
                letter, payload = unframed(line)
                event = events.decode(payload)
            except (Torn, msgspec.DecodeError, UnicodeDecodeError):
                found.append(_torn(len(line), where))
                continue
            if letter == INTENT:
                intents[event.id] = payload
            else:
                intents.pop(event.id, None)
                found.append(event)
        return found

    def _put(self, found: Iterable[Event]) -> None:
        tenants: dict[int, list[Row]] = {}
        for event in found:
            tenants.setdefault(event.tenant_id, []).append(row_of(event, self._hasher))
        for tenant_id, rows in tenants.items():
            for start in range(0, len(rows), BATCH):
                self._put_batch(tenant_id, rows[start : start + BATCH])

    def _put_batch(self, tenant_id: int, rows: Sequence[Row]) -> None:
        try:
            self._append(tenant_id, rows)
        except RecordsRefused as error:
            # One record that PostgreSQL cannot take must not keep the others out.
            if len(rows) > 1:
                for row in rows:
                    self._put_batch(tenant_id, (row,))
                return
            log.error("audit record refused by the database", exc_info=error)
            self._set_aside(rows[0])

    def _set_aside(self, row: Row) -> None:
        with (self._spool.root / "refused").open("ab") as file:
            file.write(framed(b"R", row.record.encode()))


def row_of(event: Event, hasher: Hasher) -> Row:
    """What an event is stored as."""
    keys = {hasher.uncached(f"{kind}/{written_id}") for kind, written_id, _, _ in event.written}
    keys |= {hasher(f"Patient/{one}") for one in event.patient_ids}
    keys.update(event.patients)
    keys.update(hasher.uncached(name) for name in _read_in_bundle(event))
    if event.resource_type and event.resource_id:
        keys.add(hasher(f"{event.resource_type}/{event.resource_id}"))
    keys.update(message_key(hasher, one) for one in event.messages)
    if event.fhir_user.startswith("Patient/"):
        keys.add(hasher(event.fhir_user))
    return Row(
        event.id,
        event.at,
        event.kind,
        event.outcome,
        agent_key(hasher, event.fhir_user, event.subject),
        hasher(f"client:{event.client_id}") if event.client_id else None,
        events.encode(event).decode(),
        frozenset(keys),
    )


def message_key(hasher: Hasher, number: int) -> int:
    """What records about a message of HL7 v2 are found by."""
    return hasher.uncached(f"hl7-message/{number}")


def _read_in_bundle(event: Event) -> Iterator[str]:
    """The resources that entries of a bundle have read by their ids, as "Type/id"."""
    for request, _ in event.detail.get("entries", ()):
        path = request.partition(" ")[2].partition("?")[0].split("/")
        if len(path) > 1 and path[1][:1] not in ("_", "$"):
            yield f"{path[0]}/{path[1]}"


def agent_key(hasher: Hasher, fhir_user: str, subject: str = "") -> int | None:
    """What records of one agent are found by: who the person is in FHIR, or else their name at sign-in."""
    if fhir_user:
        return hasher(fhir_user)
    return hasher(f"subject:{subject}") if subject else None


def _torn(size: int, where: str) -> Event:
    log.error("a line of the audit spool is torn", extra={"bytes": size})
    at = events.now()
    return Event(
        id=events.new_id(at),
        tenant_id=0,
        at=at,
        kind="audit",
        outcome=events.FAILED,
        reason="A line of the spool was written in part: the machine stopped, or its disk failed.",
        detail={"bytes": size, "spool": where},
    )
