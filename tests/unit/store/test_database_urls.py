from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store.database_urls import APP_ROLE, DatabaseUrls, check_version, connect, database_urls, with_role


def test_without_url_the_embedded_database_is_meant() -> None:
    assert database_urls(Settings()) is None


def test_application_connects_as_its_role_where_only_the_owner_is_given() -> None:
    urls = database_urls(Settings(database_url="postgresql://owner:p@db/fhir?sslmode=require"))
    assert urls is not None
    assert urls.owner == "postgresql://owner:p@db/fhir?sslmode=require"
    assert conninfo_to_dict(urls.app) == {
        "user": "owner",
        "password": "p",
        "host": "db",
        "dbname": "fhir",
        "sslmode": "require",
        "options": f"-c role={APP_ROLE}",
    }


def test_application_url_is_taken_as_it_is() -> None:
    urls = database_urls(Settings(database_url="postgresql://o@db/fhir", app_database_url="postgresql://a@db/fhir"))
    assert urls == DatabaseUrls("postgresql://o@db/fhir", "postgresql://a@db/fhir")
    assert database_urls(Settings(app_database_url="postgresql://a@db/fhir")) == DatabaseUrls(
        None, "postgresql://a@db/fhir"
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40ss%2F%3F@h1:1,h2:2/db%20name?target_session_attrs=read-write",
        "postgresql:///db?host=/tmp/a%20b&port=5433",
        "postgresql://u@/db?options=-c%20jit%3Doff",
        "postgresql://[::1]:5432/db",
    ],
)
def test_role_changes_nothing_else_of_a_url(url: str) -> None:
    before, after = conninfo_to_dict(url), conninfo_to_dict(with_role(url, "r"))
    assert after.pop("options") == f"{before.pop('options', '')} -c role=r".strip()
    assert after == before


def test_role_of_the_session_is_the_applications(database: DatabaseUrls) -> None:
    with psycopg.connect(with_role(str(database.owner), APP_ROLE)) as connection:
        row = connection.execute(
            "SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert row.fetchone() == (APP_ROLE, False, False)


def test_connect_gives_autocommit(database: DatabaseUrls) -> None:
    with connect(database.app) as connection:
        assert connection.autocommit


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/fhir", "refused"),
        ("postgresql://u:hunter2@nowhere.invalid/fhir", "nowhere.invalid"),
        ("postgresql:///fhir?host=/nonexistent&password=hunter2", "No such file"),
        ("postgresql://u:hunter2%zz@h/fhir", "not escaped"),
        ("postgresql://u:hunter2@h:port/fhir", "port"),
        ("postgresql://u:hunter2@127.0.0.1:1/fhir?nosuchoption=1", "not escaped"),
    ],
)
def test_unusable_url_is_one_sentence_without_the_password(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        connect(url, "APP_DATABASE_URL")
    sentence = str(caught.value)
    assert sentence.startswith("APP_DATABASE_URL")
    assert "hunter2" not in sentence
    assert "\n" not in sentence


def test_unknown_database_and_role_are_named(database: DatabaseUrls) -> None:
    address, _, query = str(database.owner).partition("?")
    with pytest.raises(ConfigurationError, match='database "nosuch" does not exist'):
        connect(f"{address.rpartition('/')[0]}/nosuch?{query}")
    with pytest.raises(ConfigurationError, match=r'role "nosuch" does not exist|authentication failed'):
        connect(f"{address}?{query}&user=nosuch".replace("?&", "?"))


def test_old_server_is_refused_by_version() -> None:
    check_version(150000)
    check_version(180004)
    with pytest.raises(ConfigurationError, match=r"the server is PostgreSQL 14; PostgreSQL 15 or newer is needed"):
        check_version(140011)
