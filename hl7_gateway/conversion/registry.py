"""Which messages are converted, and by which family. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from hl7_gateway.conversion.families.adt import ADT
from hl7_gateway.conversion.families.carried import CARRIED
from hl7_gateway.conversion.families.documents import DOCUMENTS
from hl7_gateway.conversion.families.family import Family
from hl7_gateway.conversion.families.finance import ACCOUNTS, CHARGES
from hl7_gateway.conversion.families.pharmacy import PHARMACY
from hl7_gateway.conversion.families.problems import PROBLEMS
from hl7_gateway.conversion.families.referral import REFERRALS
from hl7_gateway.conversion.families.results import ORDERS, RESULTS, SPECIMENS
from hl7_gateway.conversion.families.scheduling import SCHEDULING
from hl7_gateway.conversion.families.vaccination import VACCINATIONS


def _events(letter: str, *ranges: tuple[int, int] | int) -> frozenset[str]:
    numbers = [n for r in ranges for n in (range(r[0], r[1] + 1) if isinstance(r, tuple) else (r,))]
    return frozenset(f"{letter}{number:02}" for number in numbers)


_KINDS: Final[Mapping[str, tuple[Family, frozenset[str]]]] = {
    "ADT": (ADT, _events("A", (1, 18), (20, 31), (34, 41), (44, 47), (52, 55), 60)),
    "MDM": (DOCUMENTS, _events("T", (1, 11))),
    "ORU": (RESULTS, _events("R", 1, 30, 31, 32)),
    "OUL": (SPECIMENS, _events("R", (21, 24))),
    "ORM": (ORDERS, _events("O", 1)),
    "OML": (ORDERS, _events("O", 21, 33, 35)),
    "OMG": (ORDERS, _events("O", 19)),
    "BAR": (ACCOUNTS, _events("P", 1, 2, 5, 6, 10, 12)),
    "DFT": (CHARGES, _events("P", 3, 11)),
    "PPR": (PROBLEMS, frozenset({"PC1", "PC2", "PC3"})),
    "RAS": (PHARMACY, _events("O", 17)),
    "RDE": (PHARMACY, _events("O", 11, 25)),
    "RDS": (PHARMACY, _events("O", 13)),
    "REF": (REFERRALS, _events("I", (12, 14))),
    "VXU": (VACCINATIONS, _events("V", 4)),
    "SIU": (SCHEDULING, _events("S", (12, 24), 26)),
}

FAMILIES: Final[Mapping[str, tuple[Family, frozenset[str]]]] = {
    kind: (replace(family, handlers={**CARRIED, **family.handlers}), events)
    for kind, (family, events) in _KINDS.items()
}
"""Message type (MSH-9.1) -> family, with a handler of every segment that is read, and trigger events."""

SUPPORTED: Final[Mapping[str, frozenset[str]]] = {kind: events for kind, (_, events) in FAMILIES.items()}
