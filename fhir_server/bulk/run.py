"""A load from beginning to end: files in order, what failed, what is tried again. docs/architecture.md"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fhir_server.bulk import sources
from fhir_server.bulk.batches import batches
from fhir_server.bulk.pool import Pool
from fhir_server.bulk.report import Report
from fhir_server.bulk.work import Failure, LoadFile, Outcome, Place, Work
from fhir_server.errors import FhirError

POLL_SECONDS = 0.5
"""How often a stop that was asked for is noticed while every process is busy."""


@dataclass(slots=True)
class Totals:
    """How far a load is: resources ``loaded``, ``skipped`` since an earlier load had them, and ``failed``.

    ``bytes_done`` of ``bytes_all`` are those of the files as they lie on the disk. ``waiting`` files, or batches of
    lines, refer to what is not there yet.
    """

    bytes_all: int
    bytes_done: int = 0
    loaded: int = 0
    skipped: int = 0
    failed: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class _WaitingLines:
    """A batch of lines of which ``only`` these positions wait; not the lines themselves."""

    path: Path
    first: int
    only: frozenset[int]


class Run:
    """Loads ``files`` in their order with the processes of ``pool``.

    ``stopping`` says whether to come to an end; ``show`` is called with the totals whenever they change.
    """

    def __init__(
        self,
        files: Sequence[Path],
        pool: Pool,
        report: Report,
        stopping: Callable[[], bool],
        show: Callable[[Totals], None],
    ) -> None:
        self._sizes = {path: path.stat().st_size for path in files}
        self.totals = Totals(sum(self._sizes.values()))
        self._pool = pool
        self._report = report
        self._stopping = stopping
        self._show = show
        self._todo: deque[Work] = deque(LoadFile(path) for path in files)
        self._streams: deque[Iterator[Work]] = deque()
        self._waiting: list[LoadFile | _WaitingLines] = []
        self.stopped = ""

    def __call__(self) -> Totals:
        """Load until everything is, or nothing more can be: then ``stopped`` says why.

        Raises ConfigurationError where a process ends or the report cannot be written.
        """
        self._drain()
        while self._waiting and not self._is_over():
            loaded = self.totals.loaded
            self._queue_waiting()
            self._drain()
            if self.totals.loaded == loaded:
                # Nothing was written, so nothing will be found the next time either.
                break
        if not self._is_over():
            self.totals.failed += self._report.write_held()
            self._waiting = []
        self._changed()
        return self.totals

    def _is_over(self) -> bool:
        return bool(self.stopped) or self._stopping()

    def _drain(self) -> None:
        """Have all work done that there is; work under way is finished even after a stop."""
        ready: Work | None = None
        while True:
            over = self._is_over()
            if ready is None and not over:
                # The next piece is read while the processes are busy, so that none waits for the disk.
                ready = self._next()
            if ready is not None and self._pool.idle and not over:
                self._pool.send(ready)
                ready = None
            elif self._pool.busy:
                for work, outcome in self._pool.receive(POLL_SECONDS):
                    self._take(work, outcome)
            else:
                return

    def _next(self) -> Work | None:
        while self._streams:
            if (work := next(self._streams[0], None)) is not None:
                return work
            self._streams.popleft()
        return self._todo.popleft() if self._todo else None

    def _queue_waiting(self) -> None:
        """Have everything that waits done again, NDJSON read anew: the lines may be more than memory holds."""
        waiting, self._waiting = self._waiting, []
        self._report.drop_held()
        again: dict[Path, dict[int, frozenset[int]]] = {}
        for work in waiting:
            if isinstance(work, LoadFile):
                self._todo.append(work)
            else:
                again.setdefault(work.path, {})[work.first] = work.only
        self._streams.extend(self._lines(path, only) for path, only in again.items())

    def _take(self, work: Work, outcome: Outcome) -> None:
        if outcome.is_ndjson:
            self._streams.append(self._lines(work.path, None))
            return
        if isinstance(work, LoadFile):
            self.totals.bytes_done += self._sizes.pop(work.path, 0)
        self.stopped = self.stopped or outcome.stopped
        self.totals.loaded += outcome.loaded
        self.totals.skipped += outcome.skipped
        self._fail(outcome.failures)
        if outcome.waiting:
            only = frozenset(failure.position for failure in outcome.waiting)
            self._report.hold(outcome.waiting)
            self._waiting.append(
                LoadFile(work.path, only) if isinstance(work, LoadFile) else _WaitingLines(work.path, work.first, only)
            )
        self._changed()

    def _lines(self, path: Path, only: Mapping[int, frozenset[int]] | None) -> Iterator[Work]:
        """The batches of an NDJSON file; ``only`` those that begin at these lines, and of them these positions."""
        size = self._sizes.pop(path, 0)
        done = 0
        try:
            with sources.opened(path, self._pool.limit) as source:
                for batch in batches(path, source.lines()):
                    if only is None:
                        yield batch
                    elif batch.first in only:
                        yield replace(batch, only=only[batch.first])
                    read = min(source.consumed(), size)
                    self.totals.bytes_done += read - done
                    done = read
        except FhirError as error:
            self._fail([Failure.of(Place(path), 0, None, error)])
        self.totals.bytes_done += size - done

    def _fail(self, failures: list[Failure]) -> None:
        self._report.write(failures)
        self.totals.failed += len(failures)

    def _changed(self) -> None:
        self.totals.waiting = len(self._waiting)
        self._show(self.totals)
