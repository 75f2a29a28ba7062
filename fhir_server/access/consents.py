"""What patients consent to: rules out of Consent resources, and whether they withhold a resource. Pure, no I/O.

https://hl7.org/fhir/R4/consent.html; what is read of one and how, in docs/care.md. Where a consent says what a rule
cannot, denials reach further and permissions less far than it says. The same in SQL: store/consent_condition.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

from fhir_server.r4 import instants, references

SCOPE = ("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

BASE_POLICIES = {"OPTIN": True, "OPTINR": True, "OPTOUT": False, "OPTOUTE": False}
"""https://terminology.hl7.org/ValueSet-v3-ActConsentDirective.html"""

ACTIONS = frozenset({"access", "collect", "disclose", "use"})
"""https://hl7.org/fhir/R4/valueset-consent-action.html, those that seeing a record is."""

PURPOSES = frozenset({"TREAT", "CAREMGT"})
"""https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html, those that the record is kept for."""

_LEVELS = ("U", "L", "M", "N", "R", "V")
_ORIGIN = frozenset({"AUT", "CST", "ENT", "INF"})
_KNOWN_ACTORS = frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson"})

Code = tuple[str | None, str]
"""A system, if there is one, and a code."""


@dataclass(frozen=True, slots=True)
class Provision:
    """One provision with what it inherits from those around it; None is any. Times are [low, high)."""

    depth: int
    permit: bool
    low: int = instants.MIN
    high: int = instants.MAX
    data_low: int = instants.MIN
    data_high: int = instants.MAX
    types: frozenset[str] | None = None
    codes: frozenset[Code] | None = None
    labels: frozenset[Code] | None = None
    actors: frozenset[str] | None = None
    resources: frozenset[str] | None = None


_Outer = tuple[Provision | None, ...]
"""What a provision is inside of, as permissions take it and as denials do; None where nothing can meet it."""

_BOTH_WAYS: _Outer = (Provision(0, permit=True), Provision(0, permit=False))


class Rule(NamedTuple):
    """A provision of the consent ``source`` as consent_rule holds it: hashes and numbers for names, None for any."""

    source: int
    depth: int
    permit: bool
    low: int
    high: int
    data_low: int
    data_high: int
    types: frozenset[int] | None = None
    tokens: frozenset[int] | None = None
    labels: frozenset[int] | None = None
    actors: frozenset[int] | None = None
    resources: frozenset[int] | None = None


class Row(NamedTuple):
    """What rules look at of a resource: columns of ``resource``."""

    type_id: int
    key: int
    tokens: frozenset[int]
    date_low: int | None
    date_high: int | None


def denied(rules: Iterable[Rule], row: Row, persons: Collection[int], now: int) -> bool:
    """Whether a consent withholds a resource from whoever is known by the keys ``persons``.

    ``rules`` are those of its patient. Of the rules of one consent that match the deepest counts, and of those the one
    that denies; what one consent withholds no other one gives.
    """
    matching = sorted(
        (r for r in rules if _matches(r, row, persons, now)), key=lambda r: (r.source, -r.depth, r.permit)
    )
    return any(not next(found).permit for _, found in groupby(matching, key=lambda r: r.source))


def _matches(rule: Rule, row: Row, persons: Collection[int], now: int) -> bool:
    return (
        rule.low <= now < rule.high
        and (rule.types is None or row.type_id in rule.types)
        and (rule.tokens is None or not rule.tokens.isdisjoint(row.tokens))
        and (rule.labels is None or not rule.labels.isdisjoint(row.tokens))
        and (rule.actors is None or not rule.actors.isdisjoint(persons))
        and (rule.resources is None or row.key in rule.resources)
        and _in_time(rule, row)
    )


def _in_time(rule: Rule, row: Row) -> bool:
    if (rule.data_low, rule.data_high) == (instants.MIN, instants.MAX):
        return True
    if row.date_low is None or row.date_high is None:
        # Nobody knows when it was: it may be what is denied, and it may not be what is permitted.
        return not rule.permit
    return row.date_low < rule.data_high and row.date_high > rule.data_low


def patient_of(consent: dict[str, Any]) -> str:
    """The patient whose consent is in force ("Patient/1"); "" where it is none that is minded."""
    codings = consent.get("scope", {}).get("coding", ())
    if consent.get("status") != "active" or SCOPE not in {(one.get("system"), one.get("code")) for one in codings}:
        return ""
    found = references.parse(consent.get("patient", {}).get("reference", ""))
    return f"Patient/{found.id}" if (found.kind, found.type) == ("relative", "Patient") else ""


def provisions(consent: dict[str, Any]) -> list[Provision]:
    """What a consent says, with its base policy at depth 0. Those that can never match are left out."""
    policy = consent.get("policyRule", {}).get("coding", ())
    base = [BASE_POLICIES[one["code"]] for one in policy if one.get("code") in BASE_POLICIES and _is_act_code(one)]
    found: list[Provision] = []
    if base:
        found.append(Provision(0, all(base)))
    root = consent.get("provision")
    if root is not None:
        kind = root.get("type") or _exception(root, base)
        found += _below(root, _BOTH_WAYS, kind, foreign=False)
    # What nothing denies needs no permission either.
    return [] if all(one.permit for one in found) else found


def _is_act_code(coding: dict[str, Any]) -> bool:
    return coding.get("system") in (ACT_CODE, None)


def _exception(root: dict[str, Any], base: list[bool]) -> str:
    """What a root provision without a type is: an exception to the base policy, if it says from what.

    One with provisions of its own only says what they have in common. A period alone would permit everything.
    """
    conditions = root.keys() & {"action", "actor", "class", "code", "data", "dataPeriod", "purpose", "securityLabel"}
    if not base or "provision" in root:
        return ""
    if all(base):
        return "deny" if conditions or "period" in root else ""
    return "permit" if conditions else ""


def _below(root: dict[str, Any], outer: _Outer, kind: str, *, foreign: bool) -> Iterator[Provision]:
    """A provision and those inside of it, each as far as the ones around it apply as well.

    ``foreign`` says that they are about something else than seeing the record: then they permit nothing here.
    """
    foreign = foreign or not (_about(root.get("action"), ACTIONS) and _about(root.get("purpose"), PURPOSES))
    inner = tuple(None if one is None else _narrowed(root, one) for one in outer)
    for own in inner:
        if own is not None and kind == ("permit" if own.permit else "deny") and not (own.permit and foreign):
            yield own
    for one in root.get("provision", ()):
        yield from _below(one, inner, one.get("type", "deny"), foreign=foreign)


def _about(given: list[dict[str, Any]] | None, known: Collection[str]) -> bool:
    """Whether these actions or purposes, any of which applies, have a known one."""
    if not given:
        return True
    codings = [coding for one in given for coding in one.get("coding", [one])]
    return any(coding.get("code") in known for coding in codings)


def _narrowed(one: dict[str, Any], outer: Provision) -> Provision | None:
    """The provision with its own conditions added; None where nothing can meet them all."""
    low, high = instants.period(one.get("period", {}))
    first, last = instants.period(one.get("dataPeriod", {}))
    permit = outer.permit
    made = replace(
        outer,
        depth=outer.depth + 1,
        low=max(outer.low, low),
        high=min(outer.high, high),
        data_low=max(outer.data_low, first),
        data_high=min(outer.data_high, last),
        types=_both(outer.types, _types(one, permit=permit), permit, exact=True),
        codes=_both(outer.codes, _codes(one, permit=permit), permit),
        labels=_both(outer.labels, _labels(one, permit=permit), permit),
        actors=_both(outer.actors, _actors(one, permit=permit), permit),
        resources=_both(outer.resources, _resources(one, permit=permit), permit, exact=True),
    )
    empty = frozenset[str]()
    if made.low >= made.high or made.data_low >= made.data_high:
        return None
    return None if empty in (made.types, made.codes, made.labels, made.actors, made.resources) else made


def _both(
    outer: frozenset[Any] | None, inner: frozenset[Any] | None, permit: bool, *, exact: bool = False
) -> frozenset[Any] | None:
    """What meets both of two conditions.

    Something has one value where ``exact``. Else it may have one of the outer's and another one of the inner's, which
    a single list cannot say: permissions then want one that is in both, denials one of the inner's.
    """
    if outer is None or inner is None:
        return outer if inner is None else inner
    return outer & inner if exact or permit else inner


def _told(known: Iterable[Any], unknown: bool, permit: bool) -> frozenset[Any] | None:
    """A condition of which some values are not known here: permissions want a known one, denials take anything."""
    return None if unknown and not permit else frozenset(known)


def _types(one: dict[str, Any], *, permit: bool) -> frozenset[str] | None:
    given = one.get("class")
    if not given:
        return None
    known = {c["code"] for c in given if c.get("system") == RESOURCE_TYPES and "code" in c}
    return _told(known, any(c.get("system") != RESOURCE_TYPES or "code" not in c for c in given), permit)


def _codes(one: dict[str, Any], *, permit: bool) -> frozenset[Code] | None:
    given = one.get("code")
    if not given:
        return None
    known = {(c.get("system"), c["code"]) for concept in given for c in concept.get("coding", ()) if "code" in c}
    return _told(known, any(not any("code" in c for c in x.get("coding", ())) for x in given), permit)


def _labels(one: dict[str, Any], *, permit: bool) -> frozenset[Code] | None:
    """Security labels; of degrees of confidentiality also those above, or below for permissions.

    https://hl7.org/fhir/R4/consent-definitions.html#Consent.provision.securityLabel
    """
    given = one.get("securityLabel")
    if not given:
        return None
    known: set[Code] = set()
    for coding in given:
        system, code = coding.get("system"), coding.get("code")
        if code is None:
            continue
        known.add((system, code))
        if system == CONFIDENTIALITY and code in _LEVELS:
            at = _LEVELS.index(code)
            known |= {(system, level) for level in (_LEVELS[: at + 1] if permit else _LEVELS[at:])}
    return _told(known, any("code" not in coding for coding in given), permit)


def _actors(one: dict[str, Any], *, permit: bool) -> frozenset[str] | None:
    """Who sees the record. Who is in an organization, or where something comes from, is not known."""
    given = one.get("actor")
    if not given:
        return None
    known: set[str] = set()
    unknown = False
    for actor in given:
        reference = references.parse(actor.get("reference", {}).get("reference", ""))
        roles = {coding.get("code") for coding in actor.get("role", {}).get("coding", ())}
        if reference.kind == "relative" and reference.type in _KNOWN_ACTORS and roles.isdisjoint(_ORIGIN):
            known.add(f"{reference.type}/{reference.id}")
        else:
            unknown = True
    return _told(known, unknown, permit)


def _resources(one: dict[str, Any], *, permit: bool) -> frozenset[str] | None:
    """The resources themselves; not those that are related to them or depend on them."""
    given = one.get("data")
    if not given:
        return None
    known: set[str] = set()
    unknown = False
    for data in given:
        reference = references.parse(data.get("reference", {}).get("reference", ""))
        if reference.kind == "relative" and data.get("meaning") == "instance":
            known.add(f"{reference.type}/{reference.id}")
        else:
            unknown = True
    return _told(known, unknown, permit)
