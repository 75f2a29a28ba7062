"""CPU time and memory off /proc. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import accounting
from benchmarks.accounting import NoAccounting, Stat, kibibytes, parse_stat, ticks, tree

LINE = "4242 (a (b) c) S 17 4242 17 0 -1 4194560 900 0 0 0 250 31 7 9 20 0 3 0 12345 1000 200 18446744073709551615"

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")


def test_a_command_with_parentheses_and_spaces() -> None:
    assert parse_stat(LINE) == Stat(4242, 17, 281, 16)


@pytest.mark.parametrize("line", ["", "1 2 3", "1 (sh) S 0", "1 sh) S 1 2 3"])
def test_other_text_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"proc/PID/stat|literal"):
        parse_stat(line)


def test_a_tree_holds_all_descendants_and_nobody_else() -> None:
    found = {
        n: Stat(n, parent, own, waited)
        for n, parent, own, waited in [(1, 0, 9, 9), (5, 1, 10, 100), (6, 5, 20, 0), (7, 6, 40, 0), (8, 1, 999, 0)]
    }
    members = tree(found, 5)
    assert [member.pid for member in members] == [5, 6, 7]
    assert ticks(members) == 170
    assert tree(found, 77) == []


def test_without_proc_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoAccounting, match="needs Linux"):
        accounting.processes(tmp_path)


def test_processes_of_a_directory_like_proc(tmp_path: Path) -> None:
    for name in ("self", "4242"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stat").write_text(LINE)
    (tmp_path / "77").mkdir()  # one that has just ended
    assert list(accounting.processes(tmp_path)) == [4242]


def test_kibibytes() -> None:
    assert kibibytes("Name:\tpython\nVmHWM:\t  120 kB\nThreads:\t3\nPss:  90 kB\n") == {"VmHWM": 120, "Pss": 90}


BUSY = """
import os, resource, time
from benchmarks import accounting
while time.process_time() < 0.3:
    pass
counted = accounting.cpu_microseconds({"own": os.getpid()})["own"]
own, waited = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
print(counted, sum(usage.ru_utime + usage.ru_stime for usage in (own, waited)) * 1e6)
"""


@linux
def test_a_process_time_is_what_the_system_call_says() -> None:
    # In a process of its own: the one that runs the tests has a PostgreSQL below it, which counts as well.
    done = subprocess.run([sys.executable, "-c", BUSY], check=True, capture_output=True, text=True)
    counted, said = map(float, done.stdout.split())
    # Four clocks, each rounded down to a tick.
    assert abs(counted - said) <= 5 * 1e6 / accounting.TICKS_PER_SECOND


@linux
def test_a_child_that_has_ended_counts() -> None:
    before = accounting.cpu_microseconds({"own": os.getpid()})["own"]
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.2: pass"], check=True)
    assert accounting.cpu_microseconds({"own": os.getpid()})["own"] - before >= 150_000


@linux
def test_memory_of_this_process() -> None:
    found = accounting.memory(os.getpid())
    assert found.peak >= found.resident >= found.proportional > 1000


def test_nanoseconds_are_those_of_all_threads(tmp_path: Path) -> None:
    for pid, task, used in ((7, 7, 1000), (7, 8, 20), (9, 9, 300)):
        directory = tmp_path / str(pid) / "task" / str(task)
        directory.mkdir(parents=True)
        (directory / "schedstat").write_text(f"{used} 5 6\n")
    assert accounting.nanoseconds([7, 9, 55], tmp_path) == 1320
    assert accounting.nanoseconds([8], tmp_path) == 0


@linux
def test_work_takes_nanoseconds() -> None:
    before = accounting.nanoseconds([os.getpid()])
    assert sum(range(300_000)) > 0
    assert accounting.nanoseconds([os.getpid()]) > before
