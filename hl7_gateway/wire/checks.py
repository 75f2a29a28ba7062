"""What is refused before it is converted, with the code of table 0357 and the place. https://terminology.hl7.org/CodeSystem-v2-0357.html

Little is required: what a sender leaves out is its own affair, as long as it is clear which message this is, what it is
about, and whom.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from hl7_gateway.message import Message, Segment
from hl7_gateway.problems import Place, Refused
from hl7_gateway.wire.versions import VERSIONS

PROCESSING_IDS: Final = ("P", "T", "D")
"""Production, training, debugging. https://terminology.hl7.org/CodeSystem-v2-0103.html"""

_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "ADT": ("PID",),
    "BAR": ("PID",),
    "DFT": ("PID", "FT1"),
    "MDM": ("PID", "TXA"),
    "OMG": ("OBR",),
    "OML": ("OBR",),
    "ORM": ("ORC",),
    "ORU": ("OBR",),
    "OUL": ("OBR",),
    "PPR": ("PID", "PRB"),
    "RAS": ("RXA",),
    "RDE": ("RXE",),
    "RDS": ("RXD",),
    "REF": ("PID",),
    "SIU": ("SCH",),
    "VXU": ("PID", "RXA"),
}
"""Message type -> the segments without which there is nothing to take over."""

_WITHOUT_PATIENT: Final = frozenset({"A20"})
"""ADT about a bed."""

_MERGES: Final = frozenset({"A18", "A30", "A34", "A35", "A36", *(f"A{number}" for number in range(39, 52))})
"""Events of ADT that name the number that goes, in MRG."""

_IDENTIFIERS: Final = (3, 2, 4)
"""PID-3, and the fields that held a patient's number before 2.3.1."""


def check(
    message: Message,
    supported: Mapping[str, Collection[str]] | None = None,
    *,
    processing_ids: Collection[str] = PROCESSING_IDS,
) -> None:
    """Raises Refused for a message that is not taken.

    ``supported`` has the message types that are taken, and of each the trigger events; without it every type is. A
    version, a processing id that is not sent is tolerated.
    """
    for problem in problems(message, supported, processing_ids=processing_ids):
        raise problem


def problems(
    message: Message,
    supported: Mapping[str, Collection[str]] | None = None,
    *,
    processing_ids: Collection[str] = PROCESSING_IDS,
) -> Iterator[Refused]:
    """Everything for which a message is not taken, what matters most first."""
    yield from _header(message, supported, processing_ids)
    yield from _body(message)


def _header(
    message: Message, supported: Mapping[str, Collection[str]] | None, processing_ids: Collection[str]
) -> Iterator[Refused]:
    heading = message.heading
    version = heading.version.strip()
    if version and version not in VERSIONS:
        said = f"the version must be one of {', '.join(VERSIONS)}"
        yield Refused(203, "AR", Place("MSH", field=12), said)
    processing = heading.processing_id.strip()
    if processing and processing not in processing_ids:
        said = f"the processing id must be one of {', '.join(processing_ids)}"
        yield Refused(202, "AR", Place("MSH", field=11), said)
    kind, event = heading.message_type, message.event
    if not kind:
        yield Refused(101, "AE", Place("MSH", field=9, repetition=1, component=1), "a message type is required")
    elif supported is not None and kind not in supported:
        said = f"the message type must be one of {', '.join(sorted(supported))}"
        yield Refused(200, "AR", Place("MSH", field=9, repetition=1, component=1), said)
    elif supported is not None and event not in supported[kind]:
        # The type is one of ours here, so that it may be named.
        said = f"the trigger event must be one of those of {kind} that are taken: {', '.join(sorted(supported[kind]))}"
        yield Refused(201, "AR", Place("MSH", field=9, repetition=1, component=2), said)
    if not message.control_id.strip():
        yield Refused(101, "AE", Place("MSH", field=10), "a message control id is required")


def _body(message: Message) -> Iterator[Refused]:
    kind, event = message.message_type, message.event
    required = _REQUIRED.get(kind, ())
    if kind == "ADT" and event in _WITHOUT_PATIENT:
        required = ()
    if kind == "ADT" and event in _MERGES:
        required = (*required, "MRG")
    for name in required:
        if message.first(name) is None:
            yield Refused(101, "AE", Place(name), "the segment is required")
    if kind == "ADT":
        for patient in message.all("PID"):
            if not any(_valued(patient, number) for number in _IDENTIFIERS):
                place = Place("PID", patient.number, 3)
                yield Refused(101, "AE", place, "an identifier of the patient is required")
        if event in _MERGES:
            for merged in message.all("MRG"):
                # Accounts and visits merge by MRG-3 and MRG-5.
                if not any(_valued(merged, number) for number in (1, 3, 4, 5)):
                    place = Place("MRG", merged.number, 1)
                    yield Refused(101, "AE", place, "the identifier that goes is required")


def _valued(segment: Segment, number: int) -> bool:
    return bool(segment.text(number)) or any(value.component(1).text for value in segment.repetitions(number)[1:])
