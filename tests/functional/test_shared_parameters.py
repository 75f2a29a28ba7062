"""Search parameters that the operator installs for every clinic, by the command line. docs/search-parameters.md"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fhir_server import worker
from fhir_server.app import FhirServer, create_app
from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.settings import Settings
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Api
from tests.functional.running import run
from tests.functional.test_custom_parameters import found, load, named, parameter, patient


async def _work(urls: DatabaseUrls) -> None:
    """Run the jobs that there are."""
    app = worker.create_app(urls.app)
    async with app.open_async():
        await app.run_worker_async(wait=False, install_signal_handlers=False)


def _command(urls: DatabaseUrls, *words: str) -> tuple[int, str]:
    finished = run(*words, DATABASE_URL=str(urls.owner), APP_DATABASE_URL=urls.app)
    return finished.returncode, finished.stdout + finished.stderr


def _api(app: FhirServer, settings: Settings, slug: str) -> Api:
    access_token = issue(
        keys.load_or_create(settings.key_file), issuer=settings.issuer, sub="t", client_id="t", tenant=slug,
        scope="system/*.cruds", lifetime=600,
    )  # fmt: skip
    return Api(app, slug, access_token)


def test_from_installing_to_removing(fresh_database: DatabaseUrls, tmp_path: Path) -> None:
    settings = Settings.from_env(
        {"APP_DATABASE_URL": fresh_database.app, "DATA_DIR": str(tmp_path), "LOG_LEVEL": "error"}
    )
    with psycopg.connect(str(fresh_database.owner), autocommit=True) as owner:
        for slug in ("lake", "river"):
            tenants.create(owner, slug)
        app = create_app(settings)
        lake, river = (_api(app, settings, slug) for slug in ("lake", "river"))
        load(lake, [patient("green"), patient("blue")])
        assert river.put("SearchParameter/mine", parameter(id="mine", expression="Patient.gender")).status == 201
        file = tmp_path / "eyes.json"
        file.write_text(json.dumps(parameter()))
        status, said = _command(fresh_database, "search-parameter", "install", str(file))
        assert status == 0, said
        assert "lake\tleft to the workers" in said
        assert "river\tkept as it is: The code 'eyes' is taken by SearchParameter/mine" in said
        assert _command(fresh_database, "search-parameter", "list")[1].startswith(
            "eyes\teyes\ttoken\tPatient.extension"
        )
        tenants.create(owner, "new")
    new = _api(app, settings, "new")
    load(new, [patient("green")])
    asyncio.run(_work(fresh_database))
    for api in (lake, new):
        _until(api, 200)
        assert found(api, "Patient?eyes=green") == 1
    # It is no resource of the clinic, which cannot have another one of that code.
    assert lake.get("SearchParameter/eyes").status == 404
    refused = lake.put("SearchParameter/own", parameter(id="own"))
    assert refused.status == 409
    assert "the operator of this server" in refused.json["issue"][0]["diagnostics"]
    assert _command(fresh_database, "search-parameter", "remove", "eyes")[0] == 0
    _until(lake, 400)
    asyncio.run(_work(fresh_database))
    assert _command(fresh_database, "search-parameter", "list") == (0, "")
    assert lake.put("SearchParameter/own", parameter(id="own")).status == 201
    app.database.close()


def _until(api: Api, status: int) -> None:
    deadline = time.monotonic() + 10
    while api.get("Patient?eyes=green").status != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ({"resourceType": "Patient"}, "holds no SearchParameter"),
        (parameter(status="draft"), "must be active"),
        ({k: v for k, v in parameter().items() if k != "id"}, "needs an id"),
        (parameter(expression="Patient.nmae"), "SearchParameter.expression: The expression cannot be used for Patient"),
        (parameter(status=None), "status"),
    ],
)
def test_files_that_are_refused(database: DatabaseUrls, tmp_path: Path, content: Any, said: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    status, words = _command(database, "search-parameter", "install", str(file))
    assert status == 1
    assert said in words
    assert words.count("\n") == 1


def test_reindexing_by_command(fresh_database: DatabaseUrls, tmp_path: Path) -> None:
    settings = Settings.from_env(
        {"APP_DATABASE_URL": fresh_database.app, "DATA_DIR": str(tmp_path), "LOG_LEVEL": "error"}
    )
    with psycopg.connect(str(fresh_database.owner), autocommit=True) as owner:
        tenants.create(owner, "lake")
    app = create_app(settings)
    api = _api(app, settings, "lake")
    load(api, [patient("green")])
    status, run_id = _command(fresh_database, "reindex", "--tenant", "lake", "Patient", "Observation")
    assert status == 0
    asyncio.run(_work(fresh_database))
    answer = named(api.get(f"$reindex-status?id={run_id.strip()}"))
    assert (answer["state"], answer["done"]) == ("finished", 1)
    assert named(api.get("$reindex-status"))["run"]["id"] == run_id.strip()
    assert _command(fresh_database, "reindex", "--tenant", "sea", "Patient")[0] == 1
    assert "'Patent' is no resource type" in _command(fresh_database, "reindex", "--tenant", "lake", "Patent")[1]
    assert _command(fresh_database, "search-parameter", "remove", "none")[0] == 1
    app.database.close()
