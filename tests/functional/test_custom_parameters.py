"""Search parameters of a clinic's own, from storing to searching to removing, with a real worker.
https://hl7.org/fhir/R4/searchparameter.html"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from fhir_server import worker
from fhir_server.crypto.hashing import param_id
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Answer, Api
from tests.functional.running import Running, running

COUNT = 5_000
"""Resources that no worker indexes before its death is noticed; one that is told to stop may be done by then."""

EYES = "https://clinic.example/eyes"


def parameter(code: str = "eyes", **changed: Any) -> dict[str, Any]:
    """An active SearchParameter, by default for the colour of a patient's eyes."""
    return {
        "resourceType": "SearchParameter",
        "id": code,
        "url": f"https://clinic.example/SearchParameter/{code}",
        "name": "Own",
        "status": "active",
        "description": "Of our own.",
        "code": code,
        "base": ["Patient"],
        "type": "token",
        "expression": f"Patient.extension('{EYES}').value.ofType(code)",
    } | changed


def patient(colour: str, **more: Any) -> dict[str, Any]:
    """A patient with eyes of a colour."""
    return {"resourceType": "Patient", "extension": [{"url": EYES, "valueCode": colour}], **more}


def load(api: Api, resources: list[dict[str, Any]]) -> None:
    entries = [{"resource": r, "request": {"method": "POST", "url": r["resourceType"]}} for r in resources]
    for start in range(0, len(entries), 1_000):
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries[start : start + 1_000]}
        assert api.post("", bundle, Prefer="return=minimal").status == 200


def named(answer: Answer) -> dict[str, Any]:
    """The parameters of an answer by name; of the run too."""
    found: dict[str, Any] = {}
    for one in answer.json["parameter"]:
        if "part" in one:
            found[one["name"]] = {p["name"]: next(v for k, v in p.items() if k != "name") for p in one["part"]}
        else:
            found[one["name"]] = next(v for k, v in one.items() if k != "name")
    return found


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state(api: Api, code: str = "eyes") -> str:
    return str(named(api.get(f"SearchParameter/{code}/$status"))["state"])


def become(api: Api, wanted: str, code: str = "eyes") -> None:
    """Wait until the parameter has a state, and this process knows of it."""
    wait_for(lambda: state(api, code) == wanted)
    wait_for(lambda: api.get(f"Patient?{code}=x").status == (200 if wanted == "active" else 400), 5)


def found(api: Api, query: str) -> int:
    answer = api.get(f"{query}&_summary=count")
    assert answer.status == 200, answer.data
    return int(answer.json["total"])


@pytest.fixture(scope="module")
def work(database: DatabaseUrls) -> Iterator[Running]:
    """A worker process."""
    with running("worker", APP_DATABASE_URL=database.app) as process:
        process.wait_for(lambda: "worker started" in process.output)
        yield process


def test_from_storing_to_searching_to_removing(api: Api, work: Running, database: DatabaseUrls) -> None:
    load(api, [patient("green"), patient("green"), patient("blue")])
    unknown = api.get("Patient?eyes=green")
    assert unknown.status == 400
    assert "eyes" in unknown.json["issue"][0]["diagnostics"]

    assert api.put("SearchParameter/eyes", parameter()).status == 201
    early = api.get("Patient?eyes=green")
    assert early.status == 400
    assert "cannot be used yet: building" in early.json["issue"][0]["diagnostics"]
    assert api.get("Patient?_sort=eyes").status == 400
    assert api.get("Observation?subject:Patient.eyes=green").status == 400
    assert api.get("Patient?eyes=green", Prefer="handling=lenient").status == 400
    assert api.post("Patient", patient("brown")).status == 201
    status = named(api.get("SearchParameter/eyes/$status"))
    assert status["state"] == "building"
    assert status["run"]["state"] in ("waiting", "building", "checking")

    become(api, "active")
    assert found(api, "Patient?eyes=green") == 2
    assert found(api, "Patient?eyes=brown") == 1
    assert found(api, "Patient?eyes:not=green") == 2
    assert found(api, "Patient?eyes:missing=true") == 0
    assert api.get("Patient?_sort=eyes").json["entry"][0]["resource"]["extension"][0]["valueCode"] == "blue"
    status = named(api.get("SearchParameter/eyes/$status"))
    assert (status["run"]["state"], status["run"]["done"]) == ("finished", 4)
    assert "eyes" not in api.get("metadata").data.decode()

    updated = api.get("Patient?eyes=brown").json["entry"][0]["resource"]
    assert api.put(f"Patient/{updated['id']}", patient("grey", id=updated["id"])).status == 200
    assert (found(api, "Patient?eyes=brown"), found(api, "Patient?eyes=grey")) == (0, 1)

    # The same again changes nothing; another description neither.
    assert api.put("SearchParameter/eyes", parameter(description="Other words.")).status == 200
    assert state(api) == "active"

    assert rows(database, api) == 4
    assert api.delete("SearchParameter/eyes").status == 204
    wait_for(lambda: api.get("Patient?eyes=green").status == 400, 5)
    wait_for(lambda: api.get("SearchParameter/eyes/$status").status == 404)
    assert rows(database, api) == 0


def rows(database: DatabaseUrls, api: Api) -> int:
    """How many resources of the tenant have the param of the parameter, each with its token rows or without."""
    with psycopg.connect(database.app) as connection:
        (tenant_id,) = connection.execute("SELECT id FROM tenant WHERE slug = %s", [api.slug]).fetchone() or (0,)
        connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant_id)])
        (count,) = connection.execute(
            "SELECT count(*) FROM resource WHERE %s = ANY(params)", [param_id("Patient.eyes")]
        ).fetchone() or (0,)
        (loose,) = connection.execute(
            "SELECT (SELECT count(*) FROM idx_token) - (SELECT coalesce(sum(cardinality(tokens)), 0) FROM resource)"
        ).fetchone() or (1,)
        assert loose == 0
    return int(count)


def test_every_type_of_parameter(api: Api, work: Running) -> None:
    load(api, [{"resourceType": "Organization", "name": "Eye Clinic"}])
    clinic = api.get("Organization?name=eye").json["entry"][0]["resource"]["id"]
    extension = [
        {"url": "urn:quantity", "valueQuantity": {"value": 5, "system": "http://unitsofmeasure.org", "code": "g"}},
        {"url": "urn:reference", "valueReference": {"reference": f"Organization/{clinic}"}},
    ]
    name = [{"use": "old", "given": ["Ann"], "family": "Ö"}, {"given": ["Bo"], "family": "Lee"}]
    load(api, [{"resourceType": "Patient", "extension": extension, "name": name, "gender": "female"}, patient("x")])
    own = {
        "own-quantity": ("quantity", "Patient.extension('urn:quantity').value.ofType(Quantity)", "own-quantity=5||g"),
        "own-reference": (
            "reference", "Patient.extension('urn:reference').value.ofType(Reference)", "own-reference.name=eye",
        ),
        "own-string": ("string", "Patient.name.select(given.first() & ' ' & family)", "own-string=ann%20o"),
        "own-count": ("number", "Patient.name.count()", "own-count=2"),
        "own-flag": ("token", "Patient.name.where(use = 'old').exists()", "own-flag=true"),
        "own-composite": ("composite", "Patient", "own-composite=female$1970"),
    }  # fmt: skip
    for code, (kind, expression, _) in own.items():
        more: dict[str, Any] = {}
        if kind == "reference":
            more["target"] = ["Organization"]
        if kind == "composite":
            more["component"] = [
                {"definition": "http://hl7.org/fhir/SearchParameter/individual-gender", "expression": "gender"},
                {"definition": "http://hl7.org/fhir/SearchParameter/individual-birthdate", "expression": "birthDate"},
            ]
        answer = api.put(f"SearchParameter/{code}", parameter(code, type=kind, expression=expression, **more))
        assert answer.status == 201, (code, answer.data)
    for code, (_, _, query) in own.items():
        wait_for(lambda code=code: state(api, code) == "active")  # type: ignore[misc]
        wait_for(lambda query=query: api.get(f"Patient?{query}").status == 200, 5)  # type: ignore[misc]
        assert found(api, f"Patient?{query}") == (0 if code == "own-composite" else 1), code
    load(api, [{"resourceType": "Patient", "gender": "female", "birthDate": "1970-02-03"}])
    assert found(api, "Patient?own-composite=female$1970") == 1
    assert found(api, f"Organization?_has:Patient:own-reference:own-count=2&_id={clinic}") == 1
    included = api.get("Patient?own-count=2&_include=Patient:own-reference").json["entry"]
    assert [e["resource"]["resourceType"] for e in included] == ["Patient", "Organization"]
    sorted_by = api.get("Patient?_sort=-own-count&own-count:missing=false").json["entry"]
    assert sorted_by[0]["resource"]["name"][0]["use"] == "old"


def test_abstract_bases_and_the_compartment_of_nothing(api: Api, work: Running) -> None:
    own = parameter("lang", base=["DomainResource"], expression="DomainResource.language", type="token")
    assert api.put("SearchParameter/lang", own | {"id": "lang"}).status == 201
    load(api, [patient("x", language="de"), {"resourceType": "Organization", "name": "x", "language": "de"}])
    wait_for(lambda: state(api, "lang") == "active", 90)
    wait_for(lambda: api.get("Patient?lang=de").status == 200, 5)
    assert found(api, "Patient?lang=de") == found(api, "Organization?lang=de") == 1
    assert api.get("Bundle?lang=de").status == 400


def test_writes_go_on_and_are_found(api: Api, work: Running) -> None:
    load(api, [patient("green") for _ in range(1_000)])
    assert api.put("SearchParameter/eyes", parameter()).status == 201
    ids = [e["resource"]["id"] for e in api.get("Patient?_count=50").json["entry"]]
    created = changed = 0
    late = refused = 0
    while state(api) == "building":
        answer = api.post("Patient", patient("blue"))
        if answer.status == 503:
            refused += 1
            continue
        assert answer.status == 201
        created += 1
        if changed < len(ids):
            answer = api.put(f"Patient/{ids[changed]}", patient("brown", id=ids[changed]))
            assert answer.status in (200, 503)
            changed += answer.status == 200
        late += named(api.get("SearchParameter/eyes/$status")).get("run", {}).get("done", 0) > 0
    become(api, "active")
    assert late, "nothing was written while the index was built"
    assert refused <= 3
    assert found(api, "Patient?eyes=blue") == created
    assert found(api, "Patient?eyes=brown") == changed
    assert found(api, "Patient?eyes=green") == 1_000 - changed
    assert found(api, "Patient?eyes:missing=true") == 0


@pytest.mark.attack
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.attack)])
def test_a_worker_that_ends(fresh_database: DatabaseUrls, tmp_path: Any, number: signal.Signals) -> None:
    """The build goes on behind the last batch: at once, or as soon as the worker's silence is noticed."""
    from fhir_server.app import create_app
    from fhir_server.authn import keys
    from fhir_server.authn.access_token import issue
    from fhir_server.settings import Settings
    from fhir_server.store import tenants

    settings = Settings.from_env({"APP_DATABASE_URL": fresh_database.app, "DATA_DIR": str(tmp_path)})
    with psycopg.connect(str(fresh_database.owner), autocommit=True) as owner:
        tenants.create(owner, "clinic")
        app = create_app(settings)
        token = issue(
            keys.load_or_create(settings.key_file), issuer=settings.issuer, sub="t", client_id="t", tenant="clinic",
            scope="system/*.cruds", lifetime=600,
        )  # fmt: skip
        api = Api(app, "clinic", token)
        load(api, [patient("green") for _ in range(COUNT)])
        assert api.put("SearchParameter/eyes", parameter()).status == 201
        with running("worker", APP_DATABASE_URL=fresh_database.app) as first:
            wait_for(lambda: named(api.get("SearchParameter/eyes/$status"))["run"]["done"] > 0)
            first.stop(number)
        run = named(api.get("SearchParameter/eyes/$status"))["run"]
        assert 0 < run["done"] <= COUNT
        if number == signal.SIGKILL:
            assert run["state"] == "building"
            assert run["done"] < COUNT
            refused = api.get("Patient?eyes=green").json["issue"][0]["diagnostics"]
            assert f"% of {COUNT:,} resources" in refused or "about to begin" in refused
            owner.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
            asyncio.run(_notice(fresh_database))
        with running("worker", APP_DATABASE_URL=fresh_database.app):
            become(api, "active")
        assert named(api.get("SearchParameter/eyes/$status"))["run"]["done"] == COUNT
        assert found(api, "Patient?eyes=green") == COUNT
    app.database.close()


async def _notice(urls: DatabaseUrls) -> None:
    app = worker.create_app(urls.app)
    async with app.open_async():
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=60):
            await app.job_manager.retry_job(job)


@pytest.mark.parametrize(
    ("changed", "place", "said"),
    [
        ({"expression": "Patient.nmae"}, "expression", "did you mean name"),
        ({"expression": "Patient.name.family"}, "expression", ""),
        ({"expression": "Patient.extension('x'"}, "expression", "at character"),
        ({"expression": "Patient.name.frist()"}, "expression", "no function frist(), at character 14"),
        ({"expression": "Patient.name"}, "expression", "yields HumanName"),
        ({"expression": "Observation.status"}, "expression", "no part of it starts there"),
        ({"expression": "Patient.birthDate < today()"}, "expression", "changes with the clock"),
        ({"expression": "Patient.meta.lastUpdated", "type": "date"}, "expression", "search by _lastUpdated"),
        ({"expression": "'" + "x" * 4_000 + "'"}, "expression", "4000 characters"),
        ({"code": "name"}, "code", "Patient has a standard parameter 'name'"),
        ({"code": "_own"}, "code", "A code is a letter"),
        ({"code": "a:b"}, "code", "A code is a letter"),
        ({"type": "special"}, "type", "cannot be defined"),
        ({"type": "composite"}, "expression", "two components"),
    ],
)
def test_what_cannot_be_used_is_refused(api: Api, changed: dict[str, Any], place: str, said: str) -> None:
    answer = api.put("SearchParameter/eyes", parameter() | changed)
    if not said:
        assert answer.status == 201
        return
    assert answer.status == 422, answer.data
    issue = answer.json["issue"][0]
    assert issue["expression"] == [f"SearchParameter.{place}"]
    assert said in issue["diagnostics"]
    assert api.get("SearchParameter/eyes").status == 404
    # Not used, it may be stored.
    if changed.get("type") != "composite":
        assert api.put("SearchParameter/eyes", parameter(status="draft") | changed).status in (201, 422)


def test_a_code_is_taken_once(api: Api) -> None:
    assert api.put("SearchParameter/eyes", parameter()).status == 201
    other = api.put("SearchParameter/other", parameter(id="other"))
    assert other.status == 409
    assert "SearchParameter/eyes" in other.json["issue"][0]["diagnostics"]
    assert api.get("SearchParameter/other").status == 404
    assert (
        api.put("SearchParameter/other", parameter(id="other", base=["Person"], expression="Person.gender")).status
        == 201
    )
    in_bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": parameter(id="third"), "request": {"method": "PUT", "url": "SearchParameter/third"}}],
    }
    assert api.post("", in_bundle).status == 409
    in_bundle["entry"][0]["resource"] = parameter("third", id="third")  # type: ignore[index]
    assert api.post("", in_bundle).status == 200
    assert state(api, "third") == "building"


def test_standard_definitions_may_be_stored(api: Api) -> None:
    own = parameter("name", url="http://hl7.org/fhir/SearchParameter/Patient-name", base=["Patient"], type="string")
    url = "http://hl7.org/fhir/SearchParameter/individual-gender"
    assert api.put("SearchParameter/gender", own | {"url": url, "id": "gender", "code": "gender"}).status == 201
    assert state(api, "gender") == "unused"


def test_tenants_have_their_own(new_api: Callable[..., Api], work: Running) -> None:
    one, other = new_api(), new_api()
    for api in (one, other):
        load(api, [patient("green", gender="female")])
    assert one.put("SearchParameter/eyes", parameter()).status == 201
    become(one, "active")
    assert found(one, "Patient?eyes=green") == 1
    unknown = other.get("Patient?eyes=green")
    assert unknown.status == 400
    assert "Unknown parameter 'eyes'" in unknown.json["issue"][0]["diagnostics"]
    assert other.get("SearchParameter/eyes/$status").status == 404
    run = named(one.get("SearchParameter/eyes/$status"))["run"]["id"]
    assert other.get(f"$reindex-status?id={run}").status == 404
    assert run not in other.get("$reindex-status").data.decode()
    # The same code, of another meaning.
    assert other.put("SearchParameter/eyes", parameter(expression="Patient.gender")).status == 201
    become(other, "active")
    assert (found(other, "Patient?eyes=female"), found(other, "Patient?eyes=green")) == (1, 0)
    assert (found(one, "Patient?eyes=female"), found(one, "Patient?eyes=green")) == (0, 1)


@pytest.mark.attack
def test_another_expression_builds_anew(api: Api, work: Running) -> None:
    load(api, [patient("green", gender="female")])
    assert api.put("SearchParameter/eyes", parameter()).status == 201
    become(api, "active")
    assert api.put("SearchParameter/eyes", parameter(expression="Patient.gender")).status == 200
    assert state(api) == "building"
    become(api, "active")
    assert (found(api, "Patient?eyes=female"), found(api, "Patient?eyes=green")) == (1, 0)
    assert api.put("SearchParameter/eyes", parameter(status="retired")).status == 200
    wait_for(lambda: state(api) == "unused")
    assert api.get("Patient?eyes=female").status == 400


def test_an_expression_that_fails_on_a_resource(api: Api, work: Running) -> None:
    load(api, [{"resourceType": "Patient", "id": "x", "name": [{"use": "old"}, {"use": "usual"}]}])
    expression = "Patient.name.select(use = 'old').single()"
    assert api.put("SearchParameter/eyes", parameter(expression=expression)).status == 201
    become(api, "failed")
    assert "cannot be evaluated on Patient/" in named(api.get("SearchParameter/eyes/$status"))["error"]
    assert "failed: " in api.get("Patient?eyes=true").json["issue"][0]["diagnostics"]


def test_who_may(new_api: Callable[..., Api]) -> None:
    full = new_api()
    reader = new_api("system/*.rs", full.slug)
    assert reader.put("SearchParameter/eyes", parameter()).status == 403
    assert reader.post("Patient/$reindex").status == 403
    assert reader.get("$reindex-status").status == 403
    assert full.put("SearchParameter/eyes", parameter()).status == 201
    assert reader.get("SearchParameter/eyes/$status").status == 200
    blind = new_api("system/SearchParameter.cruds", full.slug)
    assert blind.post("Patient/$reindex").status == 403
    assert blind.post("Patient/x/$reindex").status == 403


def test_reindexing_mends(api: Api, work: Running, database: DatabaseUrls) -> None:
    load(api, [patient("x", name=[{"family": "Lost"}]) for _ in range(3)])
    spoil = (
        "DELETE FROM idx_string",
        "INSERT INTO idx_string SELECT tenant_id, 1, rid, 1, 'too much' FROM resource",
        "UPDATE resource SET tokens = '{1}', params = '{}'",
        "DELETE FROM idx_token",
    )

    def broken() -> None:
        with psycopg.connect(database.app) as connection:
            (tenant_id,) = connection.execute("SELECT id FROM tenant WHERE slug = %s", [api.slug]).fetchone() or (0,)
            connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant_id)])
            for statement in spoil:
                connection.execute(statement.encode())

    broken()
    assert found(api, "Patient?family=lost") == 0
    one = api.get("Patient?_count=1").json["entry"][0]["resource"]["id"]
    answer = api.post(f"Patient/{one}/$reindex")
    assert answer.status == 200
    assert found(api, "Patient?family=lost") == found(api, "Patient?deceased=false") == 1
    answer = api.post("Patient/$reindex")
    assert answer.status == 202
    status = answer.headers["Content-Location"].partition("/fhir/")[2]
    wait_for(lambda: named(api.get(status))["state"] == "finished")
    found_status = named(api.get(status))
    assert (found_status["done"], found_status["total"], found_status["reason"]) == (3, 3, "request")
    assert found(api, "Patient?family=lost") == found(api, "Patient?deceased=false") == 3
    assert api.get(f"Patient/{one}").json["meta"]["versionId"] == "1"
    assert api.post("$reindex?type=Patient,Observation").status == 202
    assert api.post("Patient/none/$reindex").status == 404
    assert api.get("Patient/$reindex").status == 405
    assert api.post("$reindex").status == 400
    assert "did you mean Patient" in api.post("$reindex?type=Patent").json["issue"][0]["diagnostics"]
