"""Where somebody works and how to reach them: PractitionerRole, and what is known of who is mentioned. docs/hl7.md

Who is mentioned is made where there is nobody of the number yet, and never changed, as everywhere.
"""

from __future__ import annotations

from typing import Any

from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.table import Convert
from hl7_gateway.conversion.walk import Converted, Parts, Walk
from hl7_gateway.message import Segment


def reached(walk: Walk, segment: Segment, field: int, draft: Draft, path: str, convert: Convert) -> None:
    """The repetitions of a field as entries of what is said of ``draft``, each once in a message."""
    for number, value in enumerate(segment.repetitions(field), 1):
        if not value.raw or value.null:
            continue
        walk.at(segment, field, number)
        if walk.count((path, draft.name, value.raw)):
            continue
        found = convert(value, walk)
        if found:
            if draft.type == "Organization" and isinstance(found[0], dict) and found[0].get("use") == "home":
                # R4 has organizations without a home: constraints org-2, org-3.
                found[0].pop("use")
            walk.gather(draft, path, *found, slot=f"{segment.name}-{field}")


def works(
    walk: Walk, person: Draft, company: Draft | None, place: Converted | None, segment: Segment, field: int
) -> Draft:
    """The person at the organization and place; ``field`` is where it is told."""
    where: dict[str, Any] = place[0] if place else {}
    key = (person.name, company.name if company else "", "" if company else where.get("reference", ""))
    made, new = walk.stub("PractitionerRole", key)
    if new:
        at = (DRAFT + company.name,) if company else (where.get("reference", ""),)
        made.natural = ("PRD" if company else "role", DRAFT + person.name, *at)
        walk.at(segment, field)
        slot = f"{segment.name}-{field}#role"
        walk.state(made, "practitioner", person.reference, slot=f"{slot}#practitioner")
        if company is not None:
            walk.state(made, "organization", company.reference, slot=f"{slot}#organization")
    if place is not None and not walk.count(("location", made.name, where.get("reference", ""))):
        parts: Parts = place[1]
        walk.gather(made, "location", where, parts, f"{segment.name}-{field}#location")
    return made
