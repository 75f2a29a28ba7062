"""From a message to what it says about resources. https://hl7.org/fhir/uv/v2mappings/"""

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.datatypes.codes import system_of
from hl7_gateway.conversion.draft import Conversion
from hl7_gateway.conversion.families.carried import FINISHERS
from hl7_gateway.conversion.registry import FAMILIES
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message
from hl7_gateway.overrides.changed import changed
from hl7_gateway.overrides.rows import rows
from hl7_gateway.problems import Place, Refused

MOST_SEGMENTS: Final = 20_000
"""How many segments are converted together: a report has hundreds."""

_ENVELOPE: Final = frozenset({"MSH", "SFT", "MSA", "DSC"})
"""Segments about the message itself, which is kept as it came."""


def convert(message: Message, mapping: FeedMapping) -> Conversion:
    """All that a message says, for a feed.

    Raises Refused for a message type (200) or event (201) that is not converted, and where nobody is named.
    """
    walk = walked(message, mapping)
    _count(walk)
    return walk.conversion


def walked(message: Message, mapping: FeedMapping) -> Walk:
    """The whole walk over a message, which knows also what has been read. Raises Refused as `convert`."""
    kind, event = message.message_type, message.event
    family, events = FAMILIES.get(kind, (None, frozenset()))
    if family is None:
        said = f"Message types that are converted: {', '.join(sorted(FAMILIES))}."
        raise Refused(200, "AR", Place("MSH", 1, 9, component=1), said)
    if event not in events:
        said = f"Trigger events of {kind} that are converted: {', '.join(sorted(events))}."
        raise Refused(201, "AR", Place("MSH", 1, 9, component=2), said)
    if len(message.segments) > MOST_SEGMENTS:
        said = f"A message may have {MOST_SEGMENTS:,} segments; send it in parts."
        raise Refused(207, "AE", None, said)
    if mapping.wanting:
        raise Refused(207, "AE", None, f"The feed's mapping cannot be used. {'; '.join(mapping.wanting)}.")
    walk = Walk(_changed(message, mapping), mapping)
    own = rows(mapping.overrides)
    for index, segment in enumerate(walk.message.segments):
        handler = family.handlers.get(segment.name)
        walk.index = index
        walk.segments[segment.name] = segment
        if handler is not None:
            handler(walk, segment)
        for one in own.get(segment.name, ()):
            target = walk.latest(one.target)
            if target is not None:
                one.apply(segment, target, walk)
    walk.settle()
    for drafted, finish in FINISHERS.items():
        if walk.has_drafted(drafted):
            finish(walk)
    if family.finish is not None:
        family.finish(walk)
    walk.settle()
    return walk


def _changed(message: Message, mapping: FeedMapping) -> Message:
    if not mapping.overrides:
        return message
    return changed(message, mapping.overrides, lambda name: system_of(name, mapping))


def _count(walk: Walk) -> None:
    """Which fields with content no rule has read."""
    conversion = walk.conversion
    for segment in walk.message.segments:
        conversion.bytes_received += len(segment.raw) + 1
        if segment.name in _ENVELOPE:
            continue
        read = walk.was_read(segment)
        for field, content in enumerate(segment.fields):
            if content and field and field not in read:
                conversion.unmapped.append(Place(segment.name, segment.number, field))
                conversion.bytes_unmapped += len(content)
