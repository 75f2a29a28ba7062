"""`fhir-server load`: resources from files into a tenant. https://hl7.org/fhir/uv/bulkdata/export.html"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from fhir_server import logs
from fhir_server.commands.database import database
from fhir_server.commands.example import example
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.supervisor import Stop

if TYPE_CHECKING:
    from fhir_server.bulk.work import Settled
    from fhir_server.store.database_urls import DatabaseUrls

INTERRUPTED = 130
"""What a shell makes of Ctrl-C. https://www.gnu.org/software/bash/manual/html_node/Exit-Status.html"""


@click.command(epilog=example("fhir-server load --tenant riverside export/ Patient.ndjson.gz bundle.json.bz2"))
@click.option("--tenant", "slug", required=True, metavar="SLUG", help="The tenant to load into.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), help="Loading processes; the number of cores unless given.", metavar="NUMBER"
)
@click.option(
    "--report",
    "report_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write what failed; a new file in DATA_DIR/load-reports unless given.",
)
@click.option("--again", is_flag=True, help="Load what was loaded before too.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(exists=True, path_type=Path))
@click.pass_context
def command(
    ctx: click.Context, slug: str, jobs: int | None, report_path: Path | None, again: bool, paths: tuple[Path, ...]
) -> None:
    """Load resources from files, and from the files in directories, in the order of their names.

    A file is plain, gzip or bzip2, and holds a Bundle, another resource, or NDJSON with one of them on each line; its
    content decides. Everything is validated and indexed as over REST.

    \b
    Transaction   all of it or nothing, as over REST.
    Batch         each entry by itself.
    Collection    (or the result of a search) as the resources that are in it.
    Resource      with an id: put there, over what there is; without one: created.

    Files, and batches of 500 lines, are loaded side by side, so an id should come once; --jobs 1 keeps the order. A
    Bundle with a conditional reference that matches nothing yet is tried again after the other files.

    What is loaded is noted in the database, with the data and by its content, so that after Ctrl-C, or a crash, the
    same command goes on where it stopped, and a second run loads nothing twice: it tries only what had failed.
    --again loads everything anew.

    Exit status: 0 when everything is loaded, 1 when anything failed (see the report), 130 after Ctrl-C.
    """
    from fhir_server.bulk import sources
    from fhir_server.bulk.pool import Pool
    from fhir_server.bulk.progress import Progress
    from fhir_server.bulk.report import Report
    from fhir_server.bulk.run import Run

    settings = Settings.from_env()
    logs.configure("error")
    files = sources.expand(paths)
    report_path = report_path or _report_path(settings, slug)
    with database(settings) as urls, _stopping() as stopping, Report(report_path) as report:
        settled = _settled(settings, urls.app, slug, again)
        with Pool(min(jobs or _cores(), 256), settled) as pool:
            progress = Progress(sum(path.stat().st_size for path in files))
            with progress:
                run = Run(files, pool, report, stopping.is_set, progress.show)
                totals = run()
        seconds = progress.seconds
        if totals.loaded:
            _refresh_statistics(urls)
    click.echo(f"{slug}: {progress.words()} in {seconds:.1f} s from {len(files):,} files")
    if report.entries:
        click.echo(f"What failed and why: {report.path}")
    if run.stopped:
        raise ConfigurationError(f"{run.stopped} What was loaded is noted: the same command again goes on from there.")
    if stopping.is_set():
        click.echo("Stopped. The same command again goes on from here.", err=True)
        ctx.exit(INTERRUPTED)
    ctx.exit(1 if totals.failed else 0)


def _refresh_statistics(urls: DatabaseUrls) -> None:
    """Where only the application's role is known, PostgreSQL does this by itself, a little later."""
    from fhir_server.store import statistics
    from fhir_server.store.database_urls import connect

    if urls.owner is not None:
        with connect(urls.owner, "DATABASE_URL") as connection:
            statistics.refresh(connection)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _report_path(settings: Settings, slug: str) -> Path:
    name = f"{slug}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.ndjson"
    return settings.data_dir / "load-reports" / name


def _settled(settings: Settings, app_url: str, slug: str, again: bool) -> Settled:
    """Raises ConfigurationError where the tenant does not exist or the database is not ready for a load."""
    from fhir_server.bulk.work import Settled
    from fhir_server.store import load_progress, tenants
    from fhir_server.store.database_urls import connect

    with connect(app_url, "APP_DATABASE_URL" if settings.app_database_url else "DATABASE_URL") as connection:
        if not load_progress.exists(connection):
            raise ConfigurationError("The database is not up to date: run `fhir-server migrate` first.")
        tenant = tenants.find(connection, slug)
        if tenant is None:
            known = [known.slug for known in tenants.listed(connection)]
            have = f"there are: {', '.join(known[:20])}" if known else "there is none yet"
            raise ConfigurationError(
                f"There is no tenant {slug!r}; {have}. `fhir-server tenant create {slug}` creates it."
            )
    base_url = f"{settings.public_url}/t/{slug}/fhir"
    return Settled(app_url, tenant.id, slug, base_url, settings.max_body_bytes, again, settings.full_text)


@contextmanager
def _stopping() -> Iterator[Stop]:
    """What Ctrl-C asks for a stop; the work under way is finished then. The second Ctrl-C interrupts that too."""
    stopping = Stop()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
