"""A dead letter converted again: as it came, or corrected; and what that would change. docs/hl7.md, "Dead letters" """

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import json
from fhir_server.store import hl7_found, hl7_lineage
from fhir_server.store.hl7_found import Replay, Whole
from fhir_server.store.savepoints import savepoint
from fhir_server.store.session import Connection
from fhir_server.store.store import Store
from hl7_gateway.conversion.convert import convert
from hl7_gateway.deliver import Delivered, Desk, Work, deliver
from hl7_gateway.delivery.merge import Lineage
from hl7_gateway.feed import Feed
from hl7_gateway.feeds import sender
from hl7_gateway.patients import Whom, whom
from hl7_gateway.problems import Refused
from hl7_gateway.reading import Read, incoming, read


class NotOneMessage(ValueError):
    """What is to be converted again must be one message."""


def replay(feed: Feed, hasher: Hasher, whole: Whole, corrected: bytes | None = None) -> Replay:
    """What the store needs in order to have a dead letter converted again. Raises NotOneMessage for a correction."""
    found = read(feed, whole.raw if corrected is None else corrected)
    message = found.message if isinstance(found, Read) else None
    if corrected is not None and message is None:
        raise NotOneMessage("A correction must be one message that begins with MSH and its delimiters.")
    if corrected is None or not isinstance(found, Read):
        about = whom(message, feed.mapping, hasher) if message is not None else Whom()
        return Replay(whole.found.id, about.patients, tokens=about.tokens, keys=about.keys)
    told = incoming(found, hasher, b"")
    header = told.control_id, told.message_type, told.event, told.structure
    return Replay(whole.found.id, told.patients, corrected, header, told.tokens, told.keys)


@dataclass(frozen=True, slots=True)
class Overtaken:
    """An element of a resource that a message would change, though ``message``, which came later, has said it."""

    resource: str
    element: str
    message: int

    def __str__(self) -> str:
        return f"{self.resource} {self.element}: message {self.message} came later and said otherwise"


@dataclass(frozen=True, slots=True)
class Preview:
    """What a message would do: the resources that it writes, each with what goes and what comes, and its warnings.

    ``problem`` is why it would be a dead letter. ``created`` are those of the resources that are not there yet,
    ``overtaken`` what it would put in place of something newer.
    """

    changed: dict[str, tuple[list[str], list[str]]]
    warnings: list[str]
    problem: Refused | None
    created: frozenset[str] = frozenset()
    overtaken: tuple[Overtaken, ...] = ()


class _Undone(Exception):
    # Raised to undo a transaction; it is no error.
    def __init__(self, preview: Preview) -> None:
        self.preview = preview
        super().__init__()


class _Seen(Exception):
    # Raised to undo what was delivered, once it was looked at; it is no error.
    def __init__(self, done: Delivered, keys: dict[int, str], after: dict[int, Any], said: dict[int, bytes]) -> None:
        self.done, self.keys, self.after, self.said = done, keys, after, said
        super().__init__()


def preview(store: Store, desk: Desk, feed: Feed, number: int, raw: bytes) -> Preview:
    """What a message would do now, under the number of the one that it corrects (or 0). Nothing stays of it."""
    found = read(feed, raw)
    if not isinstance(found, Read) or found.message is None:
        problem = found.problem if isinstance(found, Read) else Refused(100, "AE", None, "It is not one message.")
        return Preview({}, [], problem)
    if found.problem is not None:
        return Preview({}, [], found.problem)
    try:
        said = convert(found.message, feed.mapping)
    except Refused as problem:
        return Preview({}, [], problem)
    whom = " ".join(part for part in sender(found.message.header) if part)
    work = Work(number, feed.name, said, whom, feed.mapping.version)
    try:
        store.transaction(partial(_tried, desk, work))
    except _Undone as undone:
        made = undone.preview
        made.warnings.extend(f"{one.place}: {one.said}" for one in said.warnings)
        return made
    raise AssertionError("unreachable")


def _tried(desk: Desk, work: Work, store: Store) -> None:
    raise _Undone(store.within(partial(_difference, desk, work, store)))


def _difference(desk: Desk, work: Work, store: Store, connection: Connection) -> Preview:
    try:
        with savepoint(connection):
            done = deliver(desk, store, work)
            keys = {store.hasher.uncached(f"{kind}/{name}"): f"{kind}/{name}" for kind, name, _, _ in done.written}
            after = hl7_found.bodies(connection, store.tenant_id, list(keys))
            raise _Seen(done, keys, after, hl7_lineage.load(connection, store.tenant_id, list(keys)))
    except _Seen as seen:
        done, keys, after, said = seen.done, seen.keys, seen.after, seen.said
    before = hl7_found.bodies(connection, store.tenant_id, list(keys))
    changed = {}
    for key, name in keys.items():
        one, other = list(_lines(before.get(key, {}))), list(_lines(after.get(key, {})))
        changed[name] = [line for line in one if line not in other], [line for line in other if line not in one]
    created = frozenset(f"{kind}/{name}" for kind, name, version, _ in done.written if not version)
    overtaken = tuple(
        one
        for key, entries in hl7_lineage.load(connection, store.tenant_id, list(keys)).items()
        for one in _overtaken(work.message, keys[key], json.parse(entries), json.parse(said.get(key, hl7_lineage.NONE)))
    )
    warnings = [f"{one.place}: {one.said}" for one in done.warnings]
    return Preview(changed, warnings, done.problem, created, overtaken)


def _overtaken(number: int, resource: str, before: Lineage, after: Lineage) -> Iterator[Overtaken]:
    """What later messages than ``number`` have said of a resource, and is not there afterwards."""
    if not number:
        return
    for path, slots in before.items():
        for slot, said in slots.items():
            if said["m"] > number and after.get(path, {}).get(slot) != said:
                yield Overtaken(resource, path, said["m"])
                break


def _lines(value: Any, path: str = "") -> Iterator[str]:
    """name[0].family = "SMITH" """
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _lines(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _lines(inner, f"{path}[{place}]")
    else:
        yield f"{path} = {json.dumps(value).decode()}"
