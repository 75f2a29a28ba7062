"""What Prometheus sees of the FHIR interface. https://prometheus.io/docs/practices/naming/

A count is a write to a file that all processes share, and a request has half a dozen of them: they are added up first,
and written once a second.
"""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections import deque

from prometheus_client import Counter, Histogram, disable_created_metrics

from fhir_server.interactions.context import Phases

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_PERIOD_SECONDS = 1.0
_MOST_PENDING = 512

disable_created_metrics()  # type: ignore[no-untyped-call]

_requests = Counter("fhir_requests", "FHIR requests by URL template and status.", ("method", "route", "status"))
_duration = Histogram("fhir_request_seconds", "Time to answer a FHIR request.", ("route",), buckets=_BUCKETS)
_phase = Counter("fhir_phase_seconds", "Time spent in each phase of answering.", ("phase",))

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

_Answered = tuple[str, str, int, int, dict[str, int]]
_pending: deque[_Answered] = deque()
_writing = threading.Lock()
_clock: threading.Thread | None = None


def known(method: str) -> str:
    """The method, or "other": one that nobody knows is the client's text, which is neither for labels nor for logs."""
    return method if method in _METHODS else "other"


def observe(method: str, route: str, status: int, phases: Phases) -> None:
    """Count one answered request; `flush` makes it visible, at the latest after a second."""
    _pending.append((known(method), route, status, phases.total(), phases.microseconds))
    if _clock is None:
        _start_clock()
    if len(_pending) >= _MOST_PENDING:
        flush()


def flush() -> None:
    """Write what has been counted so far to where Prometheus reads it."""
    with _writing:
        requests: Tally[tuple[str, str, int]] = Tally()
        spent: Tally[str] = Tally()
        for _ in range(len(_pending)):
            method, route, status, microseconds, phases = _pending.popleft()
            requests[method, route, status] += 1
            _duration.labels(route).observe(microseconds / 1e6)
            spent.update(phases)
        for (method, route, status), number in requests.items():
            _requests.labels(method, route, str(status)).inc(number)
        for phase, microseconds in spent.items():
            _phase.labels(phase).inc(microseconds / 1e6)


def _start_clock() -> None:
    """Flush once a second from now on, also when no further request comes."""
    global _clock
    with _writing:
        if _clock is None:
            _clock = threading.Thread(target=_tick, name="metrics", daemon=True)
            _clock.start()


def _tick() -> None:
    while True:
        time.sleep(_PERIOD_SECONDS)
        if _pending:
            flush()
