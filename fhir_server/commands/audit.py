"""`fhir-server audit`: verify and export the audit trail. docs/audit.md, "Verifying" """

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import click

from fhir_server.audit import export as exports
from fhir_server.audit import verify as verification
from fhir_server.audit.verify import Head
from fhir_server.commands.database import database
from fhir_server.commands.example import example
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import instants, json
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import audit, directory
from fhir_server.store.session import Database

PLATFORM = "_platform"
"""The name of the chain of what concerns no clinic; no tenant can have it, see store/tenants.py."""


@click.group(name="audit", epilog=example("fhir-server audit verify --all"))
def command() -> None:
    """Verify the audit trail, export it for an auditor, print where it ends."""


@command.command(epilog=example("fhir-server audit verify --tenant riverside --head 1200:9f86d0..."))
@click.option("--tenant", "slugs", multiple=True, metavar="T", help="The tenant; can be given several times.")
@click.option("--all", "everything", is_flag=True, help="All tenants, and the platform's own trail.")
@click.option("--head", "kept", default="", metavar="NUMBER:HASH", help="What `audit head` printed earlier.")
def verify(slugs: tuple[str, ...], everything: bool, kept: str) -> int:
    """Walk the chain from its beginning; exits with 1 at the first record that is not as it was written."""
    head = _head(kept) if kept else None
    if head is not None and len(slugs) != 1:
        raise click.UsageError("--head is of one --tenant.")
    status = 0
    with _opened() as (pool, hasher):
        for slug, tenant_id in _tenants(pool, slugs, everything=everything):
            report = verification.verify(pool, hasher, tenant_id, head)
            click.echo(f"{slug}\t{report.records}\t{report.problem or 'in order'}")
            status = 1 if report.problem else status
    return status


@command.command(epilog=example("fhir-server audit head --all >> /somewhere/else/heads"))
@click.option("--tenant", "slugs", multiple=True, metavar="T", help="The tenant; can be given several times.")
@click.option("--all", "everything", is_flag=True, help="All tenants, and the platform's own trail.")
def head(slugs: tuple[str, ...], everything: bool) -> None:
    """Print where the trail ends: to be kept where nobody who can change the database can change it."""
    with _opened() as (pool, _):
        for slug, tenant_id in _tenants(pool, slugs, everything=everything):
            found = audit.head(pool, tenant_id)
            click.echo(f"{slug}\t{found[0]}:{found[1].hex()}" if found else f"{slug}\t-")


@command.command(
    epilog=example("fhir-server audit export --tenant riverside --from 2026-01 --to 2026-03 --out q1.jsonl")
)
@click.option("--tenant", "slug", required=True, metavar="T", help="The tenant.")
@click.option(
    "--from", "start", default="", metavar="DATE", help="The first day, month or instant; else the beginning."
)
@click.option("--to", "end", default="", metavar="DATE", help="The last day or month; else the end.")
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file; it is written anew."
)
def export(slug: str, start: str, end: str, out: Path) -> None:
    """Write the records of a period, with their hashes, as JSON lines for scripts/verify_audit.py."""
    low = _moment(start)[0] if start else instants.MIN
    high = _moment(end)[1] if end else instants.MAX
    count = 0
    with _opened() as (pool, _), os.fdopen(_private(out), "wb") as file:
        ((_, tenant_id),) = _tenants(pool, (slug,), everything=False)
        for line in exports.lines(pool, tenant_id, slug, low, high):
            file.write(json.dumps(line) + b"\n")
            count += "record" in line
    click.echo(f"{slug}\t{count}\t{out}")


def _private(path: Path) -> int:
    """The file opened for writing, for this user's eyes only. Raises ConfigurationError."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None


@contextlib.contextmanager
def _opened() -> Iterator[tuple[Database, Hasher]]:
    settings = Settings.from_env()
    with database(settings) as urls:
        # A chain of millions takes its time.
        pool = Database(urls.app, 2, statement_timeout_ms=3_600_000)
        pool.open()
        try:
            yield pool, Hasher(directory.hash_key(pool))
        finally:
            pool.close()


def _tenants(pool: Database, slugs: tuple[str, ...], *, everything: bool) -> list[tuple[str, int]]:
    if everything == bool(slugs):
        raise click.UsageError("Give --tenant T, or --all.")
    if everything:
        return [*directory.all_tenants(pool), (PLATFORM, 0)]
    found = []
    for slug in slugs:
        tenant_id = 0 if slug == PLATFORM else directory.tenant_id(pool, slug)
        if tenant_id is None:
            raise ConfigurationError(f"There is no tenant {slug!r}; `fhir-server tenant list` tells which there are.")
        found.append((slug, tenant_id))
    return found


def _head(text: str) -> Head:
    try:
        return Head.parse(text)
    except ValueError:
        raise click.UsageError("--head takes NUMBER:HASH as `fhir-server audit head` prints it.") from None


def _moment(text: str) -> tuple[int, int]:
    try:
        return instants.interval(text)
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no date: {error}.") from None
