"""What one message says about resources, before it is known which of them exist already. docs/hl7.md

A message states some elements of a resource and is silent about the rest. A draft holds these statements one by one,
each under a slot of its own, so that a later message that states the same slot replaces exactly what the earlier one
said, and `""` takes it away. ``deliver`` finds the resource that a draft is about, and merges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Final

from hl7_gateway.problems import Place

DRAFT: Final = f"urn:draft:{token_hex(6)}:"
"""How a reference names another draft of the same message: {"reference": "urn:draft:...:Patient#1"}.

No sender can know it, so that no text of a message is taken for one.
"""

ENDS_EARLY: Final = "The period ends before it starts; its end was left out."
"""What is told of a period that FHIR cannot have: https://hl7.org/fhir/R4/datatypes.html#Period"""


@dataclass(frozen=True, slots=True)
class Said:
    """One value and where it stood. ``places`` has the path below the value (itself: "") as key."""

    value: Any
    places: Mapping[str, Place]

    @property
    def texts(self) -> dict[str, str]:
        """The places as texts, by path."""
        told: Callable[[], dict[str, str]] | None = getattr(self.places, "texts", None)
        return told() if told is not None else {path: str(place) for path, place in self.places.items()}


@dataclass(frozen=True, slots=True)
class Stated:
    """What a message says about an element.

    ``path`` leads from the resource to it through elements that do not repeat ("birthDate", "telecom",
    "hospitalization.admitSource"). ``slot`` tells what in a message it comes from ("PID-13",
    "PV1[Encounter]:participant[2]"): what earlier messages said under the same slot and path is replaced. ``values``
    holds one entry for an element that does not repeat, any number for one that does, none where the message deletes it
    (`""`).
    An element of a choice ("valueQuantity") takes the place of whichever other of it is there ("valueString").
    ``initial``: only for a resource that does not have the element yet; what it has is never replaced.
    """

    path: str
    slot: str
    values: tuple[Said, ...]
    initial: bool = False


@dataclass(slots=True)
class Draft:
    """A resource that a message speaks of.

    ``name`` is unique in the message ("Patient#1", "Observation#3").
    ``identifiers`` are (system, value) pairs, the most trusted first, by each of which the resource may be found: only
    such as identify it world-wide, never a number without its authority.
    ``natural`` is what identifies it where there are none: texts, and names of other drafts of the message beginning
    with DRAFT, whose ids take their places. A draft without both is a new resource with each message.
    ``stub``: the message only mentions it (a performer, a location): it is made where it does not exist, and what
    exists is not changed.
    ``action``: "write", "delete" (the message takes it back), "none" (others refer to it, and what it states holds
    where it is there; it is not made where it is not).
    """

    name: str
    type: str
    identifiers: list[tuple[str, str]] = field(default_factory=list)
    natural: tuple[str, ...] = ()
    stated: list[Stated] = field(default_factory=list)
    stub: bool = False
    action: str = "write"

    @property
    def reference(self) -> dict[str, Any]:
        """A Reference to it."""
        return {"reference": DRAFT + self.name}


@dataclass(frozen=True, slots=True)
class Merge:
    """Of an A40 and its kin: ``retired`` lives on as ``surviving``; both are names of drafts."""

    type: str
    retired: str
    surviving: str


@dataclass(frozen=True, slots=True)
class Warned:
    """What was not taken over as it was sent, and why. ``said`` never quotes the message."""

    place: Place
    said: str


@dataclass(slots=True)
class Conversion:
    """All that a message says. ``unmapped`` lists the fields with content that no rule reads."""

    drafts: list[Draft] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    unmapped: list[Place] = field(default_factory=list)
    bytes_received: int = 0
    bytes_unmapped: int = 0
