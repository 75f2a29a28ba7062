"""Searches that take too long, over HTTP. docs/search.md, "Costly searches" """

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from fhir_server.crypto.hashing import param_id
from fhir_server.r4 import definitions
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.tenants import Tenant
from tests.functional.conftest import Api

PATIENTS = 30_000
HEAVY = "Patient?name:contains=zz&_sort=birthdate&_total=accurate"


@pytest.fixture(scope="module")
def owner(database: DatabaseUrls) -> Any:
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def crowded(owner: psycopg.Connection) -> list[Tenant]:
    """Two clinics of many patients, the first of which gives a search a single millisecond."""
    found = [tenants.create(owner, f"guard-{number}") for number in range(2)]
    for tenant in found:
        owner.execute("SELECT set_config('fhir.tenant', %s, false)", [str(tenant.id)])
        owner.execute(
            """
            WITH stored AS (
                INSERT INTO resource (tenant_id, version, key, last_updated, type_id, deleted, id, method,
                                      tokens, params, body)
                SELECT %(tenant)s, 1, hashint8extended(n, 7), 1.6e15::bigint + n, %(type)s, false,
                       'p' || n, 'PUT', '{}', '{}', '{"active": true}'
                  FROM generate_series(1, %(many)s) n
                RETURNING rid
            )
            INSERT INTO idx_string (tenant_id, param, rid, exact, value)
            SELECT %(tenant)s, %(name)s, rid, rid, md5(rid::text) || 'zz' FROM stored
            """,
            {
                "tenant": tenant.id,
                "type": definitions.load().type_ids["Patient"],
                "many": PATIENTS,
                "name": param_id("Patient.name"),
            },
        )
    owner.execute("VACUUM ANALYZE resource, idx_string")
    tenants.set_search_timeout(owner, found[0].slug, 1)
    return found


def test_a_search_that_takes_too_long_is_ended_with_advice(crowded: list[Tenant], new_api: Callable[..., Api]) -> None:
    limited, free = (new_api(slug=tenant.slug) for tenant in crowded)
    answer = limited.get(HEAVY)
    assert answer.status == 503
    issues = answer.json["issue"]
    assert (issues[0]["severity"], issues[0]["code"]) == ("error", "too-costly")
    assert "0.001 seconds" in issues[0]["diagnostics"]
    advice = [issue["diagnostics"] for issue in issues[1:]]
    assert any(one.startswith("Nothing narrows the search: name") for one in advice)
    assert any(one.startswith("name:contains reads every value") for one in advice)
    assert any(one.startswith("_sort (birthdate)") for one in advice)
    assert any(one.startswith("_total=accurate counts every match") for one in advice)
    assert "zz" not in answer.data.decode()
    # Nothing of the limit is left behind on the connections that both clinics share.
    assert free.get(HEAVY).status == 200
    assert free.get(HEAVY).json["total"] == PATIENTS


def test_a_posted_search_is_ended_as_well(crowded: list[Tenant], new_api: Callable[..., Api]) -> None:
    limited = new_api(slug=crowded[0].slug)
    form = HEAVY.partition("?")[2].encode()
    answer = limited.post("Patient/_search", form, Content_Type="application/x-www-form-urlencoded")
    assert (answer.status, answer.json["issue"][0]["code"]) == (503, "too-costly")


def test_an_entry_of_a_batch_is_ended_by_itself(crowded: list[Tenant], new_api: Callable[..., Api]) -> None:
    limited = new_api(slug=crowded[0].slug)
    entries = [{"request": {"method": "GET", "url": url}} for url in (HEAVY, "Patient/p1")]
    answer = limited.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert answer.status == 200
    statuses = [entry["response"]["status"][:3] for entry in answer.json["entry"]]
    assert statuses[0] == "503"
    assert statuses[1] in ("200", "404")


def test_a_limit_is_changed_while_the_server_runs(
    owner: psycopg.Connection, crowded: list[Tenant], new_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = new_api(slug=crowded[0].slug)
    assert limited.get(HEAVY).status == 503
    tenants.set_search_timeout(owner, crowded[0].slug, None)
    try:
        # What the directory remembers is forgotten after half a minute.
        directory = limited.app.api._directory
        monkeypatch.setattr(directory, "_known", {})
        assert limited.get(HEAVY).status == 200
    finally:
        tenants.set_search_timeout(owner, crowded[0].slug, 1)


def test_server_timing_splits_a_search(api: Api) -> None:
    patient = api.post("Patient", {"resourceType": "Patient", "name": [{"family": "Timed"}]}).id
    subject = {"reference": f"Patient/{patient}"}
    api.post(
        "Observation", {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject}
    )
    answer = api.get(f"Observation?patient={patient}&_include=Observation:subject")
    assert len(answer.json["entry"]) == 2
    phases = re.findall(r"([a-z]+);dur=([0-9.]+)", answer.headers["Server-Timing"])
    assert {"compile", "sql", "includes", "serialise"} <= {name for name, _ in phases}
    assert all(float(milliseconds) < 60_000 for _, milliseconds in phases)
