"""CPU time and memory of processes, from the operating system. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html

A tree is a process with all its descendants. What children used that have ended and been waited for is in their
parent's `cutime` and `cstime`, so that short-lived PostgreSQL processes are counted as well.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
"""The unit of the times in /proc/PID/stat; usually 100, so one reading is good to 10 ms."""

PROC = Path("/proc")

MOST_READINGS = 20
"""How often a tree is read until two readings show the same processes."""


class NoAccounting(Exception):
    """This operating system has no /proc/PID/stat: the benchmark needs Linux."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True, slots=True)
class Stat:
    """One line of /proc/PID/stat; times in clock ticks, ``waited`` those of children that have ended."""

    pid: int
    parent: int
    own: int
    waited: int


def parse_stat(line: str) -> Stat:
    """The fields that count out of a line of /proc/PID/stat. Raises ValueError for another text.

    The command's name stands in parentheses and may hold spaces and parentheses itself.
    """
    before, opening, rest = line.partition("(")
    _, closing, after = rest.rpartition(")")
    fields = after.split()
    if not opening or not closing or len(fields) < 15:
        raise ValueError("this is no line of /proc/PID/stat")
    return Stat(int(before), int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14]))


def processes(proc: Path = PROC) -> dict[int, Stat]:
    """Every process by its id. Raises NoAccounting."""
    found: dict[int, Stat] = {}
    if not (proc / "self" / "stat").exists():
        raise NoAccounting
    for directory in proc.iterdir():
        if directory.name.isdigit():
            # One that ends between the listing and the reading is counted by its parent.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                stat = parse_stat((directory / "stat").read_text())
                found[stat.pid] = stat
    return found


def tree(found: Mapping[int, Stat], root: int) -> list[Stat]:
    """The process ``root`` and its descendants, parents first; nothing where it is gone."""
    children: dict[int, list[Stat]] = {}
    for stat in found.values():
        children.setdefault(stat.parent, []).append(stat)
    members = [found[root]] if root in found else []
    for member in members:
        members += children.get(member.pid, [])
    return members


def ticks(members: Iterable[Stat]) -> int:
    """Clock ticks that a tree has used so far, children included that have ended."""
    return sum(member.own + member.waited for member in members)


def cpu_microseconds(roots: Mapping[str, int]) -> dict[str, float]:
    """CPU time in microseconds that each named tree has used so far. Raises NoAccounting."""
    trees = _at_rest(roots)
    return {name: ticks(members) * 1_000_000 / TICKS_PER_SECOND for name, members in trees.items()}


def _at_rest(roots: Mapping[str, int]) -> dict[str, list[Stat]]:
    """The trees at a moment when none of their processes began or ended.

    The listing is not atomic: a session that ends after its parent was read and before it is read itself would be lost.
    """
    members: dict[str, list[Stat]] = {}
    for _ in range(MOST_READINGS):
        before, found = {name: _shape(stats) for name, stats in members.items()}, processes()
        members = {name: tree(found, root) for name, root in roots.items()}
        if before == {name: _shape(stats) for name, stats in members.items()}:
            break
        time.sleep(0.02)
    return members


def _shape(members: Iterable[Stat]) -> set[tuple[int, int]]:
    return {(member.pid, member.waited) for member in members}


def descendants(root: int) -> list[int]:
    """The ids of ``root`` and its descendants. Raises NoAccounting."""
    return [stat.pid for stat in tree(processes(), root)]


def nanoseconds(pids: Iterable[int], proc: Path = PROC) -> int:
    """CPU time in nanoseconds that these processes have used so far, all their threads together; those gone count 0.

    Ticks are too coarse for one request; the scheduler's own count is not.
    https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
    """
    total = 0
    for pid in pids:
        for task in (proc / str(pid) / "task").glob("*/schedstat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += int(task.read_text().split()[0])
    return total


@dataclass(frozen=True, slots=True)
class Memory:
    """Kibibytes: ``peak`` resident ever, ``resident`` now, ``proportional``: shared pages divided by their users."""

    peak: int
    resident: int
    proportional: int


def memory(pid: int, proc: Path = PROC) -> Memory:
    """The memory of one process. https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html"""
    status = kibibytes((proc / str(pid) / "status").read_text())
    rollup = kibibytes((proc / str(pid) / "smaps_rollup").read_text())
    return Memory(status["VmHWM"], status["VmRSS"], rollup["Pss"])


def kibibytes(text: str) -> dict[str, int]:
    """The ``Name:  123 kB`` lines of a file under /proc."""
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) == 3 and row[2] == "kB" and row[1].isdigit()}
