"""What another mapping would make of a message: the difference, before it is switched on. docs/hl7-overrides.md"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from fhir_server.r4 import json
from hl7_gateway.conversion.draft import Conversion, Draft


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not said any more, and what is said instead: lines as `Patient#1.gender = "male"`."""

    gone: tuple[str, ...]
    new: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.gone or self.new)


def difference(before: Conversion, after: Conversion) -> Difference:
    """Compare what two mappings make of the same message, statement by statement."""
    one, other = Counter(_lines(before)), Counter(_lines(after))
    return Difference(tuple((one - other).elements()), tuple((other - one).elements()))


def _lines(conversion: Conversion) -> list[str]:
    found = []
    for draft in conversion.drafts:
        found.append(f"{draft.name} is {_identity(draft)}")
        for stated in draft.stated:
            if not stated.values:
                found.append(f"{draft.name}.{stated.path} is taken away ({stated.slot})")
            found += [f"{draft.name}.{stated.path} = {json.dumps(said.value).decode()}" for said in stated.values]
    found += [f"{merge.retired} lives on as {merge.surviving}" for merge in conversion.merges]
    return found


def _identity(draft: Draft) -> str:
    if draft.identifiers:
        return " or ".join(f"{system}|{value}" for system, value in draft.identifiers)
    return " / ".join(draft.natural) or "new each time"
