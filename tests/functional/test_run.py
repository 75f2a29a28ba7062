"""`make run` as its user meets it: start, stop, start again, and everything that can go wrong on the way."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.live import Live
from tests.functional.running import PRODUCTION, Running, data_directory, free_port, left_over, run, running

RESTART_SECONDS = 4
STOP_SECONDS = 20
"""Longer than it takes, since tests run beside each other; a process that would not stop takes longer still."""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with data_directory() as directory:
        yield directory


def _one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done
    assert done.stdout == "" or not done.stdout.startswith("fhir-server:")
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("fhir-server: ")
    assert lines[0].endswith(".")
    for word in words:
        assert word in lines[0]


def test_from_nothing_to_patients_and_again(data_dir: Path) -> None:
    port = str(free_port())
    with running("up", DATA_DIR=str(data_dir), PORT=port) as up:
        up.wait_for(lambda: "Bearer" in up.output)
        for line in ("PostgreSQL: ", "Migrations: ", "Demo clinic riverside", "Demo clinic hillside", "Web server: "):
            assert f"\n{line}" in "\n" + up.output
        for url in (f"http://localhost:{port}/t/riverside/fhir", f"http://riverside.localhost:{port}/fhir"):
            assert f"  {url}\n" in up.output
        assert (up.get("/healthz"), up.get("/readyz")) == (200, 200)
        before = _paste(_curl_line(up))
        assert '"resourceType"' in before
        assert '"Patient"' in before
        assert up.stop() < STOP_SECONDS
        assert up.process.returncode == 0
        assert up.output.endswith("Stopped.\n")
    assert left_over(data_dir) == []
    with running("up", DATA_DIR=str(data_dir), PORT=port) as up:
        up.wait_for(lambda: "Bearer" in up.output)
        assert "Demo clinic" not in up.output
        after = _paste(_curl_line(up))
        assert re.findall(r'"versionId": ?"\d+"|"lastUpdated": ?"[^"]+"', after) == re.findall(
            r'"versionId": ?"\d+"|"lastUpdated": ?"[^"]+"', before
        )
        up.stop()


def _curl_line(up: Running) -> str:
    (line,) = [line.strip() for line in up.output.splitlines() if line.strip().startswith("curl ")]
    return line


def _paste(line: str) -> str:
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.attack),
        pytest.param(signal.SIGHUP, marks=pytest.mark.attack),
    ],
)
def test_every_way_of_stopping_stops_postgresql_too(prepared: Path, number: signal.Signals) -> None:
    with running("up", DATA_DIR=str(prepared), **PRODUCTION) as up:
        up.wait_for(lambda: "Ready" in up.output)
        assert up.children("postgres")
        assert up.stop(number) < STOP_SECONDS
        assert up.process.returncode == 0
    assert left_over(prepared) == []


@pytest.mark.attack
def test_starts_again_within_seconds(prepared: Path) -> None:
    """The best of some starts: other tests may be using the processors at the same time."""
    taken = []
    while not taken or (min(taken) >= RESTART_SECONDS and len(taken) < 5):
        with running("up", DATA_DIR=str(prepared), **PRODUCTION) as up:
            taken.append(up.wait_for(lambda: "Ready" in up.output))
            up.stop()
    assert min(taken) < RESTART_SECONDS


def test_stop_while_starting(prepared: Path) -> None:
    with running("up", DATA_DIR=str(prepared), **PRODUCTION) as up:
        up.wait_for(lambda: "PostgreSQL: running" in up.output)
        assert up.stop() < STOP_SECONDS
        assert up.process.returncode == 0
    assert left_over(prepared) == []


@pytest.mark.attack
@pytest.mark.parametrize(
    "part",
    [
        r"fhir_server\.cli web",
        pytest.param(r"bin/postgres -D", marks=pytest.mark.attack),
        pytest.param(r"fhir_server\.cli worker", marks=pytest.mark.attack),
    ],
)
def test_part_that_is_killed_comes_back(prepared: Path, part: str) -> None:
    with running("up", DATA_DIR=str(prepared), **PRODUCTION) as up:
        up.wait_for(lambda: "Ready" in up.output)
        killed = up.children(part)[0]
        killed.kill()
        up.wait_for(lambda: any(child != killed for child in up.children(part)) and up.get("/readyz") == 200)
        assert '"event":"part died"' in up.output
        assert up.stop() < STOP_SECONDS
    assert left_over(prepared) == []


def test_killed_web_process_is_replaced(prepared: Path) -> None:
    """On a server of its own: what it leaves in the log is an error to those who look at that of ``live``."""
    with running("up", DATA_DIR=str(prepared), WEB_WORKERS="2", **PRODUCTION) as up:
        up.wait_for(lambda: "Ready" in up.output)
        (main,) = up.children(r"fhir_server\.cli web")
        killed = main.children()[0]
        killed.kill()
        up.wait_for(lambda: len([child for child in main.children() if child.pid != killed.pid]) == 2)
        for _ in range(10):
            up.wait_for(lambda: up.get("/readyz") == 200)
        assert "Unexpected exit from worker-" in up.output
    assert left_over(prepared) == []


@pytest.mark.attack
def test_killed_without_warning_it_leaves_nothing_behind_and_starts_again(prepared: Path) -> None:
    with running("up", DATA_DIR=str(prepared), **PRODUCTION) as up:
        up.wait_for(lambda: "Ready" in up.output)
        up.stop(signal.SIGKILL)
    with running("up", DATA_DIR=str(prepared), **PRODUCTION) as up:
        up.wait_for(lambda: "Ready" in up.output)
        up.stop()
    assert left_over(prepared) == []


def test_taken_port_is_one_sentence_and_nothing_is_started(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for command in ("up", "web"):
            _one_sentence(run(command, PORT=str(port), DATA_DIR=str(data_dir)), f"Port {port}", "set PORT")
    assert not data_dir.exists()


def test_second_server_on_one_data_dir_is_one_sentence(live: Live) -> None:
    done = run("up", **live.settings | {"PORT": str(free_port())})
    _one_sentence(done, "in use by another fhir-server", "choose another DATA_DIR")
    assert live.up.get("/readyz") == 200


def test_data_dir_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Root may write everywhere, but not below a file.
        (tmp_path / "file").write_text("")
        directory = tmp_path / "file"
    else:
        directory = tmp_path / "read-only"
        directory.mkdir(mode=0o555)
    for command in ("up", "migrate"):
        done = run(command, PORT=str(free_port()), DATA_DIR=str(directory / "var"))
        _one_sentence(done, "DATA_DIR", "cannot write")


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/fhir", "refused"),
        ("postgresql://u:hunter2@nowhere.invalid/fhir", "nowhere.invalid"),
        ("mysql://u:hunter2@localhost/fhir", "must be an address such as"),
    ],
)
@pytest.mark.parametrize("words", [["up"], ["web"], ["worker"], ["migrate"], ["tenant", "list"]], ids=" ".join)
def test_wrong_database_url_is_one_sentence(words: list[str], url: str, word: str) -> None:
    done = run(*words, PORT=str(free_port()), DATABASE_URL=url)
    _one_sentence(done, "DATABASE_URL", word)
    assert "hunter2" not in done.stderr


def test_database_of_ones_own(empty_database: DatabaseUrls, data_dir: Path) -> None:
    own = {"DATABASE_URL": str(empty_database.owner), "DATA_DIR": str(data_dir)}
    _one_sentence(run("tenant", "list", **own), "no tables yet", "fhir-server migrate")
    with running("up", **own, **PRODUCTION) as up:
        up.wait_for(lambda: "Ready" in up.output)
        assert "PostgreSQL: using DATABASE_URL" in up.output
        assert not up.children("bin/postgres")
        assert up.get("/readyz") == 200
        assert up.stop() < STOP_SECONDS
    assert not (data_dir / "postgresql").exists()
    created = run("tenant", "create", "lakeside", "--name", "Lakeside Clinic", **own)
    assert created.stdout == "lakeside\thttp://localhost:8080/t/lakeside/fhir\n"
    _one_sentence(run("tenant", "create", "lakeside", **own), "'lakeside' exists already")
    assert run("tenant", "list", **own).stdout.startswith("lakeside\tLakeside Clinic\t20")
    assert run("tenant", "limit", "lakeside", "--search-timeout", "3000", **own).stdout == "lakeside\t3000\n"
    assert run("tenant", "list", **own).stdout.endswith("Z\t3000\n")
    assert run("tenant", "limit", "lakeside", "--search-timeout", "0", **own).stdout == "lakeside\tdefault\n"
    _one_sentence(run("tenant", "limit", "elsewhere", "--search-timeout", "1", **own), "no tenant 'elsewhere'")
    issued = run("access-token", "--tenant", "lakeside", **own)
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", issued.stdout)
    assert issued.stderr == ""
    _one_sentence(run("access-token", "--tenant", "elsewhere", **own), "no tenant 'elsewhere'", "lakeside")


def test_commands_work_beside_a_running_server(live: Live) -> None:
    directory = live.settings["DATA_DIR"]
    assert run("tenant", "create", "beside", DATA_DIR=directory).returncode == 0
    assert "beside" in run("tenant", "list", DATA_DIR=directory).stdout
    assert run("migrate", DATA_DIR=directory).returncode == 0
    assert live.up.get("/readyz") == 200


def test_web_alone_starts_and_stops_quickly(database: DatabaseUrls, data_dir: Path) -> None:
    own = {"APP_DATABASE_URL": database.app, "DATA_DIR": str(data_dir)}
    for _ in range(2):
        with running("web", **own) as web:
            web.wait_until_ready()
            assert web.stop(signal.SIGTERM) < STOP_SECONDS
            assert web.process.returncode == 0


def test_web_without_tables_ends_with_the_reason(empty_database: DatabaseUrls, data_dir: Path) -> None:
    with running("web", APP_DATABASE_URL=str(empty_database.app), DATA_DIR=str(data_dir)) as web:
        web.process.wait(60)
        assert web.process.returncode == 1
        assert "web worker cannot start" in web.output
        assert "\nfhir-server: The web server could not start: the log above tells why.\n" in web.output
        assert "Traceback" not in web.output


def test_gunicorn_serves_as_well(database: DatabaseUrls, data_dir: Path) -> None:
    program = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    with running(program=program, APP_DATABASE_URL=database.app, DATA_DIR=str(data_dir)) as gunicorn:
        gunicorn.wait_until_ready()
        assert gunicorn.get("/healthz") == 200
        begun = time.monotonic()
        gunicorn.stop(signal.SIGTERM)
        assert time.monotonic() - begun < 15
        assert gunicorn.process.returncode == 0
