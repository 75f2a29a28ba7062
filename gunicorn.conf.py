"""A supported other way to serve: `gunicorn -c gunicorn.conf.py wsgi:app`. https://docs.gunicorn.org/en/stable/settings.html"""

from __future__ import annotations

from typing import Any

from fhir_server import logs
from fhir_server.rest.uploads import WAITING
from fhir_server.settings import Settings
from fhir_server.web import settle_memory

_settings = Settings.from_env()

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.web_workers
worker_class = "gthread"
threads = _settings.web_threads + WAITING
# A large transaction may take longer than the default of 30 s, which is meant for workers that are stuck.
timeout = 120
graceful_timeout = 10
keepalive = 75
# The most that gunicorn can be told, short of no limit at all; longer URLs get its own answer.
limit_request_line = 8190
accesslog = None
logconfig_dict = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING", "handlers": []}}


def post_worker_init(worker: Any) -> None:
    logs.configure(_settings.log_level)
    logs.gather()
    settle_memory()
