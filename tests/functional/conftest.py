"""The whole application over a real PostgreSQL, in this process; tests of processes and sockets start their own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from werkzeug.test import Client

from fhir_server.app import FhirServer, create_app
from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.tenants import Tenant
from tests.factories import hostile
from tests.functional.live import Live, serving
from tests.functional.running import Demo, data_directory, demonstrating, left_over, run


@dataclass(frozen=True)
class Answer(hostile.Answer):
    """What the server answered."""

    @property
    def id(self) -> str:
        """The id in the Location header."""
        return self.headers["Location"].rpartition("/_history/")[0].rpartition("/")[2]


@dataclass
class Api:
    """A client of one tenant's FHIR base."""

    app: FhirServer
    slug: str
    access_token: str
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request; header names are written with _ for -."""
        sent = {"Authorization": f"Bearer {self.access_token}", **self.headers}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content_type = sent.pop("Content-Type", "application/fhir+json")
        data = body if isinstance(body, bytes) or body is None else json.dumps(body, default=_number).encode()
        response = Client(self.app).open(
            f"/t/{self.slug}/fhir/{path}".rstrip("/"),
            method=method,
            data=data,
            headers=sent,
            content_type=content_type if data is not None else None,
        )
        return Answer(response.status_code, dict(response.headers), response.get_data())

    def get(self, path: str, **headers: str) -> Answer:
        """GET [base]/path"""
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """POST [base]/path"""
        return self("POST", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        """PUT [base]/path"""
        return self("PUT", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        """PATCH [base]/path"""
        return self("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        """DELETE [base]/path"""
        return self("DELETE", path, **headers)


def _number(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(type(value).__name__)


@pytest.fixture(scope="session")
def settings(database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of the application under test."""
    data: Path = tmp_path_factory.mktemp("data")
    return Settings.from_env(
        {
            "APP_DATABASE_URL": database.app,
            "DATA_DIR": str(data),
            "MAX_BODY_BYTES": "2000000",
            "LOG_LEVEL": "error",
            "ADDRESS_LIMIT": "0",
        }
    )


@pytest.fixture(scope="session")
def app(settings: Settings) -> Iterator[FhirServer]:
    """The application, as a web process has it."""
    application = create_app(settings)
    yield application
    application.database.close()


@pytest.fixture(scope="session")
def access_token(settings: Settings) -> Callable[..., str]:
    """A function that issues access_tokens: (tenant's slug, scope, lifetime in seconds)."""
    signing = keys.load_or_create(settings.key_file)

    def make(slug: str, scope: str = "system/*.cruds", lifetime: int = 600) -> str:
        return issue(
            signing,
            issuer=settings.issuer,
            sub="tester",
            client_id="tests",
            tenant=slug,
            scope=scope,
            lifetime=lifetime,
        )

    return make


@pytest.fixture
def new_api(app: FhirServer, access_token: Callable[..., str], new_tenant: Callable[[], Tenant]) -> Callable[..., Api]:
    """A function that makes a client of a fresh tenant, with full access or a given scope."""

    def make(scope: str = "system/*.cruds", slug: str = "") -> Api:
        name = slug or new_tenant().slug
        return Api(app, name, access_token(name, scope))

    return make


@pytest.fixture
def api(new_api: Callable[..., Api]) -> Api:
    """A client of a fresh tenant with full access."""
    return new_api()


@pytest.fixture(scope="module")
def module_api(app: FhirServer, access_token: Callable[..., str], database: DatabaseUrls) -> Api:
    """A client of a tenant that the tests of a module share, with full access: for those that only read."""
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as owner:
        tenant = tenants.create(owner, f"module-{secrets.token_hex(4)}")
    return Api(app, tenant.slug, access_token(tenant.slug, lifetime=3600))


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    """A server of two web processes behind a port, for what only shows over sockets."""
    with serving(WEB_WORKERS="2", MAX_BODY_BYTES="2000000", LOG_LEVEL="info") as server:
        yield server


@pytest.fixture(scope="session")
def prepared() -> Iterator[Path]:
    """A DATA_DIR whose PostgreSQL has been set up, for tests that look at later starts; none may run at its end."""
    with data_directory() as directory:
        assert run("migrate", DATA_DIR=str(directory)).returncode == 0
        yield directory
        assert left_over(directory) == []


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """Everything that `make run` starts, for tests that take a tour as a new user does; those add what is their own."""
    with demonstrating() as running:
        yield running
