"""`python -m benchmarks`, which `make bench` runs. docs/benchmarks.md"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from benchmarks import (
    accounting,
    comparison,
    deciding,
    gateway,
    growth,
    instance,
    loading,
    machine,
    panel,
    paths,
    report,
    searching,
    seeding,
    verifying,
)
from benchmarks.comparison import Subject
from benchmarks.driver import LoadFailed
from benchmarks.instance import Instance, NotReady
from benchmarks.paths import Pace
from benchmarks.pgbench import PgbenchFailed
from benchmarks.searching import Effort
from benchmarks.seeding import SeedingFailed
from benchmarks.wire import Target
from fhir_server.settings import ConfigurationError

HERE = Path(__file__).parent
OUR_NAME = "fhir-server, one web worker"
QUICK = Pace(seconds=1.0, rounds=1, connections=(1, 4), patients=10)
SEARCHED = 50_000
EFFORT = Effort(pages=10)
"""Of so little data no page is deeper that is not the last."""

QUICK_EFFORT = Effort(rounds=1, requests=5, different=5, pages=3)

EXPECTED = (LoadFailed, NotReady, PgbenchFailed, SeedingFailed, ConfigurationError, accounting.NoAccounting, OSError)
"""What can go wrong on a machine, told in a sentence; anything else is a mistake of the benchmark."""


@click.group(
    invoke_without_command=True,
    epilog="\b\nExamples:\n  python -m benchmarks\n  python -m benchmarks --quick --output /tmp/bench\n"
    "  python -m benchmarks --peer http://localhost:8090/fhir --header 'Authorization: Basic cm9vdDpzZWNyZXQ='\n"
    "  python -m benchmarks growth",
)
@click.option(
    "--seconds", type=click.FloatRange(0.2, 600), default=3.0, show_default=True, help="Length of a measurement."
)
@click.option("--rounds", type=click.IntRange(1, 50), default=3, show_default=True, help="How often each is repeated.")
@click.option(
    "--connections", type=click.IntRange(2, 256), default=8, show_default=True, help="Clients, beside one alone."
)
@click.option(
    "--patients",
    type=click.IntRange(5, 5000),
    default=100,
    show_default=True,
    help="Records of 60 resources at the start.",
)
@click.option(
    "--peer", "peers", multiple=True, metavar="URL", help="Another FHIR server's base URL, for the HTTP workloads too."
)
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header for the peers' requests.")
@click.option("--quick", is_flag=True, help="A second for each, once: shows that it works, not what it costs.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), default=HERE, help="Where RESULTS.md is written."
)
@click.pass_context
def main(
    ctx: click.Context,
    seconds: float,
    rounds: int,
    connections: int,
    patients: int,
    peers: tuple[str, ...],
    headers: tuple[str, ...],
    quick: bool,
    output: Path,
) -> None:
    """Measure each path of the server beside its floor, and the HTTP workloads, on an instance of its own."""
    pace = QUICK if quick else Pace(seconds, rounds, (1, connections), patients)
    ctx.obj = (pace, output)
    if ctx.invoked_subcommand is not None:
        return
    with _told():
        results = run(pace, [_peer(url, headers) for url in peers])
        _write(output, "results.json", results)
        found = searching.run([SEARCHED], QUICK_EFFORT if quick else EFFORT, None, _say)
    _write(output, "searches.json", found)


@main.command(name="growth", epilog="\b\nExample:\n  python -m benchmarks growth --large 200000")
@click.option(
    "--small", type=click.IntRange(500, 10_000_000), default=5_000, show_default=True, help="Resources at first."
)
@click.option(
    "--large", type=click.IntRange(500, 10_000_000), default=500_000, show_default=True, help="Resources at last."
)
@click.pass_obj
def grow(obj: tuple[Pace, Path], small: int, large: int) -> None:
    """Compare reading and searching at two sizes of data, side by side; takes minutes."""
    pace, output = obj
    with _told():
        found = growth.run(small, large, pace, _say)
    _write(output, "growth.json", found)


@main.command(
    name="searches", epilog="\b\nExample:\n  python -m benchmarks searches --resources 500000 --resources 5000000"
)
@click.option(
    "--resources",
    "sizes",
    type=click.IntRange(10_000, 50_000_000),
    multiple=True,
    default=(500_000, 5_000_000),
    show_default=True,
    help="How many there are; several for one instance after the other.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where the data is kept meanwhile: about 6 GB for each million.",
)
@click.pass_obj
def search(obj: tuple[Pace, Path], sizes: tuple[int, ...], directory: Path | None) -> None:
    """Measure every kind of search, each beside its bare SQL, on data of these sizes."""
    with _told():
        found = searching.run(sizes, Effort(rounds=5), directory, _say)
    _write(obj[1], "scale.json", found)


@main.command(name="panel", epilog="\b\nExample:\n  python -m benchmarks panel --resources 500000")
@click.option("--resources", type=click.IntRange(10_000, 50_000_000), default=130_000, show_default=True, help="Data.")
@click.pass_obj
def see(obj: tuple[Pace, Path], resources: int) -> None:
    """Compare a physician with 2,000 patients with whoever sees the whole clinic."""
    with _told():
        found = panel.run(resources, 5, 60, None, _say)
    _write(obj[1], "panel.json", found)


@main.command(name="verify", epilog="\b\nExample:\n  python -m benchmarks verify")
@click.pass_obj
def verify(obj: tuple[Pace, Path]) -> None:
    """Measure what it costs to verify an access_token that was seen before; takes half a minute."""
    pace, output = obj
    with _told():
        found = verifying.run(max(pace.rounds, 3), _say)
    _write(output, "verify.json", found)


@main.command(name="decide", epilog="\b\nExample:\n  python -m benchmarks decide")
@click.pass_obj
def decide(obj: tuple[Pace, Path]) -> None:
    """Measure what deciding and auditing add to a read; takes a minute."""
    pace, output = obj
    with _told():
        found = deciding.run(max(pace.rounds, 5), _say)
    _write(output, "decide.json", found)


@main.command(name="gateway", epilog="\b\nExample:\n  python -m benchmarks gateway --minutes 10")
@click.option("--seconds", type=click.FloatRange(1, 600), default=10.0, show_default=True, help="Of each measurement.")
@click.option("--minutes", type=click.FloatRange(0.1, 60), default=10.0, show_default=True, help="Of the paced one.")
@click.option("--rate", type=click.FloatRange(1, 10_000), default=gateway.STORED, show_default=True, help="Its pace.")
@click.pass_obj
def feed(obj: tuple[Pace, Path], seconds: float, minutes: float, rate: float) -> None:
    """Measure how many messages of HL7 v2 are accepted and stored, and what each costs by phase."""
    with _told():
        found = gateway.run(seconds, minutes, rate, _say)
    _write(obj[1], "gateway.json", found)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except EXPECTED as error:
        raise click.ClickException(f"{error}") from error


def run(pace: Pace, peers: list[tuple[str, Target]]) -> dict[str, Any]:
    """Everything but growth, as plain values."""
    with instance.running_instance() as one:
        memory: dict[str, Any] = {}
        described = machine.describe(one.postgres.owner_url)
        with instance.web(one) as served:
            memory["before the first request"] = _memory(served)
            target = one.target(served.port, paths.TENANT)
            seeded = seeding.seed(target, pace.patients)
            one.settle()
            _say(f"seeded {seeded.resources:,} resources")
            measured = paths.measure(one, served, seeded, target, pace, _say)
            memory["after the paths"] = _memory(served)
            trees = {"web": served.pid, "postgres": one.postgres_pid}
            subject = Subject(OUR_NAME, one.target(served.port, "workloads"), seeding.Seeded(), trees)
            subjects = [_subject(subject, pace, one)]
            memory["after the workloads"] = _memory(served)
        measured.append(loading.measure(one, seeded, pace.rounds, 2 * pace.patients, _say))
    subjects += [_subject(Subject(name, target, seeding.Seeded()), pace) for name, target in peers]
    return {
        "machine": described,
        "pace": {
            "seconds": pace.seconds,
            "rounds": pace.rounds,
            "connections": list(pace.connections),
            "patients": pace.patients,
        },
        "paths": [one.to_json() for one in measured],
        "subjects": subjects,
        "memory": memory,
    }


def _subject(subject: Subject, pace: Pace, one: Instance | None = None) -> dict[str, Any]:
    subject.seeded = seeding.seed(subject.target, pace.patients)
    if one is not None:
        one.settle()
    workloads = comparison.measure(subject, pace, _say)
    return {
        "name": subject.name,
        "resources": subject.seeded.resources,
        "workloads": [measured.to_json() for measured in workloads],
    }


def _memory(served: instance.Served) -> dict[str, int]:
    found = accounting.memory(served.worker())
    return {"peak": found.peak, "resident": found.resident, "proportional": found.proportional}


def _peer(url: str, headers: tuple[str, ...]) -> tuple[str, Target]:
    pairs = [header.partition(":") for header in headers]
    if any(not separator for _, separator, _ in pairs):
        raise click.BadParameter("must be 'NAME: VALUE'", param_hint="--header")
    try:
        return url, Target.of(url, {name.strip(): value.strip() for name, _, value in pairs})
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--peer") from None


def _write(output: Path, name: str, results: dict[str, Any]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / name).write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    parts = {
        one: output / one
        for one in (
            "results.json",
            "growth.json",
            "verify.json",
            "decide.json",
            "panel.json",
            "gateway.json",
            *report.SECTIONS,
        )
    }
    found = {one: json.loads(path.read_text()) for one, path in parts.items() if path.exists()}
    (output / "RESULTS.md").write_text(report.render(found))
    _say(f"written: {output / 'RESULTS.md'}")


def _say(line: str) -> None:
    click.echo(line, file=sys.stderr)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
