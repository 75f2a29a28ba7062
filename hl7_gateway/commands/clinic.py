"""The clinic, its feeds and its messages that a command works on. docs/hl7.md"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhir_server.commands.clinic import OpenClinic
from fhir_server.commands.clinic import clinic as open_clinic
from fhir_server.crypto.hashing import Hasher
from fhir_server.interactions.context import Tenant
from fhir_server.settings import ConfigurationError
from fhir_server.store import directory, hl7_feeds
from fhir_server.store.hl7_feeds import FeedRow
from fhir_server.store.session import Connection
from fhir_server.store.store import Store
from hl7_gateway import concerned, recording
from hl7_gateway.deliver import Desk
from hl7_gateway.feed import Feed, NotAFeed, parse
from hl7_gateway.stored_maps import with_maps


@dataclass(frozen=True, slots=True)
class Clinic:
    """An open clinic and what belongs to its messages."""

    of: OpenClinic
    hasher: Hasher

    @property
    def rows(self) -> list[FeedRow]:
        """Its feeds as they are stored."""
        return self.of.database.transaction(self.of.id, lambda c: hl7_feeds.listed(c, self.of.id))

    def row(self, name: str) -> FeedRow:
        """A feed as it is stored. Raises ConfigurationError where there is none of this name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise ConfigurationError(f"There is no feed {name!r} in {self.of.slug}; `hl7-gateway feed list` shows them.")

    def feed(self, name: str) -> Feed:
        """A feed. Raises ConfigurationError where there is none, or it cannot be used."""
        return self.usable(self.row(name))

    def usable(self, row: FeedRow) -> Feed:
        """The feed of a row, with its ConceptMaps. Raises ConfigurationError, which says what is wrong."""
        feed = self.with_maps(parsed(row))
        if feed.mapping.wanting:
            raise ConfigurationError(f"The feed {row.name!r} cannot be used: {'; '.join(feed.mapping.wanting)}.")
        return feed

    def with_maps(self, feed: Feed) -> Feed:
        """A feed with the ConceptMaps that it names, as far as they can be used."""
        return with_maps(feed, self.desk.tenant, self.store)

    def numbered(self, number: int) -> Feed:
        """A feed by its number. Raises ConfigurationError."""
        for row in self.rows:
            if row.id == number:
                return self.usable(row)
        raise ConfigurationError("The feed of this message does not exist any more.")

    @property
    def store(self) -> Store:
        """Its store."""
        settings = self.of.settings
        return Store(self.of.database, self.hasher, self.of.id, full_text=settings.full_text)

    @property
    def desk(self) -> Desk:
        """Where its messages are delivered."""
        entry = directory.entry(self.of.database, self.of.slug)
        taken = entry.taken if entry is not None else ()
        return Desk(Tenant(self.of.id, self.of.slug, taken), f"{self.of.settings.public_url}/t/{self.of.slug}/fhir")

    def patients_in(self, feed_id: int, raw: bytes) -> tuple[str, ...]:
        """The ids of the clinic's patients whom a message names; of a feed that cannot be used that is not known."""
        try:
            feed = self.numbered(feed_id)
        except ConfigurationError:
            return ()
        return concerned.patients_in(self.store, self.desk, raw, feed)

    def known(self, identifier: str) -> tuple[str, ...]:
        """The ids of the clinic's patients who have an identifier, SYSTEM|NUMBER."""
        system, _, number = identifier.rpartition("|")
        return concerned.known(self.store, self.desk, [(system, number)])

    def record(self, kind: str, **values: Any) -> None:
        """Leave a record in the clinic's audit trail, before what it tells of is shown."""
        self.of.database.transaction(self.of.id, lambda c: self.record_in(c, kind, **values))

    def record_in(self, connection: Connection, kind: str, **values: Any) -> None:
        """The same in the transaction of what it tells of, at its end."""
        recording.record(connection, self.hasher, recording.at_the_command_line(self.of.id, kind, **values))


@contextlib.contextmanager
def clinic(slug: str) -> Iterator[Clinic]:
    """The clinic ``slug``. Raises ConfigurationError for whatever the operator can change."""
    with open_clinic(slug) as found:
        yield Clinic(found, Hasher(directory.hash_key(found.database)))


def parsed(row: FeedRow) -> Feed:
    """The feed of a row. Raises ConfigurationError, which says all that is wrong."""
    try:
        return parse(row)
    except NotAFeed as error:
        raise ConfigurationError(f"The feed {row.name!r} cannot be used: {error}.") from None


def assignments(words: tuple[str, ...]) -> dict[str, Any]:
    """KEY=VALUE pairs: a value is JSON, or else a text; @FILE stands for what a file holds.

    Raises ConfigurationError.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, separator, text = word.partition("=")
        if not separator:
            raise ConfigurationError(f"{word!r} must be KEY=VALUE, as in port=6001.")
        if text.startswith("@"):
            try:
                text = Path(text[1:]).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{text[1:]} cannot be read: {error}.") from None
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found
