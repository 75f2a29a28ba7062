"""The Redis that processes share where there is one. Nothing rests on it alone. https://redis.io/docs/latest/develop/

It may be lost at any time: whoever asks goes on without it, PostgreSQL and each process's own memory being enough.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import RedisError
from redis.retry import Retry

from fhir_server import logs

T = TypeVar("T")

TIMEOUT_SECONDS = 0.2
"""The longest that a request waits for Redis."""

REST_SECONDS = 2.0
"""How long Redis is let alone after it has failed: a request must not wait for it each time."""

TOLD_SECONDS = 60.0
"""How often it is said that Redis fails."""

LISTEN_SECONDS = 1.0
_PREFIX = "fhir:"


class RedisServer:
    """A Redis by its URL; safe to share between threads. It connects when it is first needed."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._let_alone_until = float("-inf")
        self._told = float("-inf")
        # One attempt more, since a connection that has long been idle may be gone.
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),
            client_name="fhir-server",
        )

    def run(self, work: Callable[[redis.Redis], T]) -> T | None:
        """What ``work`` answers; None where Redis cannot be asked."""
        if self._clock() < self._let_alone_until:
            return None
        try:
            return work(self._client)
        except RedisError as error:
            self._failed(error)
            return None

    def script(self, source: str) -> Script:
        """A Lua script to be called in `run`: sent once, and named by its digest from then on.

        https://redis.io/docs/latest/develop/programmability/eval-intro/
        """
        return self._client.register_script(source)

    def publish(self, channel: str, message: str = "") -> None:
        """Tell the other processes; where Redis fails, nobody is told."""
        self.run(lambda client: client.publish(_PREFIX + channel, message))

    def listen(self, channel: str, heard: Callable[[], None], closed: threading.Event) -> None:
        """Call ``heard`` in a thread of its own for each message, and after each new connection, until ``closed``."""
        threading.Thread(
            target=self._listen, args=(_PREFIX + channel, heard, closed), name=f"redis {channel}", daemon=True
        ).start()

    def _listen(self, channel: str, heard: Callable[[], None], closed: threading.Event) -> None:
        while not closed.is_set():
            try:
                client = redis.Redis.from_url(
                    self._url,
                    socket_connect_timeout=LISTEN_SECONDS,
                    # A server that is gone without a word is noticed by the health check.
                    health_check_interval=5,
                    retry=Retry(NoBackoff(), 0),
                    client_name="fhir-server",
                )
                with client, client.pubsub() as subscription:  # type: ignore[no-untyped-call]
                    subscription.subscribe(channel)
                    while not closed.is_set():
                        # The confirmation counts too: something may have been said before it.
                        if subscription.get_message(timeout=LISTEN_SECONDS) is not None:
                            heard()
            except RedisError as error:
                self._tell(error)
                closed.wait(REST_SECONDS)

    def _failed(self, error: RedisError) -> None:
        self._let_alone_until = self._clock() + REST_SECONDS
        self._tell(error)

    def _tell(self, error: RedisError) -> None:
        now = self._clock()
        if now - self._told >= TOLD_SECONDS:
            self._told = now
            logs.event("redis unavailable", level=logging.WARNING, error=error)
