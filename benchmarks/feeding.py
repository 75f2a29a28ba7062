"""Messages of HL7 v2 into the gateway, accepted and stored: `python -m benchmarks.feeding`. docs/benchmarks.md"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Final

import click
import psycopg

from benchmarks.accounting import cpu_microseconds
from benchmarks.figures import percentile
from benchmarks.instance import HOST, STOP_SECONDS, Instance, free_port, running_instance
from fhir_server.store import hl7_feeds
from hl7_gateway.conversion.registry import SUPPORTED
from hl7_gateway.message import Message
from hl7_gateway.simulator.hospital import messages
from hl7_gateway.wire.mllp import frame

_SEEDS: Final = count(1)
_END: Final = b"\x1c\r"


@dataclass(frozen=True, slots=True)
class Fed:
    """What one measurement came to; latencies in seconds."""

    accepted: int
    refused: int
    seconds: float
    latencies: list[float]


def story(number: int, beds: int) -> list[bytes]:
    """Frames of a hospital that no measurement before has told of, in their order; of types that are converted."""
    told: list[bytes] = []
    hospital = messages(next(_SEEDS), beds, datetime(2026, 1, 1, tzinfo=UTC))
    while len(told) < number:
        for raw in islice(hospital, number - len(told)):
            one = Message(raw.decode())
            if one.event in SUPPORTED.get(one.message_type, ()):
                told.append(frame(raw))
    return told


async def _feed(port: int, frames: list[bytes], connections: int, seconds: float) -> Fed:
    """Send frames over connections, each of which waits for its answer, until they or the time are over."""
    waiting = iter(frames)
    codes = [0, 0]
    latencies: list[float] = []
    begun = time.perf_counter()

    async def one() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        for framed in waiting:
            sent = time.perf_counter()
            if sent - begun > seconds:
                break
            writer.write(framed)
            answer = await reader.readuntil(_END)
            latencies.append(time.perf_counter() - sent)
            codes[b"MSA|AA" not in answer] += 1
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return Fed(codes[0], codes[1], time.perf_counter() - begun, latencies)


def _client(port: int, frames: list[bytes], connections: int, seconds: float, told: multiprocessing.Queue[Fed]) -> None:
    told.put(asyncio.run(_feed(port, frames, connections, seconds)))


@contextlib.contextmanager
def gateway(instance: Instance, workers: int) -> Iterator[tuple[int, int]]:
    """`hl7-gateway serve`: its port and its process."""
    port = free_port()
    environ = instance.environment(free_port()) | {"MLLP_PORT": str(port), "MLLP_WORKERS": str(workers)}
    with instance.log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "hl7_gateway", "serve"],
            env=environ,
            cwd=Path(__file__).parents[1],
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(instance.log.read_text(errors="replace")[-2_000:])
            time.sleep(0.1)
        # Workers are a little later.
        time.sleep(3 if workers else 0.5)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(STOP_SECONDS + 10)


def measure(instance: Instance, name: str, *, workers: int, connections: int, seconds: float, number: int) -> str:
    """One line of what a way of sending comes to."""
    frames = story(number, beds=400)
    with gateway(instance, workers) as (port, pid):
        told: multiprocessing.Queue[Fed] = multiprocessing.Queue()
        client = multiprocessing.Process(target=_client, args=(port, frames, connections, seconds, told))
        roots = {"gateway": pid, "postgres": instance.postgres_pid}
        before = cpu_microseconds(roots)
        client.start()
        fed = told.get()
        client.join()
        after = cpu_microseconds(roots)
    each = sorted(fed.latencies)
    cpu = {root: (after[root] - before[root]) / max(len(each), 1) for root in roots}
    return (
        f"{name:44} {fed.accepted / fed.seconds:8,.0f}/s  {fed.accepted:7,} AA  {fed.refused:3} refused"
        f"  p50 {percentile(each, 50) * 1000:6.1f} ms  p99 {percentile(each, 99) * 1000:6.1f} ms"
        f"  CPU gateway {cpu['gateway']:6.0f} us, postgres {cpu['postgres']:6.0f} us"
    )


@click.command()
@click.option("--seconds", type=click.FloatRange(1, 3600), default=10.0, show_default=True, help="Of each measurement.")
@click.option("--number", type=click.IntRange(100), default=60_000, show_default=True, help="Messages made for each.")
@click.option("--only", type=click.Choice(["accepted", "stored"]), help="Half of the measurements.")
def main(seconds: float, number: int, only: str | None) -> None:
    """Measure how many messages are accepted (kept durably) and stored (as resources) before they are acknowledged."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    click.echo(f"{len(os.sched_getaffinity(0))} cores, load before {load}; client and PostgreSQL on the same machine")
    with running_instance() as instance:
        tenant = instance.tenant("fed")
        with psycopg.connect(instance.postgres.owner_url) as owner:
            owner.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant.id)])
            hl7_feeds.add(owner, tenant.id, "bench", {"zone": "America/New_York"}, 1)
        if only != "stored":
            for connections in (64, 1):
                name = f"accepted, {connections} connections, nothing converted"
                line = measure(instance, name, workers=0, connections=connections, seconds=seconds, number=number)
                click.echo(line)
        if only != "accepted":
            with psycopg.connect(instance.postgres.owner_url) as owner:
                owner.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant.id)])
                owner.execute("TRUNCATE hl7_queue")
                hl7_feeds.change(owner, tenant.id, "bench", 2, configuration={"acknowledgment": "commit"})
            for connections in (64, 1):
                name = f"stored, {connections} connections, 2 workers"
                line = measure(instance, name, workers=2, connections=connections, seconds=seconds, number=number)
                click.echo(line)


if __name__ == "__main__":
    main()
