"""Consents have their say about past versions as well, by what each says itself. docs/care.md"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.access.consents import ACT_CODE, SCOPE
from tests.functional.conftest import Api
from tests.functional.test_care import ACCOUNT, admin, observation, parameters, person

__all__ = ["admin", "person"]


def consent(name: str, whose: str, policy: str, provision: dict[str, Any] | None = None) -> dict[str, Any]:
    """A patient's consent that permits or denies, with one provision."""
    more = {"provision": provision} if provision else {}
    return {
        "resourceType": "Consent", "id": name, "status": "active", "patient": {"reference": f"Patient/{whose}"},
        "scope": {"coding": [{"system": SCOPE[0], "code": SCOPE[1]}]}, "category": [{"text": "privacy"}],
        "policyRule": {"coding": [{"system": ACT_CODE, "code": policy}]}, **more,
    }  # fmt: skip


def labelled(name: str, code: str | None, **more: Any) -> dict[str, Any]:
    security = [{"system": ACT_CODE, "code": code}] if code else []
    return observation(name) | ({"meta": {"security": security}} if security else {}) | more


@pytest.mark.parametrize("role", ["physician", "clinic_admin"])
def test_a_consent_withholds_the_past_version_that_it_is_about(
    admin: Api, person: Callable[..., Api], role: str
) -> None:
    """The label that the patient's consent names was taken away since."""
    admin.put("Observation/p", labelled("p", "PSY"))
    admin.put("Observation/p", labelled("p", None))
    admin.post("Patient/p/$assign", parameters(user=ACCOUNT, reason="Stands in"))
    who = person(role)
    label = {"type": "deny", "securityLabel": [{"system": ACT_CODE, "code": "PSY"}]}

    def versions() -> list[bool]:
        read = [who.get(f"Observation/p/_history/{n}").status == 200 for n in (1, 2, 3)]
        for path in ("Observation/p/_history", "Observation/_history", "_history?_count=50"):
            found = who.get(path).json["entry"]
            ids = {e["resource"]["meta"]["versionId"] for e in found if e["fullUrl"].endswith("Observation/p")}
            assert read == [str(n) in ids for n in (1, 2, 3)], path
        return read

    assert versions() == [True, True, True]
    admin.put("Consent/label", consent("label", "p", "OPTIN", label))
    assert versions() == [True, False, True]
    admin.delete("Consent/label")
    assert versions() == [True, True, True]


def test_a_consent_of_somebody_else_withholds_the_version_that_was_about_them(
    admin: Api, person: Callable[..., Api]
) -> None:
    """It was written about q by mistake."""
    admin.put("Observation/p", observation("p") | {"subject": {"reference": "Patient/q"}})
    admin.put("Observation/p", observation("p"))
    admin.put("Consent/all", consent("all", "q", "OPTOUT"))
    assert [person("clinic_admin").get(f"Observation/p/_history/{n}").status for n in (1, 2, 3)] == [200, 404, 200]
