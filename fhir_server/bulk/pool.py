"""The loading processes of one command, each with one piece of work at a time. https://docs.python.org/3/library/multiprocessing.html

They are started anew rather than forked, so that they share no connection with the command.
"""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing import connection
from multiprocessing.connection import Connection
from types import TracebackType

from fhir_server.bulk import worker
from fhir_server.bulk.work import Outcome, Settled, Work
from fhir_server.settings import ConfigurationError

GRACE_SECONDS = 5.0


class Pool:
    """``jobs`` processes. Use as a context manager; leaving it ends them and undoes what they have not committed."""

    def __init__(self, jobs: int, settled: Settled) -> None:
        self.jobs = jobs
        self.limit = settled.limit
        self._settled = settled
        self._processes: dict[Connection, multiprocessing.process.BaseProcess] = {}
        self._idle: list[Connection] = []
        self._busy: dict[Connection, Work] = {}

    def __enter__(self) -> Pool:
        # A process inherits what is blocked: Ctrl-C does not reach it before it has said that it ignores it.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for _ in range(self.jobs):
                self._start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        # Each says when it is ready, or why it cannot be.
        for channel in self._processes:
            if stopped := self._answer(channel).stopped:
                self.__exit__(None, None, None)
                raise ConfigurationError(stopped)
            self._idle.append(channel)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel, process in self._processes.items():
            if channel in self._busy:
                process.terminate()
            channel.close()
        for process in self._processes.values():
            process.join(GRACE_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=worker.main, args=(theirs, self._settled), name="fhir-server load", daemon=True
        )
        process.start()
        theirs.close()
        self._processes[ours] = process

    @property
    def idle(self) -> bool:
        """Whether a process has nothing to do."""
        return bool(self._idle)

    @property
    def busy(self) -> bool:
        """Whether a process has something to do."""
        return bool(self._busy)

    def send(self, work: Work) -> None:
        """Give work to an idle process. Raises ConfigurationError where it has ended unexpectedly."""
        channel = self._idle.pop()
        self._busy[channel] = work
        try:
            channel.send(work)
        except OSError:
            raise self._ended(channel) from None

    def receive(self, seconds: float) -> list[tuple[Work, Outcome]]:
        """What has been done, after waiting for it ``seconds`` at most.

        Raises ConfigurationError where a process has ended unexpectedly.
        """
        ready = connection.wait(list(self._busy), seconds)
        found = []
        for channel in [channel for channel in self._busy if channel in ready]:
            outcome = self._answer(channel)
            found.append((self._busy.pop(channel), outcome))
            self._idle.append(channel)
        return found

    def _answer(self, channel: Connection) -> Outcome:
        try:
            outcome: Outcome = channel.recv()
        except (EOFError, OSError):
            raise self._ended(channel) from None
        return outcome

    def _ended(self, channel: Connection) -> ConfigurationError:
        process = self._processes[channel]
        process.join(GRACE_SECONDS)
        status = process.exitcode
        if status is not None and status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        else:
            how = f"ended with status {status}"
        return ConfigurationError(
            f"A loading process {how} (too little memory? try fewer --jobs). What was loaded is noted: "
            "the same command again goes on from there."
        )
