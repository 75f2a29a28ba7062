"""/healthz, /readyz and /metrics: what watches the server asks of it.
https://kubernetes.io/docs/reference/using-api/health-checks/"""

from __future__ import annotations

import os

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess
from prometheus_client.registry import REGISTRY

from fhir_server.errors import FhirError
from fhir_server.rest import metrics as counts
from fhir_server.settings import Settings
from fhir_server.store import directory
from fhir_server.store.session import Database


def probes(settings: Settings, database: Database) -> Blueprint:
    """The routes, over one process's database."""
    blueprint = Blueprint("probes", __name__)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return _text("ok")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        try:
            ready = directory.ready(database)
        except FhirError:
            return _text("the database does not answer", 503)
        return _text("ready") if ready else _text("the database has no tables yet", 503)

    @blueprint.get("/metrics")
    def metrics() -> Response:
        counts.flush()
        registry: CollectorRegistry = REGISTRY
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), mimetype=CONTENT_TYPE_LATEST)

    return blueprint


def _text(text: str, status: int = 200) -> Response:
    return Response(text + "\n", status, mimetype="text/plain")
