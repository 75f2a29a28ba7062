"""The map of roles, and the page that tells of it. docs/access.md"""

from __future__ import annotations

import pytest

from fhir_server.access.permissions import parse
from fhir_server.access.roles import DIRECTORY, ROLES, grantable, narrowed
from fhir_server.access.scopes import Scope
from fhir_server.r4 import definitions
from scripts.document_roles import PAGE, written


def test_the_page_has_the_table_of_today() -> None:
    assert PAGE.read_text() == written(PAGE.read_text()), "run scripts/document_roles.py"


def test_every_type_named_is_a_resource_type() -> None:
    known = set(definitions.load().resource_types) | {"*"}
    assert known >= DIRECTORY
    for role in ROLES.values():
        for grant in role.grants:
            assert grant.types <= known, role.name


def test_permissions_are_read_as_they_are_written() -> None:
    for role in ROLES.values():
        for permission in role.permissions():
            assert parse(str(permission)) == permission


@pytest.mark.parametrize(
    "text", ["", "clinic:Patient", "galaxy:Patient:read", "clinic::read", "clinic:Patient:read:more"]
)
def test_what_is_no_permission_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="reach:resource:action"):
        parse(text)


def test_narrowing_only_takes_away() -> None:
    for role in ROLES.values():
        before = set(role.permissions())
        after = set(narrowed(role, ["*:Patient:*", "clinic:*:search"]).permissions())
        assert after <= before or role.grants[0].types == frozenset({"*"})
        assert not any(one.resource == "Patient" for one in after)


@pytest.mark.parametrize(
    ("roles", "scope", "letters"),
    [
        (["staff"], Scope("user", "Patient", "cruds"), "crus"),
        (["staff"], Scope("user", "Observation", "rs"), ""),
        (["physician"], Scope("patient", "Observation", "cruds"), "crus"),
        (["physician", "clinic_admin"], Scope("user", "Observation", "cruds"), "cruds"),
        (["physician"], Scope("system", "Observation", "rs"), ""),
        ([], Scope("user", "Observation", "rs"), ""),
    ],
)
def test_people_are_asked_about_what_their_roles_can_grant(roles: list[str], scope: Scope, letters: str) -> None:
    found = grantable(roles, scope)
    assert ("" if found is None else "".join(c for c in "cruds" if c in found.letters)) == "".join(
        c for c in "cruds" if c in letters
    )
