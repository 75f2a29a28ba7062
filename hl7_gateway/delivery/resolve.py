"""Which resource each draft of a message is about: found by identifier, or new under an id of its own. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fhir_server.crypto.hashing import Hasher
from fhir_server.store.identified import Wanted
from hl7_gateway.conversion.draft import Conversion, Draft
from hl7_gateway.delivery import ids
from hl7_gateway.delivery.shelf import LONGEST_CHAIN, Identifier, Shelf, successor


@dataclass(slots=True)
class Asked:
    """The drafts of one message in the order in which their ids can be told, and which of them are merged away.

    Raises Refused where there is no such order. ``guessed`` are the names that they have if none of them is found.
    """

    message: int
    conversion: Conversion
    hasher: Hasher
    order: list[Draft] = field(init=False)
    retired: frozenset[str] = field(init=False)
    guessed: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        drafts = {draft.name: draft for draft in self.conversion.drafts}
        self.order = ids.in_order(drafts)
        self.retired = frozenset(merge.retired for merge in self.conversion.merges)
        self.guessed = {}
        for draft in self.order:
            self.guessed[draft.name] = self.own(draft, self.guessed)

    def own(self, draft: Draft, names: dict[str, str]) -> str:
        """What a draft is called where it does not exist, with the names of the drafts that it depends on."""
        needed = ids.needs(draft)
        if draft.name in self.guessed and all(names[one] == self.guessed[one] for one in needed):
            return self.guessed[draft.name]
        return f"{draft.type}/{ids.of_draft(self.hasher, draft, self.message, names.__getitem__)}"

    def wanted(self) -> Iterator[Wanted]:
        """What one statement can look up before anything is known: identifiers, and the names that are guessed.

        What is only mentioned is not changed, and not locked: many messages mention the same ward.
        """
        for draft in self.order:
            locked = not draft.stub or draft.name in self.retired
            for system, value in draft.identifiers:
                yield Wanted(draft.type, system, value, locked)
            yield Wanted(draft.type, None, self.guessed[draft.name].partition("/")[2], locked)


class Resolution:
    """The names ("Type/id") of the drafts of one message, as things stand when it is its turn.

    ``unknown`` are names that nobody has looked up yet; a Resolution with any of them is to be made anew after that.
    ``merged_away`` are the names of those that were found, by draft, where it is about whoever they live on as.
    """

    def __init__(self, asked: Asked, shelf: Shelf) -> None:
        self._shelf = shelf
        self._asked = asked
        self._new: dict[Identifier, str] = {}
        self.names: dict[str, str] = {}
        self.unknown: list[Wanted] = []
        self.merged_away: dict[str, str] = {}
        # Whoever is merged away is so by this message: nobody is to live on as them.
        away = [draft for draft in asked.order if draft.name in asked.retired and draft.identifiers]
        self._away = frozenset(self._named(draft) for draft in away)
        for draft in asked.order:
            found = self.names[draft.name] = self._named(draft)
            if draft.type == "Patient" and draft.name not in asked.retired:
                living = self._living(found)
                if living != found:
                    self.names[draft.name], self.merged_away[draft.name] = living, found

    def _named(self, draft: Draft) -> str:
        found = self._identified(draft)
        if not found:
            found = self._asked.own(draft, self.names)
            if not self._shelf.has(found):
                self.unknown.append(_by_name(found))
                return found
            for identifier in draft.identifiers:
                self._new.setdefault((draft.type, *identifier), found)
        return found

    def _identified(self, draft: Draft) -> str:
        for system, value in draft.identifiers:
            key = (draft.type, system, value)
            among = [path for path in self._shelf.with_identifier(key) if self._shelf.get(path).there]
            if len(among) > 1:
                return self._best(key, among)
            if among:
                return among[0]
            if key in self._new:
                return self._new[key]
        return ""

    def _best(self, identifier: Identifier, among: list[str]) -> str:
        """Of several with an identifier one that has not been merged away, if it can be the one made for it."""
        living = [path for path in among if not successor(self._shelf.get(path))] or among
        made_for_it = f"{identifier[0]}/{ids.of_identifier(self._asked.hasher, *identifier)}"
        return made_for_it if made_for_it in living else living[0]

    def _living(self, path: str) -> str:
        """The patient that a patient lives on as, after however many merges."""
        seen = {path}
        while following := successor(self._shelf.get(path)):
            if not self._shelf.has(following):
                self.unknown.append(_by_name(following))
                return path
            if (
                following in seen
                or following in self._away
                or len(seen) >= LONGEST_CHAIN
                or not self._shelf.get(following).there
            ):
                return path
            seen.add(following)
            path = following
        return path

    @property
    def still_holds(self) -> bool:
        """Whether nothing that it was made from has been changed since by other messages of the transaction."""
        asked, touched = self._asked, self._shelf.touched
        if not touched:
            return True
        identifiers = ((draft.type, *one) for draft in asked.order for one in draft.identifiers)
        return (
            touched.isdisjoint(self.names.values())
            and touched.isdisjoint(asked.guessed.values())
            and touched.isdisjoint(identifiers)
            # Somebody on the way to whoever lives on may have been changed.
            and not self.merged_away
        )


def _by_name(path: str) -> Wanted:
    resource_type, _, resource_id = path.partition("/")
    return Wanted(resource_type, None, resource_id)


def resolved(asked: Asked, shelf: Shelf) -> Resolution:
    """The names of a message's drafts, with whatever has to be looked up for them."""
    while True:
        found = Resolution(asked, shelf)
        if not found.unknown:
            return found
        shelf.fetch(found.unknown)


def look_up(many: Iterable[Asked], shelf: Shelf) -> list[Resolution]:
    """Look up what many messages are about: one statement where patients are known, else two or three for all."""
    asked = list(many)
    shelf.fetch(wanted for one in asked for wanted in one.wanted())
    while True:
        found = [Resolution(one, shelf) for one in asked]
        unknown = [wanted for one in found for wanted in one.unknown]
        if not unknown:
            return found
        shelf.fetch(unknown)
