"""One PostgreSQL for each test process, migrated once; a fresh tenant for each test that asks."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql

from fhir_server.store import tenants
from fhir_server.store.database_urls import APP_ROLE, DatabaseUrls, with_role
from fhir_server.store.embedded import EmbeddedPostgres, running
from fhir_server.store.migrate import migrate
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from tests import redis_process
from tests.redis_process import RedisProcess

# How long an example takes says nothing on a machine that runs other tests beside it.
hypothesis.settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy machine")

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL on which tests may create databases."""

    admin: DatabaseUrls

    def urls(self, database: str) -> DatabaseUrls:
        assert self.admin.owner is not None
        return DatabaseUrls(_in_database(self.admin.owner, database), _in_database(self.admin.app, database))

    def execute(self, statement: sql.Composed) -> None:
        assert self.admin.owner is not None
        with psycopg.connect(self.admin.owner, autocommit=True) as connection:
            connection.execute(statement)

    def create_database(self, name: str, template: str | None = None) -> DatabaseUrls:
        clause = sql.SQL(" TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        self.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)) + clause)
        return self.urls(name)

    def drop_database(self, name: str) -> None:
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _in_database(url: str, database: str) -> str:
    address, mark, query = url.partition("?")
    return f"{address.rpartition('/')[0]}/{database}{mark}{query}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The server of DATABASE_URL where that is set, else one of our own that forgets everything at the end."""
    if url := os.environ.get("DATABASE_URL"):
        yield Server(DatabaseUrls(url, with_role(url, APP_ROLE)))
        return
    # Not in pytest's own temporary directory: it resets the permissions that PostgreSQL's system user needs under root.
    with tempfile.TemporaryDirectory(prefix="fhir-tests-", ignore_cleanup_errors=True) as directory:
        yield from _run_server(Path(directory))


def _run_server(directory: Path) -> Iterator[Server]:
    options = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "64MB"}
    with running(EmbeddedPostgres(directory / "postgresql", options=options)) as server:
        yield Server(DatabaseUrls(server.owner_url, server.app_url))


@pytest.fixture(scope="session")
def template_database(postgres_server: Server) -> Iterator[str]:
    """The name of a migrated, empty database that nothing connects to, to copy from."""
    name = f"fhir_template_{os.getpid()}"
    urls = postgres_server.create_database(name)
    assert urls.owner is not None
    migrate(urls.owner)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def database(postgres_server: Server, template_database: str) -> Iterator[DatabaseUrls]:
    """The database that tests share; each keeps to tenants of its own."""
    name = f"fhir_tests_{os.getpid()}"
    yield postgres_server.create_database(name, template_database)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def app_database(database: DatabaseUrls) -> Iterator[Database]:
    """The pool of a web process."""
    pool = Database(database.app, 12)
    pool.open()
    yield pool
    pool.close()


@pytest.fixture
def fresh_database(postgres_server: Server, template_database: str) -> Iterator[DatabaseUrls]:
    """A migrated database for this test alone, where it changes more than a tenant's rows."""
    name = f"fhir_fresh_{os.getpid()}_{next(_numbers)}"
    yield postgres_server.create_database(name, template_database)
    postgres_server.drop_database(name)


@pytest.fixture
def empty_database(postgres_server: Server) -> Iterator[DatabaseUrls]:
    """A database without any table, for tests of migrations."""
    name = f"fhir_empty_{os.getpid()}_{next(_numbers)}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture
def new_tenant(database: DatabaseUrls) -> Iterator[Callable[[], Tenant]]:
    """A function that creates one more tenant in the shared database."""
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        yield lambda: tenants.create(connection, f"clinic-{os.getpid()}-{next(_numbers)}")


@pytest.fixture
def tenant(new_tenant: Callable[[], Tenant]) -> Tenant:
    """A fresh tenant."""
    return new_tenant()


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisProcess]:
    """The Redis that tests share."""
    with redis_process.running() as process:
        yield process


@pytest.fixture
def redis(shared_redis: RedisProcess) -> RedisProcess:
    """A Redis that runs and knows nothing."""
    shared_redis.stop()
    shared_redis.start()
    return shared_redis


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Data that lies beside the repository on some machines; tests that need it are skipped elsewhere."""
    directory = Path(__file__).parents[1] / "../shared/data"
    if not directory.exists():
        pytest.skip("there is no ../shared/data here")
    return directory
