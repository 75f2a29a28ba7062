"""`fhir-server load` as an operator runs it: in processes of its own, stopped and killed on the way."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.tenants import Tenant
from tests.functional.conftest import Api
from tests.functional.running import REPOSITORY, environment

ALONE = "--jobs=1"
Load = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def settings_of_load(database: DatabaseUrls, tmp_path: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": str(database.owner),
        "APP_DATABASE_URL": database.app,
        "DATA_DIR": str(tmp_path / "var"),
    }


@pytest.fixture
def load(settings_of_load: dict[str, str], api: Api) -> Load:
    """Runs the command for the tenant of ``api`` to its end.

    Each loading process takes a second to start: tests of what has nothing to do with several of them have one.
    """

    def run(*words: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(api.slug, *words),
            env=environment(**settings_of_load, **settings),
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def _command(slug: str, *words: str | Path) -> list[str]:
    return [sys.executable, "-m", "fhir_server.cli", "load", "--tenant", slug, *map(str, words)]


@contextmanager
def _started(command: list[str], settings: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        env=environment(**settings),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    children: list[psutil.Process] = []
    try:
        yield process
    finally:
        if process.poll() is None:
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
        process.wait(30)
        for child in children:
            child.wait(30)


def _total(api: Api, resource_type: str) -> int:
    total: int = api.get(f"{resource_type}?_summary=count").json["total"]
    return total


def _report(finished: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    (line,) = [line for line in finished.stdout.splitlines() if line.startswith("What failed and why: ")]
    path = Path(line.removeprefix("What failed and why: "))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return [json.loads(line) for line in path.read_text().splitlines()]


def _observation(number: int, **more: Any) -> dict[str, Any]:
    code = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}
    quantity = {"value": 60 + number % 40, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": code,
        "subject": {"reference": f"Patient/p{number % 20}"},
        "effectiveDateTime": f"2024-0{number % 9 + 1}-01T10:00:00Z",
        "valueQuantity": quantity,
    } | more


def _ndjson(*found: Any) -> bytes:
    return b"".join(json.dumps(resource).encode() + b"\n" for resource in found)


def _patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient"} | more


PRACTITIONER = {"resourceType": "Practitioner", "identifier": [{"system": "urn:npi", "value": "7"}]}


def _transaction(*found: dict[str, Any]) -> dict[str, Any]:
    entries = [{"resource": r, "request": {"method": "POST", "url": r["resourceType"]}} for r in found]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def test_every_format_in_one_directory(load: Load, api: Api, tmp_path: Path) -> None:
    files = tmp_path / "in"
    (files / "sub").mkdir(parents=True)
    needs = _transaction(_patient(generalPractitioner=[{"reference": "Practitioner?identifier=urn:npi|7"}]))
    (files / "1-needs-2.json").write_text(json.dumps(needs, indent=2))
    (files / "2.json.bz2").write_bytes(bz2.compress(json.dumps(_transaction(PRACTITIONER)).encode()))
    (files / "sub" / "lines.ndjson.gz").write_bytes(gzip.compress(_ndjson(*(_observation(n) for n in range(1200)))))
    (files / "one.json").write_text(json.dumps(_patient(id="p1", name=[{"family": "Ångström 😀"}])))
    (files / "called-json.json").write_bytes(_ndjson(_patient(id="p2"), _patient(id="p3")))
    finished = load(files)
    assert finished.returncode == 0, finished.stderr
    assert "1,205 resources" in finished.stdout
    assert "from 5 files" in finished.stdout
    assert _total(api, "Observation") == 1200
    assert _total(api, "Patient") == 4
    assert api.get("Patient/p1").json["name"] == [{"family": "Ångström 😀"}]
    assert api.get("Observation?patient=p3&code=http://loinc.org|8867-4&_summary=count").json["total"] == 60
    waited = api.get("Patient?general-practitioner:missing=false").json["entry"][0]["resource"]
    practitioner = api.get("Practitioner").json["entry"][0]["resource"]
    assert waited["generalPractitioner"] == [{"reference": f"Practitioner/{practitioner['id']}"}]


def test_what_failed_is_reported_and_tried_again(load: Load, api: Api, tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(_ndjson(_patient(), _patient(gender="x"), _patient(birthDate="2021-02-30")) + b"{oops\n")
    unmet = tmp_path / "b.json"
    unmet.write_text(
        json.dumps(_transaction(_patient(generalPractitioner=[{"reference": "Practitioner?identifier=urn:npi|7"}])))
    )
    for loaded in ("1 resources", "0 resources"):
        finished = load(ALONE, path, unmet)
        assert finished.returncode == 1
        assert loaded in finished.stdout
        report = {(Path(e["file"]).name, e.get("line"), e.get("entry")): e for e in _report(finished)}
        assert set(report) == {("a.ndjson", 2, None), ("a.ndjson", 3, None), ("a.ndjson", 4, None), ("b.json", None, 0)}
        assert report["a.ndjson", 2, None]["resourceType"] == "Patient"
        assert report["a.ndjson", 2, None]["issue"][0]["expression"] == ["Patient.gender"]
        assert report["a.ndjson", 3, None]["issue"][0]["expression"] == ["Patient.birthDate"]
    assert _total(api, "Patient") == 1
    provider = tmp_path / "c.json"
    provider.write_text(json.dumps(PRACTITIONER))
    assert "2 resources" in load(ALONE, path, unmet, provider).stdout
    assert _total(api, "Patient") == 2


def test_second_run_loads_nothing_and_again_everything(load: Load, api: Api, tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.bz2"
    path.write_bytes(bz2.compress(_ndjson(*(_observation(n) for n in range(700)))))
    assert load(path).returncode == 0
    finished = load(ALONE, path)
    assert finished.returncode == 0
    assert "0 resources" in finished.stdout
    assert "700 loaded before" in finished.stdout
    assert _total(api, "Observation") == 700
    assert load(ALONE, "--again", path).returncode == 0
    assert _total(api, "Observation") == 1400


def test_ids_are_put(load: Load, api: Api, tmp_path: Path) -> None:
    api.put("Patient/p1", _patient(id="p1"))
    path = tmp_path / "a.json"
    path.write_text(json.dumps(_patient(id="p1", active=True)))
    assert load(ALONE, path).returncode == 0
    assert api.get("Patient/p1").json["active"] is True
    assert [entry["request"]["method"] for entry in api.get("Patient/p1/_history").json["entry"]] == ["PUT", "PUT"]


@pytest.mark.attack
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.attack), signal.SIGKILL])
def test_load_that_was_cut_short_goes_on_and_doubles_nothing(
    load: Load, settings_of_load: dict[str, str], api: Api, tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(_ndjson(*(_observation(n) for n in range(9000))))
    (tmp_path / "b.json").write_text(json.dumps(_transaction(*(_observation(n) for n in range(1000)))))
    files = [path, tmp_path / "b.json"]
    with _started(_command(api.slug, *files), settings_of_load) as process:
        _wait_until_begun(process, api)
        children = psutil.Process(process.pid).children(recursive=True)
        if number is signal.SIGINT:
            # As a terminal does: to every process of the command.
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
        process.wait(30)
        _, alive = psutil.wait_procs(children, 10)
        assert not alive
        said = process.stdout.read() if process.stdout else ""
    assert process.returncode == (130 if number is signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in said
    assert ("The same command again goes on from here." in said) is (number is signal.SIGINT)
    before = _total(api, "Observation")
    assert 500 <= before < 10_000
    finished = load(*files)
    assert finished.returncode == 0, finished.stderr
    assert f"{before:,} loaded before" in finished.stdout
    assert _total(api, "Observation") == 10_000


def _wait_until_begun(process: subprocess.Popen[str], api: Api) -> None:
    deadline = time.monotonic() + 60
    while _total(api, "Observation") < 500:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_load_survives_lost_connections(
    settings_of_load: dict[str, str], api: Api, database: DatabaseUrls, tmp_path: Path
) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(_ndjson(*(_observation(n) for n in range(6000))))
    bundle = tmp_path / "b.json"
    bundle.write_text(json.dumps(_transaction(*(_observation(n) for n in range(1000)))))
    with (
        psycopg.connect(str(database.owner), autocommit=True) as owner,
        _started(_command(api.slug, path, bundle), settings_of_load) as process,
    ):
        _wait_until_begun(process, api)
        lost = 0
        for _ in range(5):
            ended = owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'fhir-server' AND state <> 'idle'"
            )
            lost += len(ended.fetchall())
            time.sleep(0.2)
        said, _ = process.communicate(timeout=60)
    assert lost
    assert process.returncode == 0, said
    assert _total(api, "Observation") == 7000


def test_process_that_is_killed_is_one_sentence(
    load: Load, settings_of_load: dict[str, str], api: Api, tmp_path: Path
) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(_ndjson(*(_observation(n) for n in range(9000))))
    with _started(_command(api.slug, path), settings_of_load) as process:
        _wait_until_begun(process, api)
        workers = [p for p in psutil.Process(process.pid).children() if "spawn_main" in " ".join(p.cmdline())]
        workers[0].kill()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "A loading process was killed by SIGKILL" in said
    assert "Traceback" not in said
    assert load(path).returncode == 0
    assert _total(api, "Observation") == 9000


def test_other_tenants_see_nothing_of_it(load: Load, new_api: Callable[..., Api], tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(_patient(id="p1")))
    assert load(ALONE, path).returncode == 0
    other = new_api()
    assert other.get("Patient/p1").status == 404
    assert "1 resources" in load(ALONE, "--tenant", other.slug, path).stdout
    assert other.get("Patient/p1").status == 200


def test_other_places_for_the_report(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("no JSON")
    wanted = tmp_path / "deep" / "report.ndjson"
    assert load(ALONE, "--report", wanted, path).returncode == 1
    assert json.loads(wanted.read_text())["file"] == str(path)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--tenant", "nowhere", "a.json"], "There is no tenant 'nowhere'"),
        (["empty"], "There is no file to load in empty"),
        (["missing.json"], "Path 'missing.json' does not exist"),
        (["--jobs", "0", "a.json"], "Invalid value for '--jobs'"),
    ],
)
def test_mistakes_are_one_sentence(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.json").write_text("{}")
    found = [str(tmp_path / word) if (tmp_path / word).exists() else word for word in words]
    finished = load(*found)
    assert finished.returncode in (1, 2)
    assert sentence in finished.stderr.replace(f"{tmp_path}/", "")
    assert finished.stderr.count("\n") == 1


def test_database_that_goes_away_is_one_sentence(
    settings_of_load: dict[str, str], tenant: Tenant, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    nobody = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere", "APP_DATABASE_URL": ""}
    finished = subprocess.run(
        _command(tenant.slug, path),
        env=environment(**settings_of_load | nobody),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 1
    assert finished.stderr.startswith("fhir-server: DATABASE_URL: cannot use")
    assert finished.stderr.count("\n") == 1


def test_synthea_loads_without_a_failed_entry(load: Load, api: Api, shared_data: Path) -> None:
    files = sorted((shared_data / "synthea").iterdir())
    # The patients first, so that they have to wait for hospitals and practitioners.
    finished = load(*files[2:5], *files[:2])
    assert finished.returncode == 0, finished.stdout + finished.stderr
    entries = [e for path in files[:5] for e in json.loads(bz2.decompress(path.read_bytes()))["entry"]]
    assert f"{len(entries):,} resources" in finished.stdout
    assert _total(api, "Patient") == 3
    assert _total(api, "Observation") == sum(e["resource"]["resourceType"] == "Observation" for e in entries)
