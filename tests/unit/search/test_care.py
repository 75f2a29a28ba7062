"""fhir_server/search/care.py: what rules compare records with is what the index writes of them. docs/care.md"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.access.consents import ACT_CODE, RESOURCE_TYPES, SCOPE, Row, denied
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import instants
from fhir_server.search.index import extract
from fhir_server.store.resources import TYPE_IDS

HASHER = Hasher(b"a key of the tests, 32 bytes long")
LOINC = "http://loinc.org"
PSY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
NOW = instants.interval("2026-06-01")[0]


def consent(provision: dict[str, Any], policy: str = "OPTIN") -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": SCOPE[0], "code": SCOPE[1]}]},
        "category": [{"text": "privacy"}],
        "patient": {"reference": "Patient/p"},
        "policyRule": {"coding": [{"system": ACT_CODE, "code": policy}]},
        "provision": provision,
    }


def record(resource_type: str = "Observation", **elements: Any) -> dict[str, Any]:
    about = "patient" if resource_type in ("Immunization", "AllergyIntolerance") else "subject"
    return {"resourceType": resource_type, "id": "r", about: {"reference": "Patient/p"}, **elements}


def withheld(found: dict[str, Any], resource: dict[str, Any], *persons: str, now: int = NOW) -> bool:
    rules = extract(found, HASHER).consents
    assert rules is not None
    assert {patient for patient, _ in rules} <= {HASHER("Patient/p")}
    index = extract(resource, HASHER)
    key = HASHER(f"{resource['resourceType']}/{resource['id']}")
    row = Row(TYPE_IDS[resource["resourceType"]], key, frozenset(index.tokens), index.date_low, index.date_high)
    return denied((rule for _, rule in rules), row, {HASHER(one) for one in persons}, now)


def coded(code: str, system: str | None = LOINC) -> dict[str, Any]:
    return {"coding": [{"code": code} | ({"system": system} if system else {})]}


DENY_CODE = consent({"type": "deny", "code": [coded("4548-4")]})


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (record(code=coded("4548-4")), True),
        (record(code=coded("4548-4", None)), True),
        (record(code=coded("4548-4", "urn:other")), False),
        (record(code=coded("1-8")), False),
        (record(code=coded("1-8"), category=[coded("4548-4")]), True),
        (record(code=coded("1-8"), component=[{"code": coded("4548-4")}]), True),
        (record(code={"text": "4548-4"}), False),
        (record("Condition", code=coded("4548-4")), True),
        (record("Immunization", vaccineCode=coded("4548-4")), True),
        (record("MedicationRequest", medicationCodeableConcept=coded("4548-4")), True),
    ],
)
def test_codes_wherever_they_stand(resource: dict[str, Any], expected: bool) -> None:
    assert withheld(DENY_CODE, resource) is expected


def test_permissions_want_the_system_too() -> None:
    permit = consent({"type": "permit", "code": [coded("4548-4")]}, "OPTOUT")
    assert not withheld(permit, record(code=coded("4548-4")))
    assert withheld(permit, record(code=coded("4548-4", None)))
    assert withheld(permit, record(code=coded("1-8")))


def test_security_labels() -> None:
    deny = consent({"type": "deny", "securityLabel": [PSY]})
    assert withheld(deny, record(meta={"security": [PSY]}))
    assert withheld(deny, record(meta={"security": [{"code": "PSY"}]}))
    assert not withheld(deny, record(meta={"security": [{**PSY, "code": "HIV"}]}))
    assert not withheld(deny, record(meta={"tag": [PSY]}))


def test_types_and_times() -> None:
    observations = [{"system": RESOURCE_TYPES, "code": "Observation"}]
    deny = consent({"type": "deny", "class": observations, "dataPeriod": {"start": "2020", "end": "2020"}})
    assert withheld(deny, record(effectiveDateTime="2020-05-01"))
    assert withheld(deny, record())
    assert not withheld(deny, record(effectiveDateTime="2021-01-01"))
    assert not withheld(deny, record("Condition", onsetDateTime="2020-05-01"))
    ended = consent({"type": "deny", "period": {"end": "2026-05-31"}})
    assert withheld(ended, record(), now=NOW - 1)
    assert not withheld(ended, record(), now=NOW)


def test_whom_and_which() -> None:
    def whom(reference: str) -> dict[str, Any]:
        return {"actor": [{"role": coded("IRCP", None), "reference": {"reference": reference}}]}

    deny = consent({"type": "deny", **whom("Practitioner/d")})
    assert withheld(deny, record(), "User/1", "Practitioner/d")
    assert not withheld(deny, record(), "User/1", "Practitioner/e")
    assert not withheld(deny, record())
    permit = consent({"type": "deny", "provision": [{"type": "permit", **whom("Practitioner/d")}]})
    assert not withheld(permit, record(), "Practitioner/d")
    assert withheld(permit, record(), "Practitioner/e")
    one = consent({"type": "deny", "data": [{"meaning": "instance", "reference": {"reference": "Observation/r"}}]})
    assert withheld(one, record())
    assert not withheld(one, record() | {"id": "s"})


def test_what_costs_nothing() -> None:
    """Types that say nothing of it have no rows for it, and not even empty ones."""
    index = extract(record(code=coded("4548-4")), HASHER)
    assert (index.care, index.consents) == (None, None)
    assert extract({"resourceType": "Patient"}, HASHER).care == []
    assert extract(consent({"type": "deny"}) | {"status": "inactive"}, HASHER).consents == []


def test_classes_named_make_rules_small() -> None:
    def size(provision: dict[str, Any]) -> int:
        (_, rule), *_ = [one for one in extract(consent(provision), HASHER).consents or () if not one[1].permit]
        return len(rule.tokens or ())

    observations = [{"system": RESOURCE_TYPES, "code": "Observation"}]
    codes = [coded("4548-4")]
    assert size({"type": "deny", "class": observations, "code": codes}) < size({"type": "deny", "code": codes}) / 8
