"""Every form of search, attacked across two tenants that hold resources of the same ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fhir_server.access.policy import EVERYTHING
from fhir_server.errors import BadRequest
from fhir_server.interactions.context import Context
from fhir_server.search.compile import compile as compile_search
from fhir_server.search.compile import compile_total
from fhir_server.search.parse import parse
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.search_fixtures import HASHER, context, create, entries, find, follow, link, opened, pages

Pairs = tuple[tuple[str, str], ...]

SEARCHES: list[tuple[str, Pairs]] = [
    ("Observation", ()),
    ("Observation", (("_id", "o1,o2"),)),
    ("Observation", (("patient", "p1"),)),
    ("Observation", (("patient", "Patient/p1"), ("code", "8480-6"), ("date", "ge2019"))),
    ("Observation", (("subject", "p1"),)),
    ("Observation", (("subject:Patient", "p1"),)),
    ("Observation", (("subject:identifier", "http://example.org/mrn|1"),)),
    ("Observation", (("performer", "Practitioner/d1"),)),
    ("Observation", (("code", "8480-6"),)),
    ("Observation", (("code", "http://loinc.org|8480-6"),)),
    ("Observation", (("code", "http://loinc.org|"),)),
    ("Observation", (("code", "8480-6,8462-4"), ("status", "final"))),
    ("Observation", (("code:not", "8462-4"),)),
    ("Observation", (("date:missing", "false"),)),
    ("Observation", (("device:missing", "true"),)),
    ("Observation", (("date", "2020-02-29"),)),
    ("Observation", (("date", "ne2021"),)),
    ("Observation", (("value-quantity", "gt1"),)),
    ("Observation", (("value-quantity", "120|http://unitsofmeasure.org|mm[Hg]"),)),
    ("Observation", (("code-value-quantity", "8480-6$gt1"),)),
    ("Observation", (("_lastUpdated", "gt2000"),)),
    ("Observation", (("_tag", "shared"),)),
    ("Observation", (("_security", "R"),)),
    ("Observation", (("_profile", "http://example.org/p"),)),
    ("Observation", (("_source", "http://example.org/s"),)),
    ("Patient", (("name", "a"),)),
    ("Patient", (("family:exact", "Ångström"),)),
    ("Patient", (("family:contains", "gstr"),)),
    ("Patient", (("identifier", "http://example.org/mrn|1"),)),
    ("Patient", (("birthdate", "1970"), ("gender", "female"))),
    ("Observation", (("_filter", "code eq 8480-6 and not (date lt 2019)"),)),
    ("Observation", (("_filter", "patient:Patient[gender eq female].family eq ångström"),)),
    ("Patient", (("_filter", "family co gstr or identifier eq nobody"),)),
    ("Location", (("near", "47|8|5"),)),
]
ORDERS: list[Pairs] = [(), (("_sort", "_lastUpdated"),), (("_sort", "-_id"),)]


def owned(owner: str) -> list[dict[str, Any]]:
    """Resources that differ between tenants in nothing but a text that no search asks for."""
    meta = {
        "tag": [{"code": "shared"}],
        "security": [{"code": "R"}],
        "profile": ["http://example.org/p"],
        "source": "http://example.org/s",
    }
    quantity = {"value": 120, "unit": owner, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    observations = [
        {
            "resourceType": "Observation",
            "id": f"o{number}",
            "meta": meta,
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}], "text": owner},
            "subject": {
                "reference": "Patient/p1",
                "identifier": {"system": "http://example.org/mrn", "value": "1"},
                "display": owner,
            },
            "performer": [{"reference": "Practitioner/d1"}],
            "effectiveDateTime": "2020-02-29",
            "valueQuantity": quantity,
        }
        for number in range(4)
    ]
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "meta": meta,
        "identifier": [{"system": "http://example.org/mrn", "value": "1"}],
        "name": [{"family": "Ångström", "text": "a"}],
        "gender": "female",
        "birthDate": "1970-05-20",
        "maritalStatus": {"text": owner},
    }
    location = {"resourceType": "Location", "id": "l1", "name": owner, "position": {"latitude": 47, "longitude": 8}}
    return [patient, *observations, location]


@pytest.fixture(scope="module")
def both(database: DatabaseUrls) -> Iterator[tuple[Context, Context]]:
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        first, second = (tenants.create(connection, f"isolation-{name}") for name in ("first", "second"))
    with opened(database) as pool:
        contexts = context(pool, first.id), context(pool, second.id)
        create(contexts[0], owned("first"))
        # The second has one more of each, so that a total of the other one would show.
        create(contexts[1], owned("second"))
        create(contexts[1], [{**resource, "id": resource["id"] + "-more"} for resource in owned("second")])
        yield contexts


def owners(resources: list[dict[str, Any]]) -> set[str]:
    return {(r.get("code") or r.get("maritalStatus") or {"text": r.get("name")})["text"] for r in resources}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("resource_type", "pairs"), SEARCHES)
def test_a_search_finds_the_own_tenant_s_alone(
    both: tuple[Context, Context], resource_type: str, pairs: Pairs, order: Pairs
) -> None:
    sizes = []
    for ctx, owner in zip(both, ("first", "second"), strict=True):
        found = [r for page in pages(ctx, resource_type, *pairs, *order, ("_count", "1")) for r in entries(page)]
        assert owners(found) == {owner}
        for total in ("accurate", "estimate"):
            counted = find(ctx, resource_type, *pairs, ("_total", total), ("_count", "1"))["total"]
            assert total == "estimate" or counted == len(found)
        assert find(ctx, resource_type, *pairs, ("_summary", "count"))["total"] == len(found)
        sizes.append(len(found))
    assert sizes[0] < sizes[1] or pairs[0][0] == "_id"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("resource_type", "pairs"), SEARCHES)
def test_row_level_security_alone_keeps_tenants_apart(
    both: tuple[Context, Context], resource_type: str, pairs: Pairs, order: Pairs
) -> None:
    """The statement asks for the other tenant's rows, as a bug might; the database gives none."""
    mine, other = both
    query = parse(resource_type, [*pairs, *order])
    statements = compile_search(query, EVERYTHING, other.tenant.id, HASHER)
    assert not any(mine.store.search(one.sql, one.values).ntuples for one in statements)
    assert any(other.store.search(one.sql, one.values).ntuples for one in statements)
    total = compile_total(query, EVERYTHING, other.tenant.id, HASHER)
    assert mine.store.search(total.sql, total.values).get_value(0, 0) == b"0"


def test_a_cursor_of_another_tenant_opens_nothing(both: tuple[Context, Context]) -> None:
    mine, other = both
    url = link(find(other, "Observation", ("_count", "1")), "next")
    assert url is not None
    with pytest.raises(BadRequest, match="belongs to another clinic"):
        follow(mine, url)
