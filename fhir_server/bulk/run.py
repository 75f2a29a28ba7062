"""A load from beginning to end: files in order, what failed, what is tried again. docs/architecture.md"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
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

    ``bytes_done`` of ``bytes_all`` are those of the files as they lie on the disk. ``waiting`` resources or Bundles
    refer to what is not there yet.
    """

    bytes_all: int
    bytes_done: int = 0
    loaded: int = 0
    skipped: int = 0
    failed: int = 0
    waiting: int = 0


@dataclass(slots=True)
class _Round:
    """Work that waits for other work, and what is known of it."""

    works: list[tuple[Work, list[Failure]]] = field(default_factory=list)

    @property
    def failures(self) -> int:
        return sum(len(failures) for _, failures in self.works)


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
        self._waiting = _Round()
        self.stopped = ""

    def __call__(self) -> Totals:
        """Load until everything is, or nothing more can be: then ``stopped`` says why.

        Raises ConfigurationError where a process ends or the report cannot be written.
        """
        self._drain()
        while self._waiting.works and not self._is_over():
            before, self._waiting = self._waiting, _Round()
            loaded = self.totals.loaded
            self._todo.extend(_again(work, failures) for work, failures in before.works)
            self._drain()
            if self.totals.loaded == loaded:
                # Nothing was written, so nothing will be found the next time either.
                break
        for _, failures in self._waiting.works:
            self._fail(failures)
        self._waiting = _Round()
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
                continue
            if not self._pool.busy:
                if ready is None or over:
                    return
                continue
            for work, outcome in self._pool.receive(POLL_SECONDS):
                self._take(work, outcome)

    def _next(self) -> Work | None:
        while self._streams:
            if (work := next(self._streams[0], None)) is not None:
                return work
            self._streams.popleft()
        return self._todo.popleft() if self._todo else None

    def _take(self, work: Work, outcome: Outcome) -> None:
        if outcome.is_ndjson:
            self._streams.append(self._lines(work.path))
            return
        if isinstance(work, LoadFile) and work.only is None:
            self.totals.bytes_done += self._sizes.pop(work.path, 0)
        self.stopped = self.stopped or outcome.stopped
        self.totals.loaded += outcome.loaded
        self.totals.skipped += outcome.skipped
        self._fail(outcome.failures)
        if outcome.waiting:
            self._waiting.works.append((work, outcome.waiting))
        self._changed()

    def _lines(self, path: Path) -> Iterator[Work]:
        """The batches of an NDJSON file."""
        done = 0
        try:
            with sources.opened(path, self._pool.limit) as source:
                for batch in batches(path, source.lines()):
                    yield batch
                    self.totals.bytes_done += source.consumed() - done
                    done = source.consumed()
        except FhirError as error:
            self._fail([Failure.of(Place(path), 0, None, error)])
        self.totals.bytes_done += self._sizes.pop(path, 0) - done

    def _fail(self, failures: list[Failure]) -> None:
        self._report.write(failures)
        self.totals.failed += len(failures)

    def _changed(self) -> None:
        self.totals.waiting = self._waiting.failures
        self._show(self.totals)


def _again(work: Work, failures: list[Failure]) -> Work:
    """The same work, for what was waiting alone."""
    only = frozenset(failure.position for failure in failures)
    return replace(work, only=only)
