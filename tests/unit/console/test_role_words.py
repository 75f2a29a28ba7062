"""Roles in the words of the clinic's people."""

from __future__ import annotations

from fhir_server.access.roles import ROLES
from fhir_server.console.role_words import GIVEN_BY_CLINICS, ROLE_WORDS, words


def test_every_role_has_a_word() -> None:
    assert set(ROLE_WORDS) == set(ROLES)
    assert words(["physician", "unheard-of"]) == ["Physician", "unheard-of"]


def test_no_clinic_gives_the_role_of_the_platform() -> None:
    assert set(ROLES) - set(GIVEN_BY_CLINICS) == {"super_admin"}
