"""Counts arrive where Prometheus reads them, each once. https://prometheus.io/docs/practices/naming/"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.registry import REGISTRY

from fhir_server.interactions.context import Phases
from fhir_server.rest import metrics


def count(route: str) -> float:
    labels = {"method": "GET", "route": route, "status": "200"}
    return REGISTRY.get_sample_value("fhir_requests_total", labels) or 0.0


def phases() -> Phases:
    made = Phases()
    made.microseconds["sql"] = 2_000_000
    return made


def test_each_request_counts_once_whichever_thread_flushes() -> None:
    metrics.flush()  # what earlier tests have left
    spent = REGISTRY.get_sample_value("fhir_phase_seconds_total", {"phase": "sql"}) or 0.0
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: metrics.observe("GET", "test/threads", 200, phases()), range(2_000)))
    metrics.flush()
    assert count("test/threads") == 2_000
    assert REGISTRY.get_sample_value("fhir_request_seconds_count", {"route": "test/threads"}) == 2_000
    assert REGISTRY.get_sample_value("fhir_phase_seconds_total", {"phase": "sql"}) == pytest.approx(spent + 4_000)


def test_a_quiet_process_shows_its_last_request_too() -> None:
    metrics.observe("GET", "test/quiet", 200, phases())
    deadline = time.monotonic() + 10
    while count("test/quiet") < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert count("test/quiet") == 1


def test_a_method_of_the_clients_making_is_no_label() -> None:
    assert metrics.known("BREW") == "other"
    assert metrics.known("PATCH") == "PATCH"
