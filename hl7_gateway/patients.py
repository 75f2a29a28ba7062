"""Whom a message is about, as hashes by which messages are found and kept in order.

docs/decisions/0018-messages-in-order.md
"""

from __future__ import annotations

from fhir_server.crypto.hashing import Hasher
from hl7_gateway.conversion.convert import MOST_SEGMENTS
from hl7_gateway.conversion.datatypes.identifiers import pair
from hl7_gateway.conversion.families.patient import patient_identifiers
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message
from hl7_gateway.overrides.changed import changed


def patients(message: Message, mapping: FeedMapping, hasher: Hasher) -> tuple[int, ...]:
    """A hash for each identifier of each patient of a message, those of a merge included, without order.

    The same identifiers by which conversion knows a Patient; none of a message that is too long to be converted.
    """
    if len(message.segments) > MOST_SEGMENTS:
        return ()
    walk = Walk(changed(message, mapping.overrides), mapping)
    found: set[tuple[str, str]] = set()
    for pid in walk.message.all("PID"):
        found.update(patient_identifiers(walk, pid))
    for mrg in walk.message.all("MRG"):
        for field in (1, 2, 4):
            for value in mrg.repetitions(field):
                known = pair(value, walk)
                if known is not None:
                    found.add(known)
    return tuple({patient_hash(hasher, *one) for one in found})


def patient_hash(hasher: Hasher, system: str, value: str) -> int:
    """The hash of one identifier; without a space between, no two pairs could be told apart."""
    return hasher.uncached(f"hl7-patient {system} {value}")
