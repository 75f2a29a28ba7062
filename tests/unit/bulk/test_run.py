from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from fhir_server.bulk.batches import LINES
from fhir_server.bulk.report import Report
from fhir_server.bulk.run import Run, Totals
from fhir_server.bulk.work import Failure, LoadFile, LoadLines, Outcome, Place, Work
from fhir_server.errors import PreconditionFailed

Answer = Callable[[Work], Outcome]


class Processes:
    """As many loading processes as said, which answer what a test says; what they are given is in ``given``."""

    def __init__(self, answer: Answer, jobs: int = 2) -> None:
        self.given: list[Work] = []
        self.limit = 1 << 20
        self._answer = answer
        self._jobs = jobs
        self._busy: list[Work] = []

    @property
    def idle(self) -> bool:
        return len(self._busy) < self._jobs

    @property
    def busy(self) -> bool:
        return bool(self._busy)

    def send(self, work: Work) -> None:
        assert self.idle
        self.given.append(work)
        self._busy.append(work)

    def receive(self, seconds: float) -> list[tuple[Work, Outcome]]:
        work = self._busy.pop(0)
        return [(work, self._answer(work))]


def _files(directory: Path, *names: str) -> list[Path]:
    found = []
    for name in names:
        path = directory / name
        path.write_bytes(b"{}\n" * (2 * LINES + 1) if "lines" in name else b"{}")
        found.append(path)
    return found


def _run(
    files: Iterable[Path], processes: Processes, report: Report, stopping: Callable[[], bool] = lambda: False
) -> tuple[Run, Totals]:
    run = Run(list(files), processes, report, stopping, lambda totals: None)  # type: ignore[arg-type]
    return run, run()


def _waits(work: Work, *numbers: int) -> Outcome:
    error = PreconditionFailed("Nothing matches this conditional reference.")
    return Outcome(waiting=[Failure.of(Place(work.path), number, None, error) for number in numbers])


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report(tmp_path / "report.ndjson")


def _reported(report: Report) -> list[str]:
    return [Path(json.loads(line)["file"]).name for line in report.path.read_text().splitlines()]


def test_files_come_in_order_and_all_bytes_are_counted(tmp_path: Path, report: Report) -> None:
    files = _files(tmp_path, "c.json", "a.json", "lines.ndjson", "b.json")
    processes = Processes(
        lambda work: (
            Outcome(is_ndjson=True) if "lines" in work.path.name and isinstance(work, LoadFile) else Outcome(loaded=2)
        )
    )
    _, totals = _run(files, processes, report)
    assert [w.path.name for w in processes.given if isinstance(w, LoadFile)] == [
        "c.json",
        "a.json",
        "lines.ndjson",
        "b.json",
    ]
    assert [w.first for w in processes.given if isinstance(w, LoadLines)] == [1, LINES + 1, 2 * LINES + 1]
    assert totals.loaded == 2 * 6
    assert totals.bytes_done == totals.bytes_all == sum(path.stat().st_size for path in files)
    assert not report.path.exists()


def test_what_waits_comes_again_after_all_others_until_it_is_found(tmp_path: Path, report: Report) -> None:
    files = _files(tmp_path, "needs-b.json", "a.json", "b-needs-c.json", "c.json")
    loaded: list[str] = []

    def answer(work: Work) -> Outcome:
        name = work.path.name
        if (name == "needs-b.json" and "b-needs-c.json" not in loaded) or (name[0] == "b" and "c.json" not in loaded):
            return _waits(work, 1, 2)
        loaded.append(name)
        return Outcome(loaded=1)

    processes = Processes(answer, jobs=4)
    _, totals = _run(files, processes, report)
    assert loaded == ["a.json", "c.json", "b-needs-c.json", "needs-b.json"]
    assert (totals.loaded, totals.failed, totals.waiting) == (4, 0, 0)
    assert processes.given[-1] == LoadFile(files[0], frozenset({1, 2}))
    assert not report.path.exists()


def test_what_waits_in_vain_is_a_failure(tmp_path: Path, report: Report) -> None:
    files = _files(tmp_path, "a.json", "b.json")
    processes = Processes(lambda work: _waits(work, 0, 3) if work.path.name == "a.json" else Outcome(loaded=1))
    _, totals = _run(files, processes, report)
    assert (totals.loaded, totals.failed, totals.waiting) == (1, 2, 0)
    assert _reported(report) == ["a.json", "a.json"]
    assert len(processes.given) == 3


def test_lines_that_wait_are_read_anew(tmp_path: Path, report: Report) -> None:
    (path,) = _files(tmp_path, "lines.ndjson")
    tried: list[tuple[int, frozenset[int] | None]] = []

    def answer(work: Work) -> Outcome:
        if isinstance(work, LoadFile):
            return Outcome(is_ndjson=True)
        tried.append((work.first, work.only))
        if work.first == LINES + 1 and work.only is None:
            return _waits(work, 7)
        return Outcome(loaded=len(work.only or work.lines))

    processes = Processes(answer)
    _, totals = _run([path], processes, report)
    assert tried == [(1, None), (LINES + 1, None), (2 * LINES + 1, None), (LINES + 1, frozenset({7}))]
    again = [work for work in processes.given if isinstance(work, LoadLines) and work.only]
    before = [work for work in processes.given if isinstance(work, LoadLines) and work.first == again[0].first]
    assert before[0].digest == again[0].digest
    assert totals.bytes_done == totals.bytes_all
    assert totals.failed == 0


def test_stop_finishes_what_is_under_way_and_nothing_else(tmp_path: Path, report: Report) -> None:
    files = _files(tmp_path, *(f"{n}.json" for n in range(9)))
    processes = Processes(lambda work: Outcome(loaded=1))
    _, totals = _run(files, processes, report, stopping=lambda: len(processes.given) >= 4)
    assert totals.loaded == len(processes.given) == 4
    assert not processes.busy


def test_database_that_is_gone_stops_the_load(tmp_path: Path, report: Report) -> None:
    files = _files(tmp_path, *(f"{n}.json" for n in range(9)))
    processes = Processes(
        lambda work: Outcome(stopped="It is gone.") if work.path.name == "2.json" else Outcome(loaded=1)
    )
    run, totals = _run(files, processes, report)
    assert run.stopped == "It is gone."
    assert totals.loaded == 3
    assert totals.failed == 0


def test_file_that_is_damaged_further_down_is_told(tmp_path: Path, report: Report) -> None:
    (path,) = _files(tmp_path, "lines.ndjson.gz")
    path.write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\0no deflate")
    processes = Processes(lambda work: Outcome(is_ndjson=True) if isinstance(work, LoadFile) else Outcome(loaded=1))
    _, totals = _run([path], processes, report)
    assert totals.failed == 1
    assert _reported(report) == ["lines.ndjson.gz"]
