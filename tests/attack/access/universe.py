"""Two patients of one clinic with resources of every type, each of which carries a canary that nothing else has.

Patient a is treated by one practitioner, patient b by another; their resources refer to each other's wherever that
makes them no part of each other's records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from fhir_server.r4 import definitions
from fhir_server.search.registry import parameters
from tests.attack.access.filler import Values, filled

Resource = dict[str, Any]

OWNERS = ("a", "b")
CANARY = re.compile(r"zz([a-z])([ab]{1,2})(\d)([a-z]+)zz", re.IGNORECASE)
"""tenant, owner, variant, resource type in small letters"""

_ONCE = frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson"})
"""Types of which each owner has one alone: who they are decides who sees whom."""

_NEVER_STORED = frozenset({"Parameters", "OperationOutcome"})
"""Types that nobody keeps; they are stored here nevertheless, in one variant."""

PLAIN, CROSSED, LABELLED, WITHHELD, SHARED, DELETED, MOVED, EARLIER, NAMING, CONSENTING = range(10)
"""Variants: with references to its owner's alone; with references to the other's; with a label of psychotherapy; one
that a consent of its patient withholds; one that is about both patients; one that was deleted; one that was about the
other patient before, and what it was then; one that names the other's practitioner; a consent that withholds."""

_WITH_ALL_VARIANTS = ("Observation", "Condition", "DocumentReference", "Task", "Appointment", "MedicationRequest")
_SHARED = ("Account", "Appointment", "Group", "Provenance")

_NAMING = ("Task", "Communication")

PSYCHOTHERAPY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
LABORATORY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}

_STATUS = {
    "CareTeam": "active",
    "Consent": "draft",
    "Encounter": "in-progress",
    "SearchParameter": "draft",
    "ServiceRequest": "active",
    "Appointment": "booked",
    "Subscription": "off",
}
"""What decides who is related to whom, or what the server would act upon."""


@dataclass(frozen=True)
class Item:
    """One resource of the universe: whose it is ("a", "b" or "ab"), which variant, and the resource."""

    tenant: str
    owner: str
    variant: int
    body: Resource = field(compare=False)
    earlier: Item | None = field(default=None, compare=False)

    @property
    def type(self) -> str:
        """Its resource type."""
        return str(self.body["resourceType"])

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.body["id"])

    @property
    def reference(self) -> str:
        """Type/id"""
        return f"{self.type}/{self.id}"

    @cached_property
    def text(self) -> str:
        """The resource as JSON."""
        return json.dumps(self.body)

    @property
    def canary(self) -> str:
        """What stands in its values and in no other resource's."""
        return canary(self.tenant, self.owner, self.variant, self.type)

    def __hash__(self) -> int:
        return hash((self.tenant, self.owner, self.variant, self.body["resourceType"]))


def canary(tenant: str, owner: str, variant: int, resource_type: str) -> str:
    """The word that one resource alone has in its values."""
    return f"zz{tenant}{owner}{variant}{resource_type.lower()}zz"


def id_of(owner: str, resource_type: str, variant: int = PLAIN) -> str:
    """The id of one of the universe's resources."""
    return f"{owner}{0 if resource_type in _ONCE else variant}-{resource_type.lower()}"


def other(owner: str) -> str:
    """The other patient."""
    return "b" if owner == "a" else "a"


@cache
def universe(tenant: str) -> tuple[Item, ...]:
    """Everything that a clinic has, in the order in which it is written; ``tenant`` is a letter for its canaries."""
    items = []
    for resource_type in sorted(definitions.load().resource_types, key=lambda name: (name != "Patient", name)):
        for variant in variants(resource_type):
            owners = ("ab",) if variant == SHARED else OWNERS
            items += [_item(tenant, owner, variant, resource_type) for owner in owners]
    return (*items, *_consents(tenant))


def _item(tenant: str, owner: str, variant: int, resource_type: str) -> Item:
    body = _body(tenant, owner, variant, resource_type)
    earlier = None
    if variant == MOVED:
        before = _body(tenant, other(owner), EARLIER, resource_type)
        earlier = Item(tenant, other(owner), EARLIER, {**before, "id": body["id"]})
    return Item(tenant, owner, variant, body, earlier)


def variants(resource_type: str) -> Iterator[int]:
    """The variants that there are of a type."""
    yield PLAIN
    if resource_type in _ONCE or resource_type in _NEVER_STORED:
        return
    yield CROSSED
    if resource_type in _WITH_ALL_VARIANTS:
        yield from (LABELLED, WITHHELD, DELETED, MOVED)
    if resource_type in _SHARED:
        yield SHARED
    if resource_type in _NAMING:
        yield NAMING


def values(tenant: str, owner: str, variant: int, resource_type: str) -> Values:
    """What is written into a resource."""
    number = {"a": 1100, "b": 2200, "ab": 3300}[owner] + variant
    year = {"a": 2001, "b": 2002, "ab": 2003}[owner]
    day = f"{year}-03-{10 + variant}"
    return Values(canary(tenant, owner, variant, resource_type), day, number, owner == "a", variant)


def _body(tenant: str, owner: str, variant: int, resource_type: str) -> Resource:
    made = values(tenant, owner, variant, resource_type)
    whose = owner[0]

    def refer(targets: tuple[str, ...], path: str, many: bool) -> list[str]:
        return _references(resource_type, whose, variant, targets, path, many=many)

    body = filled(resource_type, made, refer)
    body["id"] = id_of(owner, resource_type, variant)
    body["meta"] = {
        "tag": [{"system": "urn:zz", "code": made.canary}],
        "source": f"urn:{made.canary}",
        "profile": [f"http://example.org/{made.canary}"],
        "security": [{"system": "urn:zz", "code": made.canary}, *([PSYCHOTHERAPY] if variant == LABELLED else [])],
    }
    if "text" in definitions.load().types[resource_type].elements:
        div = f'<div xmlns="http://www.w3.org/1999/xhtml">{made.canary}</div>'
        body["text"] = {"status": "generated", "div": div}
    if resource_type in _STATUS:
        body["status"] = _STATUS[resource_type]
    _adjust(body, owner, variant, made)
    return body


def _with_quantity(body: Resource, number: int) -> None:
    for name in [name for name in body if name.startswith("value")]:
        del body[name]
    body["valueQuantity"] = {"value": number, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}


def _adjust(body: Resource, owner: str, variant: int, made: Values) -> None:
    """What decides who sees a resource is said plainly."""
    doctor = {"reference": f"Practitioner/{id_of(owner[0], 'Practitioner')}"}
    patients = [{"reference": f"Patient/{id_of(one, 'Patient')}", "display": made.canary} for one in owner]
    colleague = {"reference": f"Practitioner/{id_of(other(owner[0]), 'Practitioner')}"}
    match body["resourceType"]:
        case "Task" if variant == NAMING:
            body["owner"] = colleague
        case "Communication" if variant == NAMING:
            body["recipient"] = [colleague]
        case "Patient":
            body["generalPractitioner"] = [doctor]
        case "Observation":
            body["category"] = [*body["category"], *([{"coding": [LABORATORY]}] if variant == CROSSED else [])]
            body["contained"] = [
                {"resourceType": "Practitioner", "id": "inside", "name": [{"family": made.canary}]},
            ]
            body["performer"] = [{"reference": "#inside"}, *body["performer"]]
            if variant != CROSSED:
                _with_quantity(body, made.number)
        case "Consent":
            # Neither permits nor denies anything: docs/care.md.
            body["scope"] = {"coding": [{"system": "urn:zz", "code": made.canary}]}
        case "Account":
            body["subject"] = patients
        case "Appointment":
            actors = [doctor, *patients]
            body["participant"] = [{"actor": actor, "status": "accepted"} for actor in actors]
            body["created"] = "2020-01-01"
            body["start"], body["end"] = f"{made.day}T10:00:00Z", f"{made.day}T11:00:00Z"
        case "Group":
            body["member"] = [{"entity": patient} for patient in patients]
        case "Provenance":
            body["target"] = [{"reference": f"Observation/{id_of(one, 'Observation')}"} for one in owner] + patients


def _references(
    resource_type: str, owner: str, variant: int, targets: tuple[str, ...], path: str, *, many: bool
) -> list[str]:
    known = definitions.load().type_ids
    wanted = [name for name in targets if name in known] or ["Patient", "Basic", "Device"]
    if variant % 2 and "Patient" not in wanted[:1]:
        wanted = wanted[::-1]
    if "Patient" in wanted and (not many or path == _patient_element(resource_type)):
        return [f"Patient/{id_of(owner, 'Patient')}"]
    crossed = variant == CROSSED and path.count(".") < 3
    found = []
    for name in wanted if many else wanted[:1]:
        elsewhere = crossed and name not in _ONCE and resource_type not in ("Provenance", "Consent")
        found.append(f"{name}/{id_of(other(owner) if elsewhere else owner, name)}")
    if crossed and many and "Patient" in wanted and resource_type in definitions.load().patient_path:
        # Named in passing, which puts nothing into a record.
        found.insert(0, f"Patient/{id_of(other(owner), 'Patient')}")
    return found


@cache
def _patient_element(resource_type: str) -> str:
    """The path of the element that says which patient a resource is about."""
    code = definitions.load().patient_path.get(resource_type)
    if code is None:
        return ""
    match = re.search(rf"\b{resource_type}\.\w+", parameters(resource_type)[code].expression)
    return match[0] if match else ""


def _consents(tenant: str) -> Iterator[Item]:
    """Consents by which each patient withholds what is of the variant WITHHELD."""
    for owner in OWNERS:
        word = canary(tenant, owner, CONSENTING, "Consent")
        denied = [
            {"meaning": "instance", "reference": {"reference": f"{name}/{id_of(owner, name, WITHHELD)}"}}
            for name in _WITH_ALL_VARIANTS
        ]
        yield Item(
            tenant,
            owner,
            CONSENTING,
            {
                "resourceType": "Consent",
                "id": id_of(owner, "Consent", CONSENTING),
                "status": "active",
                "scope": {
                    "coding": [
                        {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
                    ]
                },
                "category": [{"text": word}],
                "patient": {"reference": f"Patient/{id_of(owner, 'Patient')}"},
                "policyRule": {
                    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]
                },
                "provision": {"type": "deny", "data": denied},
            },
        )
