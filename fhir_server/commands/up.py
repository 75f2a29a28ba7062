"""`fhir-server up`: everything on one machine, from nothing to patients served. docs/architecture.md"""

from __future__ import annotations

import contextlib
import http.client
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from fhir_server import logs
from fhir_server.commands.access_token import DEFAULT_SCOPE, issue
from fhir_server.commands.database import check, embedded, owner_url
from fhir_server.commands.example import example
from fhir_server.commands.migrate import apply
from fhir_server.ports import check_port
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import database_urls, tenants
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.embedded import EmbeddedPostgres
from fhir_server.supervisor import Child, Supervisor, in_words

READY_SECONDS = 60
SHOWN_TOKEN_LIFETIME = 12 * 3600
"""Seconds; the curl line that is shown works for a working day."""


class _Database:
    """The embedded PostgreSQL as a part that the supervisor looks after."""

    name = "PostgreSQL"

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self.start = server.start
        self.stop = server.stop
        self.exit_status = server.exit_status

    def ask_to_stop(self) -> None:
        """Nothing yet: it stops last, once nobody uses it any more."""


@click.command(epilog=example("PORT=8081 DATA_DIR=/srv/fhir fhir-server up"))
@click.option(
    "--simulate",
    type=click.FloatRange(0, 100),
    default=0.0,
    help="Have a simulated hospital send so many messages of HL7 v2 a second to the demo's feed.",
)
def command(simulate: float) -> None:
    """Run everything: PostgreSQL unless DATABASE_URL is set, migrations, demo clinics, web server, jobs, HL7 v2."""
    begun = time.monotonic()
    settings = Settings.from_env()
    check_port(settings.host, settings.port)
    logs.configure(settings.log_level)
    supervisor = Supervisor()
    supervisor.stop_on_signals()
    try:
        with contextlib.suppress(_Stopped):
            _start(settings, supervisor, simulate)
            _welcome(settings, time.monotonic() - begun)
            supervisor.run()
        _say("Stopping ...")
    finally:
        supervisor.stop()
    _say("Stopped.")


class _Stopped(Exception):
    """Somebody asked for a stop while starting."""


def _start(settings: Settings, supervisor: Supervisor, simulate: float) -> None:
    urls = _start_database(settings, supervisor)
    _pause(supervisor)
    begun = time.monotonic()
    apply(owner_url(urls))
    _say(f"Migrations: the database is up to date ({time.monotonic() - begun:.1f} s)")
    _pause(supervisor)
    if not settings.production:
        _seed(settings, urls, supervisor)
        _seed_people(settings, urls)
        _seed_feed(urls)
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environ["APP_DATABASE_URL"] = urls.app
    python = [sys.executable, "-m", "fhir_server.cli"]
    begun = time.monotonic()
    web = Child("The web server", [*python, "web"], environ)
    supervisor.start(web)
    supervisor.start(Child("The job worker", [*python, "worker"], environ))
    _wait_until_ready(settings, supervisor, web)
    _say(f"Web server: {settings.web_workers} processes ready ({time.monotonic() - begun:.1f} s)")
    if settings.mllp_port:
        # Last, so that nobody waits for it who only wants the web server.
        gateway = [sys.executable, "-m", "hl7_gateway"]
        supervisor.start(Child("The HL7 gateway", [*gateway, "serve"], environ))
        _say(f"HL7 v2: messages are taken on port {settings.mllp_port}")
        if simulate and not settings.production:
            words = ["simulate", "--port", str(settings.mllp_port), "--rate", str(simulate)]
            supervisor.start(Child("The simulated hospital", [*gateway, *words], environ))


def _start_database(settings: Settings, supervisor: Supervisor) -> DatabaseUrls:
    begun = time.monotonic()
    urls = database_urls.database_urls(settings)
    if urls is not None:
        owner_url(urls)
        check(urls)
        _say("PostgreSQL: using DATABASE_URL")
        return urls
    server = embedded(settings)
    if not server.data.exists():
        _say(f"PostgreSQL: making a new database in {server.directory} ...")
    supervisor.start(_Database(server))
    _say(f"PostgreSQL: running in {server.directory} ({time.monotonic() - begun:.1f} s)")
    return DatabaseUrls(server.owner_url, server.app_url)


def _seed(settings: Settings, urls: DatabaseUrls, supervisor: Supervisor) -> None:
    # Each of these takes a while to load, and after the first run none is needed.
    with database_urls.connect(owner_url(urls)) as connection:
        from fhir_server import first_run

        if tenants.is_done(connection, first_run.STEP):
            return
        from fhir_server.bulk.transactions import transaction_loader
        from fhir_server.demo import transaction_bundles
        from fhir_server.demo.clinic import CLINICS

        @contextlib.contextmanager
        def loader() -> Iterator[first_run.Load]:
            with transaction_loader(settings, urls.app) as load:

                def load_unless_stopped(slug: str, bundle: first_run.Bundle) -> None:
                    _pause(supervisor)
                    load(slug, bundle)

                yield load_unless_stopped

        _say("Demo clinics: loading ...")
        names = {slug: clinic.name for slug, clinic in CLINICS.items()}
        first_run.seed_demo_clinics(connection, names, transaction_bundles, loader, _say, datetime.now(UTC).date())


def _seed_people(settings: Settings, urls: DatabaseUrls) -> None:
    with database_urls.connect(owner_url(urls)) as connection:
        from fhir_server.commands import demo_people

        if tenants.is_done(connection, demo_people.STEP):
            return
        demo_people.seed(settings, urls.app, _say)
        tenants.mark_done(connection, demo_people.STEP)


def _seed_feed(urls: DatabaseUrls) -> None:
    with database_urls.connect(owner_url(urls)) as connection:
        from fhir_server.commands import demo_feed

        if tenants.is_done(connection, demo_feed.STEP):
            return
        demo_feed.seed(connection, _say)
        tenants.mark_done(connection, demo_feed.STEP)


def _wait_until_ready(settings: Settings, supervisor: Supervisor, web: Child) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(settings):
        _pause(supervisor)
        if (status := web.exit_status()) is not None:
            raise ConfigurationError(
                f"The web server stopped at its start ({in_words(status)}): see the messages above."
            )
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"The web server did not become ready in {READY_SECONDS} s: see the messages above."
            )
        time.sleep(0.05)


def _answers(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - no binding here
    connection = http.client.HTTPConnection(host, settings.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _welcome(settings: Settings, seconds: float) -> None:
    _say(f"Ready after {seconds:.1f} s. Ctrl-C stops everything; data stays in {settings.data_dir}.")
    if settings.production:
        return
    from fhir_server.demo.clinic import CLINICS

    _say("")
    for slug in CLINICS:
        _say(f"  {settings.public_url}/t/{slug}/fhir")
        if not settings.base_url:
            _say(f"  http://{slug}.localhost:{settings.port}/fhir")
    from fhir_server.commands.demo_people import demo_password

    slug = next(iter(CLINICS))
    _say("")
    _say(f"  Sign in at {settings.public_url}/t/{slug}/home as clinic-admin, physician, staff, billing, executive,")
    _say(f"  attorney, referring-doctor or patient; the password of all is {demo_password(settings)}")
    access_token = issue(settings, slug, DEFAULT_SCOPE, SHOWN_TOKEN_LIFETIME)
    _say("")
    url = f"{settings.public_url}/t/{slug}/fhir/Patient?_count=3&_pretty=true"
    _say(f"  curl -H 'Authorization: Bearer {access_token}' '{url}'")
    _say("")


def _pause(supervisor: Supervisor) -> None:
    if supervisor.stopping.is_set():
        raise _Stopped


def _say(line: str) -> None:
    """One line of progress; a reader who has gone away stops nothing."""
    with contextlib.suppress(OSError):
        click.echo(line)
