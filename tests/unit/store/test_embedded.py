from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from fhir_server.settings import ConfigurationError
from fhir_server.store.embedded import EmbeddedPostgres, running

SMALL = {"shared_buffers": "16MB", "fsync": "off"}


@pytest.fixture(scope="module")
def stopped_cluster() -> Iterator[Path]:
    """A cluster that was started and stopped once, to be copied."""
    with tempfile.TemporaryDirectory(prefix="fhir-embedded-", ignore_cleanup_errors=True) as name:
        server = EmbeddedPostgres(Path(name) / "postgresql", options=SMALL)
        server.start()
        with psycopg.connect(server.owner_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        server.stop()
        yield Path(name)


@pytest.fixture
def directory(stopped_cluster: Path) -> Iterator[Path]:
    """A DATA_DIR/postgresql of this test alone."""
    with tempfile.TemporaryDirectory(prefix="fhir-embedded-", ignore_cleanup_errors=True) as name:
        subprocess.run(["cp", "-a", stopped_cluster / "postgresql", name], check=True)
        yield Path(name) / "postgresql"


def _answer(server: EmbeddedPostgres) -> int:
    with psycopg.connect(server.owner_url) as connection:
        row = connection.execute("SELECT answer FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def _postmaster(directory: Path) -> psutil.Process:
    return psutil.Process(int((directory / "data" / "postmaster.pid").read_text().split()[0]))


def test_data_is_kept_and_everything_ends_with_stop(directory: Path) -> None:
    server = EmbeddedPostgres(directory, options=SMALL)
    server.start()
    postmaster = _postmaster(directory)
    assert _answer(server) == 42
    assert server.exit_status() is None
    server.stop()
    assert not postmaster.is_running()
    assert not (directory / "data" / "postmaster.pid").exists()
    server.stop()


def test_nothing_listens_on_tcp_and_the_socket_is_private(directory: Path) -> None:
    with running(EmbeddedPostgres(directory, options=SMALL)) as server:
        for process in [_postmaster(directory), *_postmaster(directory).children()]:
            # Some of the children, such as autovacuum's, have ended by the time they are looked at.
            with contextlib.suppress(psutil.NoSuchProcess):
                assert process.net_connections("inet") == []
        for path, mode in (("", 0o700), ("socket", 0o700), ("data", 0o700), ("socket/.s.PGSQL.5432", 0o700)):
            assert stat.S_IMODE((directory / path).stat().st_mode) == mode, path
        with psycopg.connect(server.app_url) as connection:
            row = connection.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
            assert row.fetchone() == (False,)


def test_cluster_sorts_by_code_point_and_checks_its_pages(directory: Path) -> None:
    with running(EmbeddedPostgres(directory, options=SMALL)) as server, psycopg.connect(server.owner_url) as connection:
        shown = {
            name: (connection.execute("SELECT current_setting(%s)", [name]).fetchone() or ("",))[0]
            for name in ("data_checksums", "server_encoding", "timezone", "log_min_error_statement")
        }
        assert shown == {
            "data_checksums": "on",
            "server_encoding": "UTF8",
            "timezone": "UTC",
            "log_min_error_statement": "panic",
        }
        row = connection.execute("SELECT array_agg(x ORDER BY x) FROM unnest('{b,a,Z,é,A}'::text[]) x").fetchone()
        assert row == (["A", "Z", "a", "b", "é"],)


def test_log_holds_no_values_of_failed_statements(directory: Path) -> None:
    with running(EmbeddedPostgres(directory, options=SMALL)) as server, psycopg.connect(server.owner_url) as connection:
        connection.autocommit = True
        connection.execute("CREATE TABLE patient (name text PRIMARY KEY)")
        for _ in range(2):
            try:
                connection.execute("INSERT INTO patient VALUES ('Müller')")
            except psycopg.errors.UniqueViolation:
                break
        else:
            pytest.fail("the second INSERT was to fail")
    log = (directory / "postgresql.log").read_text()
    assert "duplicate key value" in log
    assert "Müller" not in log


def test_killed_server_recovers_on_the_next_start(directory: Path) -> None:
    server = EmbeddedPostgres(directory, options=SMALL)
    server.start()
    _postmaster(directory).kill()
    while server.exit_status() is None:
        time.sleep(0.01)
    server.start()
    assert _answer(server) == 42
    server.stop()


CHILD = """
import sys, time
from pathlib import Path
from fhir_server.store.embedded import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1]), options={"shared_buffers": "16MB", "fsync": "off"}).start()
print("started", flush=True)
time.sleep(600)
"""


def _start_in_child(directory: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(directory)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "started\n"
    child.stdout.close()
    return child


def test_second_server_on_the_same_directory_is_refused_and_can_join(directory: Path) -> None:
    child = _start_in_child(directory)
    try:
        with pytest.raises(ConfigurationError, match=rf"in use by another fhir-server \(process {child.pid}\)"):
            EmbeddedPostgres(directory, options=SMALL).start()
        with running(EmbeddedPostgres(directory, options=SMALL)) as server:
            assert _answer(server) == 42
        assert child.poll() is None
        assert _postmaster(directory).is_running()
    finally:
        child.kill()
        child.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of a parent's death on Linux only")
def test_server_stops_when_its_parent_is_killed(directory: Path) -> None:
    child = _start_in_child(directory)
    postmaster = _postmaster(directory)
    child.kill()
    child.wait()
    deadline = time.monotonic() + 20
    while postmaster.is_running() and postmaster.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_start_takes_over_when_parent_and_server_were_killed(directory: Path) -> None:
    child = _start_in_child(directory)
    postmaster = _postmaster(directory)
    os.kill(postmaster.pid, signal.SIGSTOP)
    child.kill()
    child.wait()
    os.kill(postmaster.pid, signal.SIGKILL)
    with running(EmbeddedPostgres(directory, options=SMALL)) as server:
        assert _answer(server) == 42
        assert _postmaster(directory).pid != postmaster.pid


def test_pid_file_that_names_somebody_elses_process_is_no_hindrance(directory: Path) -> None:
    (directory / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{directory / 'data'}\n1\n5432\n\n\n\nready\n")
    with running(EmbeddedPostgres(directory, options=SMALL)) as server:
        assert _answer(server) == 42


def test_half_made_cluster_is_made_again(directory: Path) -> None:
    (directory / "data").rename(directory / "data.unfinished")
    (directory / "data.unfinished" / "PG_VERSION").unlink()
    with running(EmbeddedPostgres(directory, options=SMALL)) as server, psycopg.connect(server.owner_url) as connection:
        assert connection.execute("SELECT to_regclass('kept')").fetchone() == (None,)
    assert not (directory / "data.unfinished").exists()


def test_cluster_of_another_version_is_refused(directory: Path) -> None:
    (directory / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ConfigurationError, match="holds a PostgreSQL 16 cluster"):
        EmbeddedPostgres(directory, options=SMALL).start()


def test_start_that_fails_tells_postgresqls_reason_and_lets_go(directory: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"PostgreSQL did not start: .*work_mem") as caught:
        EmbeddedPostgres(directory, options={**SMALL, "work_mem": "none"}).start()
    assert "\n" not in str(caught.value)
    with running(EmbeddedPostgres(directory, options=SMALL)) as server:
        assert _answer(server) == 42


def test_directory_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    server = EmbeddedPostgres(tmp_path / "file" / "postgresql")
    assert not server.in_use()
    with pytest.raises(ConfigurationError, match="DATA_DIR: cannot write"):
        server.start()


def test_socket_lies_elsewhere_when_the_directory_has_a_long_name(directory: Path) -> None:
    deep = directory.parent / ("d" * 90) / "postgresql"
    deep.parent.mkdir()
    directory.rename(deep)
    server = EmbeddedPostgres(deep, options=SMALL)
    with running(server):
        assert _answer(server) == 42
    sockets = server._socket_directory()
    assert deep not in sockets.parents
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    shutil.rmtree(sockets)
