"""Roles in the words of the clinic's people. docs/pages.md"""

from __future__ import annotations

from collections.abc import Iterable

ROLE_WORDS = {
    "clinic_admin": "Clinic administrator",
    "physician": "Physician",
    "staff": "Front desk and care staff",
    "billing": "Billing",
    "executive": "Management",
    "attorney": "Attorney",
    "referring_doctor": "Referring doctor",
    "patient": "Patient",
    "super_admin": "Platform operator",
}

GIVEN_BY_CLINICS = tuple(name for name in ROLE_WORDS if name != "super_admin")
"""Roles that a clinic's administrator can give; the platform's own are given by the command line."""


def words(roles: Iterable[str]) -> list[str]:
    """The roles as people call them."""
    return [ROLE_WORDS.get(role, role) for role in roles]
