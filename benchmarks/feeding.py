"""Messages of HL7 v2 into the gateway, accepted and stored. docs/benchmarks.md, "The HL7 v2 gateway" """

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Any, Final, cast

import click
import uvloop

from benchmarks.accounting import cpu_microseconds
from benchmarks.figures import percentile
from benchmarks.instance import HOST, STOP_SECONDS, Instance, free_port
from hl7_gateway.conversion.registry import SUPPORTED
from hl7_gateway.message import Message
from hl7_gateway.simulator.hospital import messages
from hl7_gateway.wire.mllp import frame

_SEEDS: Final = count(1)
_WARM_SECONDS: Final = 10.0
_END: Final = b"\x1c\r"


@dataclass(slots=True)
class Fed:
    """What one measurement came to; latencies, and CPU time that the client ``used``, in seconds."""

    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    used: float = 0.0
    latencies: list[float] = field(default_factory=list)


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


class _Sender(asyncio.Protocol):
    """A connection that sends the next frame when the last one is answered, until there are no more of them.

    With a ``gap`` it has one to send every so many seconds from ``due`` on. What had to wait for an answer is late, and
    its latency counts from when it was due: a sender that waits must not hide that it does.
    """

    def __init__(self, waiting: Iterator[bytes], fed: Fed, until: float, due: float = 0.0, gap: float = 0.0) -> None:
        self._waiting = waiting
        self._fed = fed
        self._until = until
        self._due = due
        self._gap = gap
        self._sent = 0.0
        self._heard = b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next(time.perf_counter())

    def data_received(self, data: bytes) -> None:
        answer = self._heard + data
        if not answer.endswith(_END):
            self._heard = answer
            return
        self._heard = b""
        now = time.perf_counter()
        self._fed.latencies.append(now - self._sent)
        if b"MSA|AA" in answer:
            self._fed.accepted += 1
        else:
            self._fed.refused += 1
        self._next(now)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _next(self, now: float) -> None:
        if self._gap and now < self._due < self._until:
            asyncio.get_running_loop().call_later(self._due - now, self._send)
        else:
            self._send()

    def _send(self) -> None:
        now = time.perf_counter()
        framed = next(self._waiting, None) if now < self._until else None
        if framed is None:
            self._transport.close()
        else:
            self._sent = self._due if self._gap else now
            self._due += self._gap
            self._transport.write(framed)


async def _feed(port: int, frames: list[bytes], connections: int, seconds: float, rate: float) -> Fed:
    """Send frames over connections, each of which waits for its answer, until they or the time are over.

    ``rate`` is how many are sent in a second, 0 as many as are answered.
    """
    loop = asyncio.get_running_loop()
    waiting = iter(frames)
    fed = Fed()
    begun, used = time.perf_counter(), time.process_time()
    gap = connections / rate if rate else 0.0
    senders = []
    for place in range(connections):
        one = _Sender(waiting, fed, begun + seconds, begun + place * gap / connections, gap)
        await loop.create_connection(lambda one=one: one, HOST, port)  # type: ignore[misc]
        senders.append(one)
    await asyncio.gather(*(one.ended for one in senders))
    fed.seconds, fed.used = time.perf_counter() - begun, time.process_time() - used
    return fed


def _client(
    port: int, frames: list[bytes], connections: int, seconds: float, rate: float, told: multiprocessing.Queue[Fed]
) -> None:
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told.put(runner.run(_feed(port, frames, connections, seconds, rate)))


def _fed(port: int, frames: list[bytes], connections: int, seconds: float, rate: float) -> Fed:
    """What a process of its own sends."""
    told: multiprocessing.Queue[Fed] = multiprocessing.Queue()
    client = multiprocessing.Process(target=_client, args=(port, frames, connections, seconds, rate, told))
    client.start()
    fed = told.get()
    client.join()
    return fed


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


@dataclass(frozen=True, slots=True)
class Sending:
    """A way of sending: over how many connections, how many a second (0: as many as are answered), how long."""

    connections: int
    seconds: float
    rate: float = 0.0


def measure(instance: Instance, sending: Sending, *, workers: int, number: int) -> dict[str, Any]:
    """What a way of sending comes to, once the hospital has patients and tables have statistics; as plain values.

    At most ``number`` messages are sent. CPU times are microseconds for each message.
    """
    warm = number // 10
    frames = story(number + warm, beds=400)
    with gateway(instance, workers) as (port, pid):
        _fed(port, frames[:warm], sending.connections, _WARM_SECONDS, 0.0)
        instance.settle()
        roots = {"gateway": pid, "postgres": instance.postgres_pid}
        before = cpu_microseconds(roots)
        fed = _fed(port, frames[warm:], sending.connections, sending.seconds, sending.rate)
        after = cpu_microseconds(roots)
    each = sorted(fed.latencies)
    cpu = {root: (after[root] - before[root]) / max(len(each), 1) for root in roots}
    return {
        "connections": sending.connections,
        "rate": sending.rate,
        "seconds": fed.seconds,
        "accepted": fed.accepted,
        "refused": fed.refused,
        "per_second": fed.accepted / fed.seconds,
        "p50_ms": percentile(each, 50) * 1000,
        "p99_ms": percentile(each, 99) * 1000,
        "cpu_us": {**cpu, "client": fed.used / max(len(each), 1) * 1_000_000},
    }
