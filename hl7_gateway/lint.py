"""Conformance of a message: to the structure and the segments of its version, and to what the gateway asks for.

https://www.hl7.eu/HL7v2x/v281/std281/ch02b.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from hl7_gateway.conformance.definitions import Node, known_version, segment, structure
from hl7_gateway.conformance.fields import fields
from hl7_gateway.conformance.finding import Finding
from hl7_gateway.conformance.order import order
from hl7_gateway.message import Message, Segment
from hl7_gateway.problems import Malformed, Place
from hl7_gateway.wire import charset
from hl7_gateway.wire.checks import problems
from hl7_gateway.wire.versions import before

_MOST: Final = 500
"""How many findings are told of one message."""

_SHARED: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "ADT": {
        "A01": ("A04", "A08", "A13"),
        "A05": ("A14", "A28", "A31"),
        "A06": ("A07",),
        "A09": ("A10", "A11"),
        "A21": ("A22", "A23", "A25", "A26", "A27", "A29", "A32", "A33"),
        "A30": ("A34", "A35", "A36", "A46", "A47", "A48", "A49"),
        "A39": ("A40", "A41", "A42"),
        "A43": ("A44",),
        "A50": ("A51",),
        "A52": ("A53",),
        "A54": ("A55",),
        "A61": ("A62",),
    },
    "MDM": {"T01": ("T03", "T05", "T07", "T09", "T11"), "T02": ("T04", "T06", "T08", "T10")},
    "PPR": {"PC1": ("PC2", "PC3")},
    "RDE": {"O11": ("O25",)},
    "REF": {"I12": ("I13", "I14", "I15")},
    "SIU": {"S12": (*(f"S{number}" for number in range(13, 25)), "S26", "S27")},
}
"""Table 0354: message type -> structure -> other events that have it. https://terminology.hl7.org/CodeSystem-v2-0354.html"""


def lint(message: Message) -> list[Finding]:
    """What is not as its version of the standard says, in the order of the segments."""
    found = list(islice(_findings(message), _MOST))
    positions = {(one.name, one.number): one.position for one in message.segments}
    return sorted(_unique(found), key=lambda finding: _key(finding, positions))


def lint_bytes(raw: bytes, default: str = "UNICODE UTF-8") -> list[Finding]:
    """The same for bytes as they came, with what is wrong with their character set, or that they are no message."""
    found = charset.read(raw, charset.declared(raw), default, "replace")
    told = []
    place = Place("MSH", field=18)
    if found.unknown:
        told.append(Finding("W", place, "the character set must be one of table 0211"))
    if found.replaced:
        told.append(Finding("E", place, "there are bytes that are not of the character set that it names"))
    try:
        return told + lint(Message(found.text))
    except Malformed as error:
        return [*told, Finding("E", Place("MSH"), str(error))]


def event_structure(kind: str, event: str, version: str) -> Node | None:
    """The structure of a message by its type and event, None for one that the version does not have."""
    shared = _SHARED.get(kind, {})
    base = next((base for base, others in shared.items() if event in others), event)
    # Before structures had names, each event had its own.
    events = (event, base) if before(version, "2.3") else (base, event)
    for name in (*(f"{kind}_{one}" for one in events), kind):
        found = structure(version, name)
        if found is not None:
            return found
    return None


def _findings(message: Message) -> Iterator[Finding]:
    for problem in problems(message):
        yield Finding("E", problem.place or Place("MSH"), problem.said)
    version = known_version(message.version)
    expected = event_structure(message.message_type, message.event, version)
    if expected is None:
        place = Place("MSH", field=9, repetition=1, component=2)
        yield Finding(
            "W", place, f"version {version} must have the trigger event, so that its structure can be checked"
        )
    else:
        if message.structure and message.structure != expected.name:
            place = Place("MSH", field=9, repetition=1, component=3)
            yield Finding("W", place, f"the structure of this event is {expected.name} in version {version}")
        yield from order(message, expected)
    for one in message.segments:
        yield from _segment(one, version)


def _segment(one: Segment, version: str) -> Iterator[Finding]:
    if one.name.startswith("Z"):
        yield Finding("I", Place(one.name, one.number), "a local segment: it is kept, and mapped where a feed says so")
    elif segment(version, one.name) is None:
        yield Finding("W", Place(one.name, one.number), f"version {version} has no such segment")
    else:
        yield from fields(one, version)
    if "\n" in one.raw:
        yield Finding(
            "E", Place(one.name, one.number), "a line end within a text must be escaped, as \\.br\\ or \\X0A\\"
        )


def _unique(found: Iterable[Finding]) -> list[Finding]:
    """Without what is told twice: what the gateway requires, the standard often does too."""
    kept: list[Finding] = []
    required: set[Place] = set()
    for finding in dict.fromkeys(found):
        if finding.severity == "E" and "required" in finding.said:
            if finding.place in required:
                continue
            required.add(finding.place)
        kept.append(finding)
    return kept


def _key(finding: Finding, positions: dict[tuple[str, int], int]) -> tuple[int, int, int, int, int]:
    place = finding.place
    at = positions.get((place.segment, place.number), len(positions))
    return (at, place.field, place.repetition, place.component, place.subcomponent)
