"""The conditions behind the invariants of invariants.py that need more than a look at which elements exist.

Each takes a node whose structure has been checked. https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

Node = Mapping[str, Any]

UCUM = "http://unitsofmeasure.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
MEALS = frozenset({"C", "CM", "CD", "CV"})
ANSWERABLE = frozenset(
    {"choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity"}
)
MEASURABLE = frozenset({"boolean", "decimal", "integer", "string", "text", "url", "open-choice"})
_OVER = frozenset({"resolved", "remission", "inactive"})
_DATE_LENGTH = 10


def after(first: str | None, second: str | None) -> bool:
    """Whether a date or dateTime is certainly later than another; False where precision leaves it open."""
    if first is None or second is None:
        return False
    if len(first) <= _DATE_LENGTH or len(second) <= _DATE_LENGTH:
        common = min(len(first), len(second), _DATE_LENGTH)
        return first[:common] > second[:common]
    if first[19:] == second[19:]:
        return first > second
    return _moment(first) > _moment(second)


def _moment(text: str) -> datetime:
    if text[17:19] == "60":
        # A leap second is not known to datetime; it comes after everything else of its minute.
        zone = text[19:].lstrip(".0123456789")
        return datetime.fromisoformat(text[:17] + "59.999999" + zone)
    return datetime.fromisoformat(text)


def exceeds(low: Node | None, high: Node | None) -> bool:
    """Whether one Quantity is more than another; False where their units differ or a value is missing."""
    if low is None or high is None or "value" not in low or "value" not in high:
        return False
    same_unit = (low.get("system"), low.get("code")) == (high.get("system"), high.get("code"))
    if "code" not in low:
        same_unit = same_unit and low.get("unit") == high.get("unit")
    return same_unit and bool(low["value"] > high["value"])


def age(o: Node) -> bool:
    """age-1. https://hl7.org/fhir/R4/datatypes.html#Age"""
    if not ("code" in o or "_code" in o or ("value" not in o and "_value" not in o)):
        return False
    return o.get("system", UCUM) == UCUM and bool(o.get("value", 1) > 0)


def count(o: Node) -> bool:
    """cnt-3. https://hl7.org/fhir/R4/datatypes.html#Count"""
    if not ("code" in o or "_code" in o or ("value" not in o and "_value" not in o)):
        return False
    return o.get("system", UCUM) == UCUM and o.get("code", "1") == "1" and "." not in str(o.get("value", ""))


def _has_coding(concept: Node | None, system: str, codes: frozenset[str]) -> bool:
    codings = concept.get("coding", ()) if concept is not None else ()
    return any(coding.get("system") == system and coding.get("code") in codes for coding in codings)


_ERROR = frozenset({"entered-in-error"})


def allergy_entered_in_error(o: Node) -> bool:
    """Whether an AllergyIntolerance's verificationStatus is entered-in-error (ait-1, ait-2)."""
    return _has_coding(o.get("verificationStatus"), TERMINOLOGY + "allergyintolerance-verification", _ERROR)


def condition_entered_in_error(o: Node) -> bool:
    """Whether a Condition's verificationStatus is entered-in-error (con-5)."""
    return _has_coding(o.get("verificationStatus"), TERMINOLOGY + "condition-ver-status", _ERROR)


def condition_is_over(o: Node) -> bool:
    """Whether a Condition's clinicalStatus is resolved, remission or inactive (con-4)."""
    return _has_coding(o.get("clinicalStatus"), TERMINOLOGY + "condition-clinical", _OVER)


def component_repeats_code(o: Node) -> bool:
    """Whether a component of an Observation has a coding of the Observation itself (obs-7)."""
    own = {_identity(coding) for coding in o.get("code", {}).get("coding", ())}
    components = o.get("component", ()) if own else ()
    return any(
        _identity(coding) in own for component in components for coding in component.get("code", {}).get("coding", ())
    )


def _identity(coding: Node) -> bytes:
    """A Coding as something that a set can hold, equal for equal codings."""
    return msgspec.json.encode(coding, order="sorted")


def when_is_a_meal(o: Node) -> bool:
    """Whether Timing.repeat.when names a meal as such, not before or after it (tim-9)."""
    return not MEALS.isdisjoint(o.get("when", ()))


def member_may_be_practitioner(o: Node) -> bool:
    """False where CareTeam.participant.member names a type other than Practitioner (ctm-1)."""
    reference = o.get("member", {}).get("reference", "")
    named, slash, _ = reference.partition("/")
    return not slash or not named.isalpha() or named == "Practitioner"


def entry_has(o: Node, name: str) -> bool:
    """Whether an entry of a Bundle or List has an element."""
    return any(name in entry or "_" + name in entry for entry in o.get("entry", ()))


def entries_have(o: Node, name: str, expected: bool) -> bool:
    """Whether every entry of a Bundle has an element, or none (bdl-3, bdl-4)."""
    return all((name in entry) is expected for entry in o.get("entry", ()))


def full_urls_are_distinct(o: Node) -> bool:
    """bdl-7: no two entries have one fullUrl and one version."""
    seen = [
        (entry["fullUrl"], entry.get("resource", {}).get("meta", {}).get("versionId", ""))
        for entry in o.get("entry", ())
        if "fullUrl" in entry
    ]
    return len(seen) == len(set(seen))


def has_full_identifier(o: Node) -> bool:
    """bdl-9: the Bundle's identifier has a system and a value."""
    identifier = o.get("identifier", {})
    return ("system" in identifier or "_system" in identifier) and ("value" in identifier or "_value" in identifier)


def first_entry_is(o: Node, resource_type: str) -> bool:
    """Whether the first entry of a Bundle holds a resource of a type (bdl-11, bdl-12)."""
    entries = o.get("entry", ())
    return bool(entries) and entries[0].get("resource", {}).get("resourceType") == resource_type


def _below(o: Node, name: str) -> Iterator[Node]:
    """The children of a name, and theirs of the same name, at any depth."""
    waiting = list(o.get(name, ()))
    while waiting:
        item = waiting.pop()
        yield item
        waiting.extend(item.get(name, ()))


def link_ids_are_distinct(o: Node) -> bool:
    """que-2: no two items of a Questionnaire share a linkId."""
    seen = [item["linkId"] for item in _below(o, "item") if "linkId" in item]
    return len(seen) == len(set(seen))


def concept_codes_are_distinct(o: Node) -> bool:
    """csd-1: no two concepts of a CodeSystem share a code."""
    seen = [concept["code"] for concept in _below(o, "concept") if "code" in concept]
    return len(seen) == len(set(seen))


def groupings_are_known(o: Node) -> bool:
    """ig-1: ImplementationGuide.definition.resource.groupingId names a grouping by its id."""
    known = {grouping.get("id") for grouping in o.get("grouping", ())}
    return all(resource.get("groupingId") in known for resource in o.get("resource", ()) if "groupingId" in resource)


def versions_are_known(o: Node) -> bool:
    """ig-2: every resource's fhirVersion is among the guide's."""
    known = set(o.get("fhirVersion", ()))
    resources = o.get("definition", {}).get("resource", ())
    return all(known.issuperset(resource.get("fhirVersion", ())) for resource in resources)


def _paths(view: Node) -> list[str]:
    return [element.get("path", "") for element in view.get("element", ())]


def snapshot_paths_start_right(o: Node) -> bool:
    """sdf-8: the snapshot's first path is the type, all others stand below the first."""
    paths = _paths(o.get("snapshot", {}))
    if not paths:
        return True
    right = o.get("kind") == "logical" or paths[0] == o.get("type")
    return right and all(path.startswith(paths[0] + ".") for path in paths[1:])


def differential_paths_start_right(o: Node) -> bool:
    """sdf-8a: the differential's first path starts with the type, all others stand below the same root."""
    paths = _paths(o.get("differential", {}))
    if not paths:
        return True
    right = o.get("kind") == "logical" or paths[0].startswith(o.get("type", ""))
    root = paths[0].split(".", 1)[0] + "."
    return right and all(path.startswith(root) for path in paths[1:])
