"""What was measured on: cores, memory, versions, the time. https://man7.org/linux/man-pages/man5/proc_cpuinfo.5.html"""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psycopg

from benchmarks.accounting import kibibytes

PACKAGES = ("granian", "flask", "psycopg", "msgspec")


def describe(database_url: str) -> dict[str, str]:
    """The machine and the software; ``database_url`` is of the PostgreSQL that is measured."""
    with psycopg.connect(database_url) as connection:
        server = connection.info.server_version
        row = connection.execute("SELECT current_setting('shared_buffers'), current_setting('fsync')").fetchone()
    assert row is not None
    gibibytes = kibibytes(Path("/proc/meminfo").read_text())["MemTotal"] / 1024 / 1024
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "processor": f"{_model()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{gibibytes:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": f"{server // 10_000}.{server % 10_000}, embedded (shared_buffers {row[0]}, fsync {row[1]})",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "load average": " ".join(f"{one:.1f}" for one in os.getloadavg()),
    }


def _model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip() or "unknown"
