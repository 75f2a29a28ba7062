"""fhir_server/access/consents.py: what a consent says, and whether it withholds something. docs/care.md"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.access.consents import (
    ACT_CODE,
    CONFIDENTIALITY,
    RESOURCE_TYPES,
    SCOPE,
    Provision,
    patient_of,
    provisions,
)
from fhir_server.r4 import instants

LOINC = "http://loinc.org"
OBSERVATIONS = [{"system": RESOURCE_TYPES, "code": "Observation"}]
DOCUMENTS = [{"system": "urn:ietf:bcp:13", "code": "application/hl7-cda+xml"}]


def consent(policy: str = "", provision: dict[str, Any] | None = None, **elements: Any) -> dict[str, Any]:
    made = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": SCOPE[0], "code": SCOPE[1]}]},
        "patient": {"reference": "Patient/p"},
    }
    if policy:
        made["policyRule"] = {"coding": [{"system": ACT_CODE, "code": policy}]}
    if provision is not None:
        made["provision"] = provision
    return made | elements


def said(policy: str = "", provision: dict[str, Any] | None = None) -> list[Provision]:
    return provisions(consent(policy, provision))


def actor(reference: str, role: str = "IRCP") -> dict[str, Any]:
    return {"role": {"coding": [{"code": role}]}, "reference": {"reference": reference}}


def test_which_consents_are_minded() -> None:
    assert patient_of(consent()) == "Patient/p"
    for status in ("draft", "proposed", "rejected", "inactive", "entered-in-error"):
        assert patient_of(consent(status=status)) == ""
    for scope in ("research", "treatment", "adr"):
        assert patient_of(consent(scope={"coding": [{"system": SCOPE[0], "code": scope}]})) == ""
    assert patient_of(consent(scope={"coding": [{"code": SCOPE[1]}]})) == ""
    for reference in ({}, {"reference": "#p"}, {"reference": "https://other.example/Patient/p"}, {"display": "x"}):
        assert patient_of(consent(patient=reference)) == ""


def test_base_policies() -> None:
    assert said("OPTOUT") == said("OPTOUTE") == [Provision(0, permit=False)]
    # Nothing is denied, so that nothing has to be compared.
    assert said("OPTIN") == said("OPTINR") == said() == said("OPTIN", {"type": "permit"}) == []
    other = consent(policyRule={"coding": [{"system": "urn:other", "code": "OPTOUT"}]})
    assert provisions(other) == []


def test_a_root_without_a_type_is_an_exception_to_the_policy() -> None:
    only_them = {"actor": [actor("Practitioner/f204", "PRCP")]}
    them = frozenset({"Practitioner/f204"})
    assert said("OPTIN", only_them) == [Provision(0, permit=True), Provision(1, permit=False, actors=them)]
    assert said("OPTOUT", only_them) == [Provision(0, permit=False), Provision(1, permit=True, actors=them)]
    assert said("", only_them) == []
    month = {"period": {"start": "2015-01-01", "end": "2015-01-31"}}
    (_, denial) = said("OPTIN", month)
    assert (denial.permit, denial.low) == (False, instants.interval("2015-01-01")[0])
    # "Opted out for a month" is not "opted in for a month".
    assert said("OPTOUT", month) == [Provision(0, permit=False)]


def test_inner_provisions_apply_where_the_outer_ones_do() -> None:
    root = {
        "type": "deny",
        "class": [*OBSERVATIONS, {"system": RESOURCE_TYPES, "code": "Condition"}],
        "period": {"start": "2024"},
        "provision": [
            {
                "type": "permit",
                "class": OBSERVATIONS,
                "period": {"end": "2024"},
                "actor": [actor("Practitioner/a"), actor("Practitioner/b")],
                "provision": [{"type": "deny", "actor": [actor("Practitioner/b")]}],
            },
            {"type": "permit", "class": [{"system": RESOURCE_TYPES, "code": "Procedure"}]},
        ],
    }
    low, high = instants.interval("2024")
    both = frozenset({"Observation", "Condition"})
    assert said("", root) == [
        Provision(1, permit=False, low=low, types=both),
        Provision(
            2, permit=True, low=low, high=high, types=frozenset({"Observation"}),
            actors=frozenset({"Practitioner/a", "Practitioner/b"}),
        ),
        Provision(
            3, permit=False, low=low, high=high, types=frozenset({"Observation"}), actors=frozenset({"Practitioner/b"})
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "denial"),
    [
        ({"class": DOCUMENTS}, Provision(1, permit=False)),
        ({"class": [*DOCUMENTS, *OBSERVATIONS]}, Provision(1, permit=False)),
        ({"code": [{"text": "what we talked about"}]}, Provision(1, permit=False)),
        ({"actor": [actor("Organization/o")]}, Provision(1, permit=False)),
        ({"actor": [actor("Practitioner/a", "AUT")]}, Provision(1, permit=False)),
        ({"action": [{"coding": [{"code": "correct"}]}]}, Provision(1, permit=False)),
        ({"purpose": [{"code": "HMARKT"}]}, Provision(1, permit=False)),
        ({"data": [{"meaning": "related", "reference": {"reference": "Task/1"}}]}, Provision(1, permit=False)),
    ],
)
def test_what_is_not_known_here_denies_more_and_permits_less(condition: dict[str, Any], denial: Provision) -> None:
    assert said("", {"type": "deny", **condition}) == [denial]
    permits = [one for one in said("OPTOUT", {"type": "permit", **condition}) if one.permit]
    assert [one.types for one in permits] == (
        [frozenset({"Observation"})] if OBSERVATIONS[0] in condition.get("class", []) else []
    )
    # What is inside of it inherits that.
    inner = {"provision": [{"type": "permit", "class": OBSERVATIONS}], **condition}
    expected = 1 if OBSERVATIONS[0] in condition.get("class", []) else 0
    assert sum(one.permit for one in said("OPTOUT", inner)) == expected


def test_a_permission_inside_of_a_broad_denial_is_not_broad() -> None:
    root = {"type": "deny", "provision": [{"type": "deny", "class": DOCUMENTS, "provision": [{"type": "permit"}]}]}
    assert [one.permit for one in said("", root)] == [False, False]


def test_known_actions_and_purposes() -> None:
    for more in ({"action": [{"coding": [{"code": "access"}]}]}, {"purpose": [{"code": "TREAT"}, {"code": "HMARKT"}]}):
        assert [one.permit for one in said("OPTOUT", {"type": "permit", **more})] == [False, True]


def test_lists_inside_of_lists() -> None:
    def nested(kind: str) -> list[frozenset[Any] | None]:
        def codes(*given: str) -> dict[str, Any]:
            return {"code": [{"coding": [{"system": LOINC, "code": one}]} for one in given]}

        inner = {"type": kind, **codes("b", "c")}
        return [one.codes for one in said("OPTOUT", {**codes("a", "b"), "provision": [inner]}) if one.depth == 2]

    assert nested("permit") == [frozenset({(LOINC, "b")})]
    assert nested("deny") == [frozenset({(LOINC, "b"), (LOINC, "c")})]


def test_degrees_of_confidentiality() -> None:
    def labels(kind: str) -> set[str]:
        label = [{"system": CONFIDENTIALITY, "code": "R"}]
        (found,) = [one.labels for one in said("OPTOUT", {"type": kind, "securityLabel": label}) if one.depth == 1]
        return {code for _, code in found or ()}

    assert labels("deny") == {"R", "V"}
    assert labels("permit") == {"U", "L", "M", "N", "R"}


def test_what_nothing_can_meet_is_left_out() -> None:
    backwards = {"type": "deny", "period": {"start": "2025", "end": "2024"}}
    assert said("", backwards) == []
