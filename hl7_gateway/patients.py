"""Whom a message is about, as hashes by which messages are found and kept in order.

docs/decisions/0018-messages-in-order.md
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fhir_server.crypto.hashing import Hasher
from fhir_server.store.identified import token_text
from hl7_gateway.conversion.convert import MOST_SEGMENTS
from hl7_gateway.conversion.datatypes.identifiers import pair
from hl7_gateway.conversion.families.patient import patient_identifiers
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.delivery.ids import of_identifier
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message
from hl7_gateway.overrides.change import TranslateByMap
from hl7_gateway.overrides.changed import changed
from hl7_gateway.problems import Place, Refused

MOST: Final = 200
"""How many identifiers of patients a message may name: each is a lock while it is converted."""

_IDENTIFYING: Final = (("PID", (3, 2, 4)), ("MRG", (1, 2, 4)))


def refuse_crowds(message: Message) -> None:
    """Raises Refused for a message that names more identifiers of patients than can be kept in order."""
    cut = message.delimiters.repetition
    count = 0
    for name, fields in _IDENTIFYING:
        for segment in message.all(name):
            for field in fields:
                content = segment[field]
                count += (content.count(cut) if cut else 0) + bool(content)
            if count > MOST:
                said = f"A message may name {MOST} identifiers of patients; send it in parts."
                raise Refused(207, "AE", Place(segment.name, segment.number, fields[0]), said)


class Whom(NamedTuple):
    """Hashes of the identifiers of a message's patients.

    ``patients``: by which messages are found, and share what they name. ``tokens``: as the search index has them, by
    which the Patients are found who have them. ``keys``: of the Patients that are made for them.
    """

    patients: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    keys: tuple[int, ...] = ()


def whom(message: Message, mapping: FeedMapping, hasher: Hasher) -> Whom:
    """Hashes for each identifier of each patient of a message, those of a merge included, without order.

    None of a message that is too long to be converted.
    """
    by_hash = {patient_hash(hasher, *one): one for one in named(message, mapping)}
    # A feed's own mapping may have made more of them than there were.
    numbers = sorted(by_hash)[:MOST]
    found = [("Patient", *by_hash[number]) for number in numbers]
    return Whom(
        tuple(numbers),
        tuple(hasher(token_text(*one)) for one in found),
        tuple(hasher.uncached(f"Patient/{of_identifier(hasher, *one)}") for one in found),
    )


def named(message: Message, mapping: FeedMapping) -> set[tuple[str, str]]:
    """System and value of each identifier of each patient of a message: those by which conversion knows a Patient."""
    if len(message.segments) > MOST_SEGMENTS:
        return set()
    # ConceptMaps have no say in it, overrides/reading.py, and are not there where messages are received.
    changes = [one for one in mapping.overrides if not isinstance(one, TranslateByMap)]
    walk = Walk(changed(message, changes), mapping)
    found: set[tuple[str, str]] = set()
    for pid in walk.message.all("PID"):
        found.update(patient_identifiers(walk, pid))
    for mrg in walk.message.all("MRG"):
        for field in (1, 2, 4):
            for value in mrg.repetitions(field):
                known = pair(value, walk)
                if known is not None:
                    found.add(known)
    return found


def patient_hash(hasher: Hasher, system: str, value: str) -> int:
    """The hash of one identifier; without a space between, no two pairs could be told apart."""
    return hasher.uncached(f"hl7-patient {system} {value}")
