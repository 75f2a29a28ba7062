"""One message applied to the resources that it is about: what is to be written, not written yet. docs/hl7.md"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from fhir_server.errors import FhirError, Invalid
from fhir_server.interactions.context import Context
from fhir_server.interactions.write import deletion, prepare
from fhir_server.r4 import json
from fhir_server.store.hl7_lineage import NONE, digest
from fhir_server.store.resources import Write
from hl7_gateway.conversion import mending
from hl7_gateway.conversion.draft import ENDS_EARLY, Conversion, Draft, Said, Stated, Warned
from hl7_gateway.delivery import unchanged
from hl7_gateway.delivery.elements import NoSuchElement, kind_of
from hl7_gateway.delivery.merge import Lineage, Merging
from hl7_gateway.delivery.references import References
from hl7_gateway.delivery.resolve import Resolution
from hl7_gateway.delivery.shelf import Known, Shelf
from hl7_gateway.delivery.work import Work
from hl7_gateway.problems import Place, Refused

_MRG: Final = Place("MRG", 1, 1)


@dataclass(slots=True)
class Change:
    """A resource that a message changes: what it is now, what it becomes, and the Write that makes it so.

    ``write`` is None where its lineage alone becomes another.
    """

    before: Known
    after: Known
    write: Write | None


@dataclass(slots=True)
class Applied:
    """What a message comes to. ``unchanged`` counts resources that it speaks of and that are as it says already."""

    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    warnings: list[Warned] = field(default_factory=list)


class Application:
    """Applies one message, for the feed that ``ctx`` acts for."""

    def __init__(self, ctx: Context, shelf: Shelf, work: Work, conversion: Conversion, resolution: Resolution) -> None:
        self._ctx = ctx
        self._shelf = shelf
        self._message = work.message
        self._version = work.version
        self._feed = work.feed
        self._conversion = conversion
        self._names = resolution.names
        self._merged_away = resolution.merged_away
        self._merged: dict[str, Merging] = {}
        self._statements: dict[str, dict[tuple[str, str], tuple[Stated, list[Said]]]] = {}
        self._keys: dict[str, bytes] = {}
        # What is merged or deleted is changed by more than what is said of it.
        self._only_states = not conversion.merges and all(draft.action != "delete" for draft in conversion.drafts)
        self._applied = Applied()
        self._gone = self._not_there()
        # Told by the two alone: what led back to this object would keep all of it until the collector comes.
        self._path_of = partial(_path, self._names, self._gone)
        self._references = References(self._path_of, self._applied.warnings)

    def run(self) -> Applied:
        """What is to be written. Raises Refused for what would not be valid, naming the field that says so."""
        for draft in self._conversion.drafts:
            if draft.action != "delete":
                self._gather(draft)
        for path, statements in self._statements.items():
            if self._leaves_as_it_is(path, statements.values()):
                self._applied.unchanged += 1
                continue
            merging = self._merging(path)
            told = len(self._applied.warnings)
            for stated, values in statements.values():
                self._state(merging, Stated(stated.path, stated.slot, tuple(values), stated.initial))
            if len(self._applied.warnings) > told:
                # They are to be told each time.
                self._keys.pop(path, None)
        for merge in self._conversion.merges:
            self._merge(merge.type, self._names[merge.retired], self._names[merge.surviving])
        deleted = [self._names[draft.name] for draft in self._conversion.drafts if draft.action == "delete"]
        for path, merging in self._merged.items():
            if path not in deleted:
                if merging.changed:
                    self._mend(merging)
                self._finish(self._shelf.get(path), merging)
        for path in dict.fromkeys(deleted):
            self._delete(self._shelf.get(path))
        return self._applied

    def _leaves_as_it_is(self, path: str, statements: Collection[tuple[Stated, list[Said]]]) -> bool:
        """Whether these statements are known to come to nothing, by a message before that said the same."""
        if not self._shelf.get(path).there or not self._only_states:
            return False
        found = self._keys[path] = unchanged.key(self._traced(path), statements, self._path_of)
        return unchanged.is_known(found)

    def _not_there(self) -> frozenset[str]:
        """The resources that references may not lead to: not there, and not made by this message; or deleted by it."""
        drafts = self._conversion.drafts
        made = {self._names[draft.name] for draft in drafts if draft.action == "write"}
        deleted = {self._names[draft.name] for draft in drafts if draft.action == "delete"}
        asked = {self._names[draft.name] for draft in drafts if draft.action == "none"}
        return frozenset(deleted | {path for path in asked - made if not self._shelf.get(path).there})

    def _gather(self, draft: Draft) -> None:
        """Add what a draft says to what others of the message say of the same resource.

        Entries of a list that the message says under one slot are said together: what earlier messages said is
        replaced, not what this one says. Of an element that does not repeat, the last holds.
        """
        path = self._names[draft.name]
        if draft.stub and self._shelf.get(path).there:
            return
        if draft.action == "none" and (path in self._gone or not draft.stated):
            return
        statements = self._statements.setdefault(path, {})
        for stated in draft.stated:
            if stated.path == "identifier":
                stated = self._identifiers(draft, stated)
            key = (stated.path, stated.slot)
            if key in statements and self._repeats(draft.type, stated):
                statements[key][1].extend(stated.values)
            else:
                statements.pop(key, None)
                statements[key] = (stated, list(stated.values))

    def _repeats(self, resource_type: str, stated: Stated) -> bool:
        try:
            return kind_of(resource_type, stated.path).repeats
        except NoSuchElement as error:
            raise _unknown(stated, error) from None

    def _identifiers(self, draft: Draft, stated: Stated) -> Stated:
        """What a feed says of identifiers replaces what this feed has said of them: others know it by other numbers.

        The numbers of a patient who was merged away stay with them.
        """
        values = stated.values
        if draft.name in self._merged_away:
            known = self._shelf.get(self._merged_away[draft.name]).content().get("identifier", ())
            theirs = {(one.get("system"), one.get("value")) for one in known}
            values = tuple(one for one in values if (one.value.get("system"), one.value.get("value")) not in theirs)
            return Stated("identifier", f"{stated.slot} {self._feed} {self._merged_away[draft.name]}", values)
        return Stated("identifier", f"{stated.slot} {self._feed}", values, stated.initial)

    def _state(self, merging: Merging, stated: Stated) -> None:
        try:
            resolved = self._references.resolved(merging.type, stated) if stated.values else stated
            if resolved is not None:
                merging.state(resolved)
        except NoSuchElement as error:
            raise _unknown(stated, error) from None

    def _traced(self, path: str) -> Known:
        """A resource with its lineage, where it is there."""
        known = self._shelf.get(path)
        if known.there and known.lineage is None:
            self._shelf.trace([path])
            known = self._shelf.get(path)
        return known

    def _merging(self, path: str) -> Merging:
        found = self._merged.get(path)
        if found is None:
            known = self._traced(path)
            found = Merging(known.type, known.content(), known.said(), self._message, self._version)
            self._merged[path] = found
        return found

    # Merges

    def _merge(self, kind: str, retired: str, surviving: str) -> None:
        """Have one resource live on as another.

        A Patient is retired by its link, an Account by its status and partOf, for it has no links. What refers to the
        retired one (its encounters, its results) is not rewritten: whoever reads it follows the link.
        https://hl7.org/fhir/R4/patient.html#links
        """
        if retired == surviving:
            return
        away, stays = self._merging(retired), self._merging(surviving)
        if kind == "Account":
            self._say(away, "status", "MRG-3", "inactive")
            self._say(away, "partOf", "MRG-3", {"reference": surviving})
            return
        if kind != "Patient":
            raise Refused(207, "AE", _MRG, f"A {kind} cannot be merged into another one.")
        self._unlink(retired, away, surviving)
        self._say(away, "active", "MRG-1#active", False)
        self._say(away, "link", "MRG-1#replaced-by", {"other": {"reference": surviving}, "type": "replaced-by"})
        if stays.body.get("active") is False and _links(stays, retired, "replaced-by"):
            # What an earlier message said the other way round is taken back.
            stays.state(Stated("link", "MRG-1#replaced-by", ()))
            self._say(stays, "active", "MRG-1#active", True)
        self._say(stays, "link", f"MRG-1#replaces {retired}", {"other": {"reference": retired}, "type": "replaces"})

    def _unlink(self, retired: str, away: Merging, surviving: str) -> None:
        """Take back what earlier messages said of whom the retired one lives on as, or replaces."""
        for link in list(away.body.get("link", ())):
            other = link.get("other", {}).get("reference", "")
            if link.get("type") == "replaced-by" and other != surviving and other.startswith("Patient/"):
                if self._shelf.get(other).there:
                    self._merging(other).state(Stated("link", f"MRG-1#replaces {retired}", ()))
                self._applied.warnings.append(Warned(_MRG, "The retired patient lived on as another one before."))
        if _links(away, surviving, "replaces"):
            away.state(Stated("link", f"MRG-1#replaces {surviving}", ()))

    def _say(self, merging: Merging, path: str, slot: str, value: Any) -> None:
        merging.state(Stated(path, slot, (Said(value, {"": _MRG}),)))

    # Writes

    def _mend(self, merging: Merging) -> None:
        """What messages say one by one, and FHIR does not have together."""
        if mending.ends_early(merging.body):
            self._without(merging, "period.end", "period.start", ENDS_EARLY)
        if mending.untimed(merging.type, merging.body):
            self._warn(merging, "status", "participant", mending.UNTIMED)
            merging.state(Stated("status", "SCH-25", (Said(mending.PROPOSED, {}),)))

    def _without(self, merging: Merging, path: str, beside: str, said: str) -> None:
        self._warn(merging, path, beside, said)
        merging.state(Stated(path, "", ()))

    def _warn(self, merging: Merging, path: str, beside: str, said: str) -> None:
        place = self._place(merging.lineage, path) or self._place(merging.lineage, beside)
        if place is not None:
            self._applied.warnings.append(Warned(place, said))

    def _finish(self, known: Known, merging: Merging) -> None:
        # Two drafts of one resource may have said one thing and then what was there before.
        if known.there and (not merging.changed or digest(merging.body) == digest(known.content())):
            self._applied.unchanged += 1
            if merging.traced:
                after = _after(known, known.version, known.meta, known.body, merging.lineage)
                self._applied.changes.append(Change(known, after, None))
            elif not merging.changed and known.path in self._keys:
                unchanged.note(self._keys[known.path])
            return
        # One that was deleted is there again as its next version.
        method = "PUT" if known.version else "POST"
        resource = {"resourceType": known.type, "id": known.id, **merging.body}
        try:
            write = prepare(self._ctx, resource, known.id, method, known.version)
        except FhirError as error:
            raise self._refused(merging, error) from None
        after = _after(known, known.version + 1, write.meta, write.body, merging.lineage)
        self._applied.changes.append(Change(known, after, write))

    def _delete(self, known: Known) -> None:
        if not known.there:
            self._applied.unchanged += 1
            return
        write = deletion(known.type, known.id, known.version)
        after = Known(known.type, known.id, known.version + 1)
        self._applied.changes.append(Change(known, after, write))

    def _refused(self, merging: Merging, error: FhirError) -> Refused:
        """What is wrong with a resource as what is wrong with the message, without what either holds."""
        issue = error.issues[0]
        path = _INDEX.sub("", issue.expression.partition(".")[2])
        rule = "is not valid" if isinstance(error, Invalid) else "cannot be stored"
        place = self._place(merging.lineage, path)
        return Refused(207, "AE", place, f"{issue.expression or merging.type} {rule} ({issue.code}).")

    def _place(self, lineage: Lineage, path: str) -> Place | None:
        """Where an element, or what is nearest above it, comes from; None for what this message has not said."""
        steps = path.split(".") if path else []
        while steps:
            slots = lineage.get(".".join(steps), {}).values()
            own = (text for slot in slots if slot["m"] == self._message for _, at in slot["s"] for text in at.values())
            if text := next(own, ""):
                return _read(text)
            steps.pop()
        return None


def _path(names: Mapping[str, str], gone: Collection[str], name: str) -> str:
    """Where a draft leads to, "" where that is not there."""
    path = names.get(name, "")
    return "" if path in gone else path


def _unknown(stated: Stated, error: NoSuchElement) -> Refused:
    """A statement about an element that there is not."""
    place = next((place for said in stated.values for place in said.places.values()), None)
    return Refused(207, "AE", place, str(error))


def _after(known: Known, version: int, meta: bytes | None, body: bytes | None, lineage: Lineage) -> Known:
    return Known(known.type, known.id, version, meta, body, json.dumps(lineage) if lineage else NONE)


def _links(merging: Merging, other: str, kind: str) -> bool:
    links = merging.body.get("link", ())
    return any(link.get("type") == kind and link.get("other", {}).get("reference") == other for link in links)


_INDEX = re.compile(r"\[\d+\]")


_PLACE = re.compile(r"([A-Z0-9]{3})(?:\[(\d+)\])?(?:-(\d+)(?:\[(\d+)\])?(?:\.(\d+))?(?:\.(\d+))?)?")


def _read(text: str) -> Place | None:
    """A Place from what it is as text."""
    found = _PLACE.fullmatch(text)
    if found is None:
        return None
    segment, number, *rest = found.groups()
    return Place(segment, int(number or 1), *(int(one or 0) for one in rest))
