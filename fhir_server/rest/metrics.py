"""What Prometheus sees of the FHIR interface. https://prometheus.io/docs/practices/naming/"""

from __future__ import annotations

from prometheus_client import Counter, Histogram, disable_created_metrics

from fhir_server.interactions.context import Phases

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

disable_created_metrics()  # type: ignore[no-untyped-call]

_requests = Counter("fhir_requests", "FHIR requests by URL template and status.", ("method", "route", "status"))
_duration = Histogram("fhir_request_seconds", "Time to answer a FHIR request.", ("route",), buckets=_BUCKETS)
_phase = Counter("fhir_phase_seconds", "Time spent in each phase of answering.", ("phase",))

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# labels() takes a lock and builds a key each time; the label sets are few and known, so their children are kept.
_children: dict[object, object] = {}


def known(method: str) -> str:
    """The method, or "other": one that nobody knows is the client's text, which is neither for labels nor for logs."""
    return method if method in _METHODS else "other"


def observe(method: str, route: str, status: int, phases: Phases) -> None:
    """Count one answered request."""
    key = (known(method), route, status)
    counter = _children.get(key)
    if counter is None:
        counter = _children[key] = _requests.labels(key[0], route, str(status))
    counter.inc()  # type: ignore[attr-defined]
    histogram = _children.get(route)
    if histogram is None:
        histogram = _children[route] = _duration.labels(route)
    histogram.observe(phases.total() / 1e6)  # type: ignore[attr-defined]
    for phase, microseconds in phases.microseconds.items():
        child = _children.get(("phase", phase))
        if child is None:
            child = _children[("phase", phase)] = _phase.labels(phase)
        child.inc(microseconds / 1e6)  # type: ignore[attr-defined]
