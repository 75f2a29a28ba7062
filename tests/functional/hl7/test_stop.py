"""A worker that is told to stop again while it is told to stop. docs/hl7.md"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.running import REPOSITORY, environment


@pytest.mark.parametrize("times", [1, 2_000])
def test_a_worker_ends_however_often_it_is_told_to(database: DatabaseUrls, tmp_path: Path, times: int) -> None:
    """The gateway tells it, and so does the kernel when the gateway dies: neither may find it waiting for itself."""
    assert database.owner is not None
    log = tmp_path / "log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "hl7_gateway", "work"],
            env=environment(DATABASE_URL=database.owner, DATA_DIR=str(tmp_path)),
            cwd=REPOSITORY,
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + 60
        while b"hl7 worker started" not in log.read_bytes():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        for _ in range(times):
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        worker.wait()
