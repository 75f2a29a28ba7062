"""Patients and visits as a page lists them: what the person themselves may search, through the one decision.
docs/access.md"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fhir_server.access.policy import NOTHING
from fhir_server.access.principal import Principal
from fhir_server.access.scopes import parse as parse_scopes
from fhir_server.audit import event as events
from fhir_server.console.visit import Visit
from fhir_server.dispatch import perform
from fhir_server.errors import FhirError, Forbidden, Gone, NotFound
from fhir_server.interactions import read, search
from fhir_server.interactions.context import Context, Tenant
from fhir_server.r4 import json

PAGE = 20
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_SEARCH_SYNTAX = re.compile(r"([\\,$|])")


@dataclass(frozen=True, slots=True)
class Shown:
    """One line to choose from: an id, a name, and what tells it from others of the same name."""

    id: str
    name: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sought:
    """What a person has typed to find a patient."""

    name: str = ""
    birthdate: str = ""
    identifier: str = ""

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What cannot be searched for."""
        if not self.birthdate:
            return []
        try:
            date.fromisoformat(self.birthdate)
        except ValueError:
            return [("birthdate", "Write the date of birth as year-month-day, for example 1980-05-31.")]
        return []

    def pairs(self) -> list[tuple[str, str]]:
        """The search parameters: each word of a name must be found. https://hl7.org/fhir/R4/patient.html#search"""
        pairs = [("name", _literal(word)) for word in self.name.split()[:6]]
        if self.birthdate:
            pairs.append(("birthdate", self.birthdate))
        if self.identifier:
            pairs.append(("identifier", _literal(self.identifier.strip())))
        return pairs


def sought(visit: Visit) -> Sought:
    """What was typed into the form of this visit."""
    return Sought(*(visit.value(name, 100).strip() for name in ("name", "birthdate", "identifier")))


def found(visit: Visit, wanted: Sought, cursor: str = "") -> tuple[list[Shown], str]:
    """A page of the patients that the person may see, and the cursor of the next one or "".

    Raises BadRequest for a cursor that is not the person's.
    """
    fixed = [("_sort", "family,given"), ("_count", str(PAGE)), ("_elements", "name,birthDate,gender,identifier")]
    bundle = _search(visit, "Patient", [("_cursor", cursor)] if cursor else [*wanted.pairs(), *fixed])
    following = [link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"]
    onward = parse_qs(urlsplit(following[0]).query).get("_cursor", [""])[0] if following else ""
    return [patient_shown(entry) for entry in _matches(bundle)], onward


def patient(visit: Visit, patient_id: str) -> Shown | None:
    """The patient of this id, or None where the person may not see one."""
    if not _ID.fullmatch(patient_id):
        return None
    ctx = _context(visit)
    try:
        response = perform(ctx, "read", "Patient", lambda c: read.run(c, "Patient", patient_id))
    except (Forbidden, NotFound, Gone):
        return None
    visit.record("read", resource_type="Patient", resource_id=patient_id, patient_ids=(patient_id,))
    return patient_shown(json.parse(response.body or b"{}"))


def encounters(visit: Visit, patient_id: str) -> list[Shown]:
    """The latest visits of a patient that the person may see."""
    pairs = [("patient", f"Patient/{patient_id}"), ("_sort", "-date"), ("_count", str(PAGE))]
    try:
        return [_encounter_shown(entry) for entry in _matches(_search(visit, "Encounter", pairs))]
    except Forbidden:
        return []


def principal(visit: Visit) -> Principal:
    """The person, as the decision knows people: no app stands between, their roles alone say what they reach."""
    person = visit.somebody
    return Principal(visit.slug, person.id, "", parse_scopes("user/*.rs"), person.roles, person.fhir_user)


def _context(visit: Visit) -> Context:
    services = visit.services
    taken = tuple((role, tuple(removed)) for role, removed in visit.settings.narrowed.items())
    base = f"{services.settings.public_url}/t/{visit.slug}/fhir"
    tenant = Tenant(visit.tenant.id, visit.slug, taken)
    return Context(tenant, principal(visit), NOTHING, services.store_of(visit.tenant), base)


def _search(visit: Visit, resource_type: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    ctx = _context(visit)
    query = f"GET {resource_type}?" + "&".join(f"{name}={value}" for name, value in pairs)
    try:
        response = perform(ctx, "search-type", resource_type, lambda c: search.run(c, resource_type, pairs))
    except FhirError as error:
        visit.record(
            "search-type",
            outcome=events.REFUSED,
            status=error.status,
            resource_type=resource_type,
            query=query,
            reason=ctx.trace.reason,
            decision=ctx.trace.decision,
        )
        raise
    visit.record("search-type", resource_type=resource_type, query=query, patients=tuple(sorted(ctx.trace.patients)))
    bundle: dict[str, Any] = json.parse(response.body or b"{}")
    return bundle


def _matches(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    entries = bundle.get("entry", ())
    return [entry["resource"] for entry in entries if entry.get("search", {}).get("mode") == "match"]


def patient_shown(resource: dict[str, Any]) -> Shown:
    """A Patient as a line."""
    details = [_day(resource.get("birthDate", "")), str(resource.get("gender", ""))]
    for identifier in [one for one in resource.get("identifier", ()) if not _official(one)][:2]:
        if value := identifier.get("value"):
            label = identifier.get("type", {}).get("text") or _coding(identifier.get("type", {})) or "No."
            details.append(f"{label} {value}")
    return Shown(resource["id"], person_name(resource.get("name", ())), tuple(text for text in details if text))


_OFFICIAL = frozenset(("SS", "SB", "DL", "PPN", "TAX", "BR"))
"""Kinds of numbers that open doors elsewhere and are not needed to tell two patients apart.

https://hl7.org/fhir/R4/v2/0203/index.html
"""


def _official(identifier: dict[str, Any]) -> bool:
    codes = {coding.get("code") for coding in identifier.get("type", {}).get("coding", ())}
    return bool(codes & _OFFICIAL) or str(identifier.get("system", "")).endswith("us-ssn")


def person_name(names: Sequence[dict[str, Any]]) -> str:
    """A name as people write it, out of several. https://hl7.org/fhir/R4/datatypes.html#HumanName"""
    order = {"official": 0, "usual": 1, None: 2}
    for name in sorted(names, key=lambda one: order.get(one.get("use"), 3)):
        parts = [*(name.get("given") or ()), name.get("family")]
        text = name.get("text") or " ".join(part for part in parts if part)
        if text:
            return str(text)
    return "(no name)"


def _encounter_shown(resource: dict[str, Any]) -> Shown:
    kinds = [_coding(one) or one.get("text", "") for one in resource.get("type", ())]
    what = next((kind for kind in kinds if kind), "") or resource.get("class", {}).get("display", "") or "Visit"
    day = _day(str(resource.get("period", {}).get("start", ""))[:10])
    return Shown(resource["id"], " · ".join(text for text in (day, what, str(resource.get("status", ""))) if text))


def _coding(concept: dict[str, Any]) -> str:
    return next((str(coding["display"]) for coding in concept.get("coding", ()) if coding.get("display")), "")


def _day(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return text
    return f"{day.day} {day:%B %Y}"


def _literal(text: str) -> str:
    """Typed text as a search value: nothing in it is syntax. https://hl7.org/fhir/R4/search.html#escaping"""
    return _SEARCH_SYNTAX.sub(r"\\\1", text)
