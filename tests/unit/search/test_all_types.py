"""Searches of all types, which are as many branches, by whoever has conditions on each. docs/search.md"""

from __future__ import annotations

import pytest

from fhir_server.access.policy import Access, decide
from fhir_server.access.principal import Principal
from fhir_server.access.roles import ROLES
from fhir_server.access.scopes import parse as scopes
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions
from fhir_server.search import compile as compiler
from fhir_server.search import size
from fhir_server.search.parse import parse_types

HASHER = Hasher(b"k" * 16)
TYPES = definitions.load().resource_types
BOTH = ("physician", "staff")


def seen(roles: tuple[str, ...]) -> Access:
    """What somebody may search where there are consents."""
    fhir_user = "Patient/p" if roles == ("patient",) else "Practitioner/d"
    who = Principal("t", "s", "c", scopes("user/*.cruds"), roles, fhir_user, "")
    return decide(who, "search-system", None).visible


def statements(roles: tuple[str, ...], query: str) -> list[compiler.CompiledSearch]:
    pairs = [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)]
    access, parsed = seen(roles), parse_types(TYPES, pairs)
    page = compiler.compile(parsed, access, 1, HASHER, None, access)
    return [*page, compiler.compile_total(parsed, access, 1, HASHER, joined=access)]


@pytest.mark.parametrize("roles", [*((role,) for role in ROLES), BOTH], ids="-".join)
@pytest.mark.parametrize("query", ["_id=a", "_id=a,b&_lastUpdated=gt2020", "_id=a&_sort=-_lastUpdated"])
def test_ids_are_one_look_for_all_types(roles: tuple[str, ...], query: str) -> None:
    for one in statements(roles, query):
        assert len(one.sql) < size.LONGEST / 10
        assert one.sql.count("r.id = ") == 1


@pytest.mark.parametrize("roles", [*((role,) for role in ROLES), BOTH], ids="-".join)
@pytest.mark.parametrize(
    "query", ["", "_lastUpdated=gt2020", "_tag=x", "_security=R", "_profile=http://x", "_source=http://x",
              "_tag=x&_tag=y&_security=R", "_tag:not=x", "_sort=-_lastUpdated"]
)  # fmt: skip
def test_what_all_types_have_can_be_searched_for_without_naming_any(roles: tuple[str, ...], query: str) -> None:
    assert all(len(one.sql) <= size.LONGEST for one in statements(roles, query))


def test_what_is_too_much_says_what_would_be_less() -> None:
    with pytest.raises(BadRequest, match="_type=Patient,Encounter names some") as refused:
        statements(("physician",), "_content=x")
    assert refused.value.issues[0].code == "too-costly"
