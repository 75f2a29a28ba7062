from __future__ import annotations

import psycopg
import pytest

from fhir_server.settings import ConfigurationError
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls


@pytest.fixture
def owner(fresh_database: DatabaseUrls):
    with psycopg.connect(fresh_database.owner, autocommit=True) as connection:
        yield connection


def test_created_tenant_is_found_and_listed(owner: psycopg.Connection) -> None:
    hillside = tenants.create(owner, "hillside", "Hillside Clinic")
    riverside = tenants.create(owner, "riverside")
    assert tenants.listed(owner) == [hillside, riverside]
    assert tenants.find(owner, "hillside") == hillside
    assert (hillside.name, riverside.name) == ("Hillside Clinic", "riverside")
    assert tenants.find(owner, "elsewhere") is None


def test_slug_is_taken_once(owner: psycopg.Connection) -> None:
    tenants.create(owner, "riverside")
    with pytest.raises(ConfigurationError, match="exists already"):
        tenants.create(owner, "riverside")
    assert len(tenants.listed(owner)) == 1


@pytest.mark.parametrize("slug", ["", "-a", "a-", "A", "a.b", "a_b", "a b", "ä", "x" * 64, "a\n", "../a"])
def test_slug_must_be_a_host_name_label(owner: psycopg.Connection, slug: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a tenant"):
        tenants.create(owner, slug)


def test_application_cannot_create_tenants(fresh_database: DatabaseUrls) -> None:
    with (
        psycopg.connect(fresh_database.app, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        tenants.create(connection, "riverside")


def test_steps_of_a_first_run_are_done_once(owner: psycopg.Connection) -> None:
    assert not tenants.is_done(owner, "demo riverside")
    tenants.mark_done(owner, "demo riverside")
    tenants.mark_done(owner, "demo riverside")
    assert tenants.is_done(owner, "demo riverside")
    assert not tenants.is_done(owner, "demo hillside")


def test_a_limit_for_searches_is_set_and_taken_back(owner: psycopg.Connection) -> None:
    assert tenants.create(owner, "riverside").search_timeout_ms is None
    tenants.set_search_timeout(owner, "riverside", 2_500)
    assert [tenant.search_timeout_ms for tenant in tenants.listed(owner)] == [2_500]
    tenants.set_search_timeout(owner, "riverside", None)
    assert [tenant.search_timeout_ms for tenant in tenants.listed(owner)] == [None]


@pytest.mark.parametrize(("slug", "limit"), [("riverside", 0), ("riverside", -1), ("riverside", 3_600_001)])
def test_a_limit_lies_within_an_hour(owner: psycopg.Connection, slug: str, limit: int) -> None:
    tenants.create(owner, slug)
    with pytest.raises(ConfigurationError, match="1 to 3600000 milliseconds"):
        tenants.set_search_timeout(owner, slug, limit)


def test_a_limit_is_of_a_tenant_that_exists(owner: psycopg.Connection) -> None:
    with pytest.raises(ConfigurationError, match="no tenant 'elsewhere'"):
        tenants.set_search_timeout(owner, "elsewhere", 1_000)
