"""Serving the web application with granian, a WSGI server written in Rust. https://github.com/emmett-framework/granian"""

from __future__ import annotations

import gc
import logging
import os
import signal
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from fhir_server import logs
from fhir_server.errors import FhirError
from fhir_server.rest.uploads import WAITING
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store.die_with_parent import die_with_this_parent, end_after_this_parent

GRACE_SECONDS = 8
"""How long requests that are under way may take once a stop was asked for."""

KEEP_OUT_OF_STDOUT: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"_granian": {"level": "WARNING", "handlers": [], "propagate": True}},
}
"""granian's own messages go where all logs go."""


def settle_memory() -> None:
    """Take what a worker has loaded out of the garbage collector's sight, and let it look less often.

    Requests make few cycles and much garbage that counting frees; walking the definitions over and over is what costs.
    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def load_app(target: str, failed: Path | None = None) -> Callable[..., Any]:
    """Build the application in a worker process that granian has just started. ``target`` is only shown in messages.

    What keeps a worker from starting keeps the next one too: the file ``failed`` is made and the main process told.
    """
    # A fork inherits the main process's handler, which would swallow a stop that comes before the worker has its own.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # granian's workers would outlive a killed main process and keep the port.
    die_with_this_parent(signal.SIGTERM)
    # Its handler of the signal may wait for a lock of the thread that it interrupts; who would kill it then is dead.
    end_after_this_parent(GRACE_SECONDS)
    settings = Settings.from_env()
    logs.configure(settings.log_level)
    logs.gather()
    try:
        from fhir_server.app import create_app

        app: Callable[..., Any] = create_app(settings)
    except Exception as error:  # noqa: BLE001 - otherwise multiprocessing prints a traceback, with values in it
        # Our own exceptions have sentences for people; what others say may hold values.
        reason = str(error) if isinstance(error, ConfigurationError | FhirError | ImportError) else None
        logs.event("web worker cannot start", level=logging.ERROR, error=error, reason=reason)
        if failed is not None:
            failed.touch()
            os.kill(os.getppid(), signal.SIGTERM)
        raise SystemExit(1) from None
    settle_memory()
    return app


def serve(settings: Settings, app_url: str) -> None:
    """Serve until SIGINT or SIGTERM with ``settings.web_workers`` processes, on the database at ``app_url``.

    Raises ConfigurationError when a worker cannot start; exits with status 1 when one keeps dying.
    """
    # Workers read their settings from the environment; they get the application's way into the database only.
    os.environ["APP_DATABASE_URL"] = app_url
    os.environ.pop("DATABASE_URL", None)
    server = Granian(
        "fhir_server.app:create_app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.web_workers,
        # Those that wait for a body do not count among those that run: fhir_server/rest/uploads.py
        blocking_threads=settings.web_threads + WAITING,
        backlog=2048,
        http1_settings=HTTP1Settings(header_read_timeout=15_000),
        websockets=False,
        log_level=LogLevels.warning,
        log_dictconfig=KEEP_OUT_OF_STDOUT,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE_SECONDS,
    )
    with tempfile.TemporaryDirectory(prefix="fhir-server-metrics-") as directory:
        # Where the workers' counters meet, so that /metrics of any of them tells of all.
        # https://prometheus.github.io/client_python/multiprocess/
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", directory)
        failed = Path(directory) / "failed"
        try:
            server.serve(target_loader=partial(load_app, failed=failed))
        finally:
            # granian ends by SystemExit or by returning, whichever it notices first: the signal or the dead worker.
            if failed.exists():
                raise ConfigurationError("The web server could not start: the log above tells why.")
