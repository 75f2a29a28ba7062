"""The gateway as processes: one that receives, others that convert. docs/hl7.md"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Final

import uvloop

from fhir_server import logs
from fhir_server.authn.outbound import Outbound
from fhir_server.errors import Unavailable
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.store import hl7_destinations
from fhir_server.store.session import Database
from fhir_server.supervisor import Child, Supervisor
from hl7_gateway.alert_calls import Caller
from hl7_gateway.committing import Committer
from hl7_gateway.feeds import PERIOD, Feeds
from hl7_gateway.keeping import Keeper
from hl7_gateway.metrics import Metrics
from hl7_gateway.ports import Ports
from hl7_gateway.receive import Receiver
from hl7_gateway.securing import Secured, secured
from hl7_gateway.settlements import Settlements
from hl7_gateway.starting import hasher_of
from hl7_gateway.stopping import told_to_stop
from hl7_gateway.stored_maps import loader
from hl7_gateway.watch import Watch
from hl7_gateway.worker import Worker

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 0.02
_MOST_PATIENT: Final = 5
"""A worker that is not needed waits so many seconds for each one before it: one message needs one of them."""

_GRACE_SECONDS: Final = 8.0
"""How long messages that were read may take to be answered once a stop was asked for."""

_DATABASE_SECONDS: Final = 2.0
"""How long to wait for a connection: who keeps messages asks again, and their senders wait meanwhile."""


def serve(settings: Settings, app_url: str) -> None:
    """Receive until SIGINT or SIGTERM, with MLLP_WORKERS processes that convert. Raises ConfigurationError."""
    speaks = secured(settings)
    supervisor = Supervisor()
    try:
        for number in range(1, settings.mllp_workers + 1):
            supervisor.start(_child(f"HL7 worker {number}", app_url, "work", "--place", str(number)))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_receive(settings, app_url, supervisor, speaks))
    finally:
        supervisor.stop()


def _child(name: str, app_url: str, *words: str) -> Child:
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environ["APP_DATABASE_URL"] = app_url
    return Child(name, [sys.executable, "-m", "hl7_gateway", *words], environ)


class _Destinations:
    """Starts the process that sends to destinations, once there is one: most clinics have none."""

    def __init__(self, database: Database, start: Callable[[], None]) -> None:
        self._database = database
        self._start = start
        self._due = 0.0
        self._started = False

    async def look(self) -> None:
        """Look again, where the last look is longer ago than feeds are looked at."""
        if self._started or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + PERIOD
        if await asyncio.to_thread(self._any):
            self._started = True
            self._start()

    def _any(self) -> bool:
        try:
            return bool(self._database.run(lambda c: hl7_destinations.listed(c), read_only=True))
        except Unavailable:
            return False


async def _receive(settings: Settings, app_url: str, supervisor: Supervisor, speaks: Secured) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    renewing = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, renewing.set)
    database = _opened(app_url, 4)
    try:
        hasher = await asyncio.to_thread(hasher_of, database, stopping.is_set)
        if hasher is None:
            return
        maps = loader(database, hasher, full_text=settings.full_text)
        feeds, metrics = Feeds(database, settings.mllp_port, maps=maps), Metrics()
        keeper, settlements = Keeper(database), Settlements(database)
        if settings.mllp_metrics_port:
            _serve_metrics(metrics, settings)
        committer = Committer(database, keeper)
        receiver = Receiver(feeds, committer, settlements, hasher, metrics)
        ports = Ports(settings.host, settings.mllp_port, receiver.handler, speaks, receiver.refuser)
        caller = _caller(settings, database)
        watch = Watch(database, feeds, metrics, tell=caller.tell if caller is not None else None)
        destinations = _Destinations(
            database, lambda: supervisor.start(_child("HL7 destinations", app_url, "destination", "send"))
        )
        renewer = asyncio.create_task(_renew(renewing, settings, ports))
        settle_memory()
        feeds.follow()
        keeper.start()
        committer.start()
        settlements.start()
        try:
            while not stopping.is_set():
                await asyncio.to_thread(feeds.refresh_if_possible)
                if feeds.seen:
                    await ports.follow(feeds.all)
                await asyncio.to_thread(watch.look)
                await destinations.look()
                supervisor.look_after()
                await _within(stopping, _LOOK_SECONDS)
        finally:
            renewer.cancel()
            await ports.close(_GRACE_SECONDS)
            await committer.close()
            await asyncio.to_thread(keeper.close)
            await asyncio.to_thread(settlements.close)
            await asyncio.to_thread(feeds.close)
            if caller is not None:
                await asyncio.to_thread(caller.close)
    finally:
        database.close()


async def _renew(renewing: asyncio.Event, settings: Settings, ports: Ports) -> None:
    """Read the files of certificates again, each time that this is asked for; without end."""
    while True:
        await renewing.wait()
        renewing.clear()
        try:
            found = await asyncio.to_thread(secured, settings)
        except ConfigurationError as error:
            # Which file it is, and nothing that is in it.
            logger.error("certificates stay as they were", extra={"problem": str(error)})
            continue
        ports.secure(found)
        logger.info("certificates were read again")


async def _within(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


def _caller(settings: Settings, database: Database) -> Caller | None:
    if settings.mllp_alert_url is None:
        return None
    caller = Caller(database, Outbound.of(settings), settings.mllp_alert_url)
    caller.start()
    return caller


def _serve_metrics(metrics: Metrics, settings: Settings) -> None:
    try:
        metrics.serve(settings.host, settings.mllp_metrics_port)
    except OSError:
        raise ConfigurationError(f"MLLP_METRICS_PORT: {settings.mllp_metrics_port} is in use.") from None


def _opened(app_url: str, size: int) -> Database:
    database = Database(app_url, size, wait_seconds=_DATABASE_SECONDS, look_ups=True)
    database.open()
    return database


def settle_memory() -> None:
    """What is loaded stays: walking it over and over is what would cost."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def work(settings: Settings, app_url: str, place: int = 1) -> None:
    """Convert messages in this process until SIGINT or SIGTERM; ``place`` is which of several processes it is."""
    stopping = told_to_stop()
    # One connection converts: a second one in turn with it would have what PostgreSQL remembers for it twice.
    database, beside = _opened(app_url, 1), _opened(app_url, 2)
    try:
        hasher = hasher_of(database, stopping.is_set)
        if hasher is None:
            return
        maps = loader(beside, hasher, full_text=settings.full_text)
        feeds = Feeds(beside, settings.mllp_port, maps=maps)

        def base_url(slug: str) -> str:
            return f"{settings.public_url}/t/{slug}/fhir"

        patience = _PATIENCE_SECONDS * min(place - 1, _MOST_PATIENT)
        worker = Worker(database, hasher, feeds, base_url, full_text=settings.full_text, patience=patience)
        settle_memory()
        logs.event("hl7 worker started")
        feeds.follow()
        worker.run(stopping)
        feeds.close()
        logs.event("hl7 worker stopped")
    finally:
        database.close()
        beside.close()
