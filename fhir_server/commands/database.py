"""The database that a command works on: the one of DATABASE_URL, or the embedded one for as long as it is needed.
docs/operations.md"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import psycopg

from fhir_server import logs
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import database_urls
from fhir_server.store.database_urls import DatabaseUrls, Unreachable
from fhir_server.store.embedded import EmbeddedPostgres, running

_PAUSE_SECONDS = 0.5


def embedded(settings: Settings) -> EmbeddedPostgres:
    """The PostgreSQL under DATA_DIR, not started, with room for the connections of all processes."""
    connections = settings.web_workers * settings.pool_size + settings.worker_concurrency + 40
    connections += 4 * settings.mllp_workers
    options = {
        "shared_buffers": settings.embedded_shared_buffers,
        "max_connections": str(max(100, connections)),
    }
    return EmbeddedPostgres(settings.data_dir / "postgresql", settings.embedded_postgres_user, options)


@contextlib.contextmanager
def database(settings: Settings, *, patient: bool = False) -> Iterator[DatabaseUrls]:
    """The database's URLs; it runs and can be used within the block. Raises ConfigurationError where it cannot.

    ``patient`` waits for one that cannot be reached: for processes that are started again while it is away.
    """
    urls = database_urls.database_urls(settings)
    if urls is not None:
        if patient:
            _wait(urls)
        else:
            check(urls)
        yield urls
        return
    with running(embedded(settings)) as server:
        yield DatabaseUrls(server.owner_url, server.app_url)


def check(urls: DatabaseUrls) -> None:
    """Connect once as the owner, or as the application where no owner is known. Raises ConfigurationError."""
    if urls.owner:
        database_urls.connect(urls.owner, "DATABASE_URL").close()
    else:
        database_urls.connect(urls.app, "APP_DATABASE_URL").close()


def _wait(urls: DatabaseUrls) -> None:
    told = ""
    while True:
        try:
            check(urls)
        except Unreachable as error:
            if str(error) != told:
                told = str(error)
                logs.event("the process waits for the database", level=logs.LEVELS["warning"], reason=told)
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def owner_url(urls: DatabaseUrls) -> str:
    """The owner's URL. Raises ConfigurationError where only the application's is set."""
    if urls.owner is None:
        raise ConfigurationError("DATABASE_URL must be set: this needs the role that owns the tables.")
    return urls.owner


@contextlib.contextmanager
def owner_connection(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection as the owner to a database that has been migrated. Raises ConfigurationError."""
    with database(settings) as urls, database_urls.connect(owner_url(urls)) as connection:
        if connection.execute("SELECT to_regclass('tenant')").fetchone() == (None,):
            raise ConfigurationError("The database has no tables yet: run `fhir-server migrate` first.")
        yield connection
