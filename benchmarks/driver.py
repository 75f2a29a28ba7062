"""The load generator: one process, one epoll loop, keep-alive connections, requests whose bytes are made in advance.

It runs apart from what it measures and reads the clock of every process tree itself, right before the first request
that counts and right after the last answer. https://man7.org/linux/man-pages/man7/epoll.7.html
"""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.connection
import select
import socket
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.accounting import cpu_microseconds
from benchmarks.wire import Answer, parse_answer

Step = tuple[str, bytes]
"""What kind of request this is, and its bytes."""

Script = Generator[Step, Answer, None]
"""What one connection does: it yields requests and is sent their answers. One that ends closes its connection."""

TIMEOUT_SECONDS = 60.0
RECEIVE_BYTES = 1 << 18


class Workload(Protocol):
    """What connections do; pickled to get into the load generator's process."""

    def scripts(self, connections: int) -> list[Script]:
        """One script for each connection."""
        ...


class LoadFailed(Exception):
    """The server refused or garbled what it should have served, so there is nothing to measure."""


@dataclass(slots=True)
class Load:
    """What one measurement saw: latencies by kind of request, CPU by process tree, both in microseconds."""

    seconds: float
    requests: int
    latencies: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    client_cpu: float = 0.0
    bytes_received: int = 0
    failures: int = 0
    first_failure: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to load: at ``host:port`` over ``connections``, for ``seconds`` after ``warm_up`` seconds, or fewer requests.

    ``trees`` are the process trees whose CPU time is counted, by name. ``most`` bounds the requests that count.
    """

    host: str
    port: int
    connections: int
    seconds: float
    warm_up: float = 0.3
    trees: Mapping[str, int] = field(default_factory=dict)
    most: int = 1_000_000


def run(workload: Workload, plan: Plan) -> Load:
    """Run a workload from a process of its own. Raises LoadFailed."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(workload, plan, sending), daemon=True)
    process.start()
    sending.close()
    try:
        if not receiving.poll(plan.seconds + plan.warm_up + TIMEOUT_SECONDS * 2):
            raise LoadFailed("the load generator did not come back")
        result = receiving.recv()
    except EOFError:
        raise LoadFailed("the load generator ended without a result") from None
    finally:
        process.join(5)
        process.kill()
        process.join()
    if isinstance(result, str):
        raise LoadFailed(result)
    assert isinstance(result, Load)
    return result


def _main(workload: Workload, plan: Plan, sending: multiprocessing.connection.Connection) -> None:
    try:
        sending.send(drive(workload.scripts(plan.connections), plan))
    except (LoadFailed, OSError, ValueError) as error:
        sending.send(f"{type(error).__name__}: {error}")


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    script: Script
    pending: Step | None
    kind: str = ""
    sent: float = 0.0
    received: bytearray = field(default_factory=bytearray)


def drive(scripts: list[Script], plan: Plan, clock: Callable[[], float] = time.perf_counter) -> Load:
    """Drive the scripts in this process until the plan's time or number is reached. Raises LoadFailed, OSError."""
    poller = select.epoll()
    live: dict[int, _Connection] = {}
    try:
        for script in scripts:
            connected = socket.create_connection((plan.host, plan.port), timeout=TIMEOUT_SECONDS)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            live[connected.fileno()] = _Connection(connected, script, next(script, None))
            poller.register(connected, select.EPOLLIN)
        if plan.warm_up:
            _phase(poller, live, plan.warm_up, plan.most, clock)
        gc.collect()
        gc.freeze()
        cpu, own, begun = cpu_microseconds(plan.trees), time.process_time(), clock()
        load = _phase(poller, live, plan.seconds, plan.most, clock)
        load.seconds = clock() - begun
        load.client_cpu = (time.process_time() - own) * 1e6
        load.cpu = {name: used - cpu[name] for name, used in cpu_microseconds(plan.trees).items()}
    finally:
        for connection in live.values():
            connection.socket.close()
        poller.close()
    return load


def _phase(
    poller: select.epoll, live: dict[int, _Connection], seconds: float, most: int, clock: Callable[[], float]
) -> Load:
    """Send until the time or the number is reached, then take every answer that is still under way.

    So the CPU time between beginning and end is that of the requests counted, of all and of no others.
    """
    load, in_flight, sent = Load(0.0, 0), 0, 0
    deadline = clock() + seconds
    for connection in live.values():
        if connection.pending is not None and sent < most:
            _send(connection, clock)
            in_flight, sent = in_flight + 1, sent + 1
    while in_flight:
        events = poller.poll(TIMEOUT_SECONDS)
        if not events:
            raise LoadFailed(f"no answer within {TIMEOUT_SECONDS:.0f} s")
        for number, _ in events:
            connection = live[number]
            answer = _receive(connection, load)
            if answer is None:
                continue
            _count(load, connection, answer, clock())
            in_flight -= 1
            try:
                connection.pending = connection.script.send(answer)
            except StopIteration:
                connection.pending = None
            if connection.pending is not None and sent < most and clock() < deadline:
                _send(connection, clock)
                in_flight, sent = in_flight + 1, sent + 1
    return load


def _send(connection: _Connection, clock: Callable[[], float]) -> None:
    assert connection.pending is not None
    connection.kind, payload = connection.pending
    connection.pending = None
    connection.sent = clock()
    connection.socket.sendall(payload)


def _receive(connection: _Connection, load: Load) -> Answer | None:
    data = connection.socket.recv(RECEIVE_BYTES)
    if not data:
        raise LoadFailed("the server closed a connection")
    load.bytes_received += len(data)
    connection.received += data
    answer = parse_answer(connection.received)
    if answer is not None:
        connection.received.clear()
    return answer


def _count(load: Load, connection: _Connection, answer: Answer, now: float) -> None:
    load.requests += 1
    load.latencies.setdefault(connection.kind, []).append((now - connection.sent) * 1e6)
    if answer.status >= 400:
        load.failures += 1
        load.first_failure = load.first_failure or (
            f"{connection.kind}: {answer.status} {answer.body[:300].decode(errors='replace')}"
        )
