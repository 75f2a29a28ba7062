"""One pass over a message: what it has said so far, and what the segments that come refer to. docs/hl7.md

Segments follow each other in the order of their message structure, but senders leave out, repeat and misplace them:
what a segment belongs to is decided by what came before it, so that none is dropped for standing elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from hl7_gateway.conversion.draft import DRAFT, Conversion, Draft, Merge, Said, Stated, Warned
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message, Segment
from hl7_gateway.problems import Place

Parts = dict[str, "int | Place"]
"""Path below a value -> the component that it comes from, or another place."""

Converted = tuple[Any, Parts]
"""A value of FHIR, and where its parts stood."""


class Places(Mapping[str, Place]):
    """Where the parts of a value stood: places are made when they are asked for."""

    __slots__ = ("_field", "_number", "_parts", "_repetition", "_segment")

    def __init__(self, segment: str, number: int, field: int, repetition: int, parts: Parts) -> None:
        self._segment = segment
        self._number = number
        self._field = field
        self._repetition = repetition
        self._parts = parts

    def __getitem__(self, path: str) -> Place:
        part = self._parts.get(path)
        if type(part) is Place:
            return part
        if part is None:
            if path:
                raise KeyError(path)
            part = 0
        return Place(self._segment, self._number, self._field, self._repetition, cast(int, part))

    def __iter__(self) -> Iterator[str]:
        if "" not in self._parts:
            yield ""
        yield from self._parts

    def __len__(self) -> int:
        return len(self._parts) + ("" not in self._parts)

    def texts(self) -> dict[str, str]:
        """The places as texts, as str() tells each; what lineage keeps of every value, without a Place for each."""
        parts = self._parts
        at = f"{self._segment}[{self._number}]" if self._number != 1 else self._segment
        if self._field:
            at = f"{at}-{self._field}"
        if self._repetition > 1:
            at = f"{at}[{self._repetition}]"
        found = {} if "" in parts else {"": at}
        for path, part in parts.items():
            found[path] = str(part) if type(part) is Place else f"{at}.{part}" if part else at
        return found


class Walk:
    """What a message has said so far.

    ``current`` holds the draft of each kind that a later segment may belong to ("Patient", "Encounter", "order").
    ``segments`` holds the last segment of each name, ``observations`` those of the current report,
    ``texts`` the lines of the current document, ``parts`` what several segments say together.
    ``here`` is the segment, field and repetition that is being converted.
    """

    def __init__(self, message: Message, mapping: FeedMapping) -> None:
        self.message = message
        self.mapping = mapping
        self.event = message.event
        self.conversion = Conversion()
        self.current: dict[str, Draft] = {}
        self.segments: dict[str, Segment] = {}
        self.observations: list[Draft] = []
        self.texts: list[tuple[str, Place]] = []
        self.parts: dict[tuple[str, str], dict[str, Any]] = {}
        self.here: tuple[Segment, int, int] = (message.header, 0, 0)
        self.index = 0
        self._counts: dict[str, int] = {}
        self._stubs: dict[str, Draft] = {}
        self._known: dict[tuple[Any, ...], Draft] = {}
        self._keys: dict[tuple[str, ...], int] = {}
        self._gathered: dict[tuple[str, str, str], tuple[Draft, list[Said]]] = {}
        self._gathering: set[tuple[str, str]] = set()
        self._read: dict[int, set[int]] = {}

    def draft(self, kind: str) -> Draft:
        """A new draft of a resource type."""
        number = self._counts[kind] = self._counts.get(kind, 0) + 1
        made = Draft(f"{kind}#{number}", kind)
        self.conversion.drafts.append(made)
        return made

    def has_drafted(self, kind: str) -> bool:
        """Whether there is a draft of a resource type."""
        return kind in self._counts

    def stub(self, kind: str, key: tuple[Any, ...]) -> tuple[Draft, bool]:
        """The draft of what is only mentioned, the same each time it is; and whether this is the first time."""
        found = self._known.get((kind, *key))
        if found is not None:
            return found, False
        made = self._known[(kind, *key)] = self.draft(kind)
        made.stub = True
        self._stubs[made.name] = made
        return made, True

    def once(self, kind: str, key: str) -> tuple[Draft, bool]:
        """The draft of what there is once in a message; and whether this is the first time."""
        made, new = self.stub(kind, (key,))
        made.stub = False
        return made, new

    def mentioned(self, reference: dict[str, Any]) -> Draft | None:
        """The draft that a reference leads to, where it is only mentioned."""
        return self._stubs.get(str(reference.get("reference", "")).removeprefix(DRAFT))

    def state(
        self, draft: Draft, path: str, value: Any, parts: Parts | None = None, *, slot: str = "", initial: bool = False
    ) -> None:
        """Have ``draft`` say something of the field that is being converted.

        ``slot`` tells several statements of a field apart, ``initial`` as in Stated.
        """
        said = Said(value, self.places(parts or {}))
        draft.stated.append(Stated(path, slot or self.slot(), (said,), initial))

    def gather(self, draft: Draft, path: str, value: Any, parts: Parts, slot: str) -> None:
        """Add an entry to what is said under a slot: those of several segments are replaced together."""
        self._gathering.add((draft.name, path))
        self._gathered.setdefault((draft.name, path, slot), (draft, []))[1].append(Said(value, self.places(parts)))

    def continue_note(self, draft: Draft, value: dict[str, Any], parts: Parts, slot: str) -> None:
        """Add a line to the note that the segment before began, or begin one: senders cut a note into segments."""
        last = self.message.segments[self.index - 1] if self.index else None
        segment = self.here[0]
        _, notes = self._gathered.get((draft.name, "note", slot), (draft, []))
        if notes and last is not None and last.name == segment.name and not last[5] and not last[6]:
            notes[-1].value["text"] += f"\n{value['text']}"
        else:
            self.gather(draft, "note", value, parts, slot)

    def continue_text(self, draft: Draft, path: str, said: str, slot: str) -> None:
        """Add a line to a text that does not repeat, or begin it."""
        self._gathering.add((draft.name, path))
        _, lines = self._gathered.setdefault((draft.name, path, slot), (draft, []))
        if lines:
            lines[0] = Said(f"{lines[0].value}\n{said}", lines[0].places)
        else:
            lines.append(Said(said, self.places({})))

    def has(self, draft: Draft, path: str) -> bool:
        """Whether anything has been said of an element."""
        return (draft.name, path) in self._gathering or any(stated.path == path for stated in draft.stated)

    def settle(self) -> None:
        """Have the drafts say what was gathered."""
        for (_, path, slot), (draft, values) in self._gathered.items():
            draft.stated.append(Stated(path, slot, tuple(values)))
        self._gathered.clear()
        self._gathering.clear()

    def take_back(self, draft: Draft, path: str, slot: str) -> None:
        """Have ``draft`` say that an element is not there any more."""
        draft.stated.append(Stated(path, slot, ()))

    def count(self, key: tuple[str, ...]) -> int:
        """How often this was asked before with the same key: what tells apart things that are alike."""
        number = self._keys.get(key, 0)
        self._keys[key] = number + 1
        return number

    def places(self, parts: Parts) -> Places:
        """Places of parts of the field that is being converted."""
        segment, field, repetition = self.here
        return Places(segment.name, segment.number, field, repetition, parts)

    def slot(self) -> str:
        """What the field that is being converted is called as a slot."""
        segment, field, _ = self.here
        return f"{segment.name}-{field}" if field else segment.name

    def at(self, segment: Segment, field: int = 0, repetition: int = 1) -> None:
        """Say which field is being converted: its content counts as read."""
        self.here = (segment, field, repetition)
        if field:
            self.read(segment, field)

    def place(self) -> Place:
        """Where that is."""
        segment, field, repetition = self.here
        return Place(segment.name, segment.number, field, repetition)

    def warn(self, said: str) -> None:
        """Tell what was not taken over as it was sent. ``said`` never quotes the message."""
        warned = Warned(self.place(), said)
        if self.conversion.warnings[-1:] != [warned]:
            self.conversion.warnings.append(warned)

    def read(self, segment: Segment, *fields: int) -> None:
        """These fields are taken over, or have been looked at and mean nothing more."""
        self._read.setdefault(segment.position, set()).update(fields)

    def was_read(self, segment: Segment) -> set[int]:
        """The fields of a segment that were."""
        return self._read.get(segment.position, _NOTHING)

    def latest(self, kind: str) -> Draft | None:
        """The draft of a type that was spoken of last, and is more than mentioned."""
        found = self.current.get(kind)
        if found is not None:
            return found
        return next((one for one in reversed(self.conversion.drafts) if one.type == kind and not one.stub), None)

    def merge(self, retired: Draft, surviving: Draft) -> None:
        """``retired`` lives on as ``surviving``."""
        self.conversion.merges.append(Merge(surviving.type, retired.name, surviving.name))

    def following(self) -> Segment | None:
        """The segment after the one that is being converted."""
        segments = self.message.segments
        return segments[self.index + 1] if self.index + 1 < len(segments) else None


_NOTHING: Final[set[int]] = set()
