"""What a resource says of who cares for whom, and of what its patient consents to, as the tables hold it. docs/care.md

Consents name codes and security labels of whatever resource they are found in; ``tokens`` of a row holds their hashes
by parameter, so that each stands for as many hashes as there are parameters that may hold it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from fhir_server.access import care, consents
from fhir_server.access.compartments import has_patients
from fhir_server.access.consents import Code, Provision, Rule
from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.errors import TooLarge
from fhir_server.r4 import definitions
from fhir_server.search.paths import paths
from fhir_server.search.registry import parameters
from fhir_server.store.index_rows import IndexRows

TYPES = frozenset({*care.TYPES, "Consent"})
"""The types that say any of it."""

MOST_HASHES = 100_000
"""The most hashes of one consent; each code takes some 150, unless classes of resources are named with it."""


def write(resource: dict[str, Any], rows: IndexRows, hasher: Hasher) -> None:
    """Write what a resource of one of `TYPES` says. Raises TooLarge for a consent of more than MOST_HASHES."""
    if resource["resourceType"] == "Consent":
        patient = consents.patient_of(resource)
        rows.consents = _rules(resource, patient, hasher) if patient else []
        return
    rows.care = [
        (
            hasher.uncached(one.person),
            hasher.uncached(one.patient) if one.patient else None,
            one.kind,
            one.low,
            one.high,
        )
        for one in care.relations(resource)
    ]


def _rules(consent: dict[str, Any], patient: str, hasher: Hasher) -> list[tuple[int, Rule]]:
    key = hasher.uncached(patient)
    found: list[tuple[int, Rule]] = []
    count = 0
    for provision in consents.provisions(consent):
        rule = rule_of(provision, hasher)
        count += len(rule.tokens or ()) + len(rule.labels or ()) + len(rule.actors or ()) + len(rule.resources or ())
        if count > MOST_HASHES:
            raise TooLarge(
                f"The consent comes to more than {MOST_HASHES} values to compare records with; name the classes of "
                "resources in Consent.provision.class, or split it into several.",
                code="too-costly",
            )
        found.append((key, rule))
    return found


def rule_of(provision: Provision, hasher: Hasher) -> Rule:
    """A provision as consent_rule holds it, of no source yet."""
    ids = definitions.load().type_ids
    names = _with_patients() if provision.types is None else sorted(provision.types & ids.keys())
    permit = provision.permit
    coded = [param for name in names for param in _coded(name)]
    security = [param_id(f"{name}._security") for name in names]
    return Rule(
        0,
        provision.depth,
        permit,
        provision.low,
        provision.high,
        provision.data_low,
        provision.data_high,
        None if provision.types is None else frozenset(ids[name] for name in names),
        _hashes(provision.codes, coded, hasher, permit=permit),
        _hashes(provision.labels, security, hasher, permit=permit),
        None if provision.actors is None else frozenset(hasher.uncached(one) for one in provision.actors),
        None if provision.resources is None else frozenset(hasher.uncached(one) for one in provision.resources),
    )


def _hashes(
    codes: frozenset[Code] | None, params: Iterable[int], hasher: Hasher, *, permit: bool
) -> frozenset[int] | None:
    if codes is None:
        return None
    variants: set[str] = set()
    for system, code in codes:
        variants.add(f"c:{code}" if system is None else f"b:{system}|{code}")
        if not permit and system is not None:
            # One that is written without its system may be the one that is denied.
            variants.add(f"b:|{code}")
    return frozenset(hasher.uncached(f"{param}:{variant}") for param in params for variant in variants)


@cache
def _with_patients() -> tuple[str, ...]:
    return tuple(name for name in sorted(definitions.load().type_ids) if has_patients(name))


@cache
def _coded(resource_type: str) -> tuple[int, ...]:
    """The parameters of a type that hold codings, by their numbers."""
    return tuple(
        one.param
        for one in parameters(resource_type).values()
        if one.type == "token"
        and not one.code.startswith("_")
        and any(path.type in ("Coding", "CodeableConcept") for path in paths(one.expression, resource_type))
    )
