"""A feed whose codes are translated by ConceptMaps of its clinic, on a database that is real. docs/hl7-overrides.md"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.policy import EVERYTHING, Access
from fhir_server.access.principal import Principal
from fhir_server.access.scopes import parse
from fhir_server.interactions import delete, update
from fhir_server.interactions.context import Context
from fhir_server.interactions.context import Tenant as Named
from fhir_server.operations import lineage
from fhir_server.store import hl7_feeds, hl7_found
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant
from hl7_gateway.__main__ import run
from hl7_gateway.metrics import Metrics
from hl7_gateway.watch import PERIOD, Watch
from tests.functional.hl7.gateway import Gateway, hasher
from tests.functional.hl7.ward import Ward, visit, worker_of
from tests.unit.hl7_gateway.own_feeds import OwnFeeds

URL = "https://clinic.example/fhir/ConceptMap/sexes"
MAPPING = f"[[translate]]\nfield = 'PID-8'\nmap = '{URL}'\n"


def sexes(code: str = "M", **more: Any) -> dict[str, Any]:
    """A ConceptMap that makes something of F."""
    target = [{"code": code, "equivalence": "equal"}]
    groups = [{"element": [{"code": "F", "target": target}]}]
    return {"resourceType": "ConceptMap", "id": "sexes", "url": URL, "status": "active", "group": groups, **more}


class Clinic:
    """A clinic whose staff write ConceptMaps."""

    def __init__(self, database: Database, tenant: Tenant) -> None:
        self.tenant = tenant
        self.store = Store(database, hasher(database), tenant.id)
        scopes = parse("system/*.cruds")
        self.ctx = Context(
            Named(tenant.id, tenant.slug), Principal(tenant.slug, "x", "x", scopes), Access(()), self.store, ""
        )

    def put(self, body: dict[str, Any]) -> None:
        def work(store: Store) -> None:
            update.run(self.ctx.within(store, EVERYTHING), body["resourceType"], body["id"], body)

        self.store.transaction(work)

    def delete(self) -> None:
        self.store.transaction(lambda store: delete.run(self.ctx.within(store, EVERYTHING), "ConceptMap", "sexes"))


@pytest.fixture
def clinic(app_database: Database, tenant: Tenant) -> Clinic:
    return Clinic(app_database, tenant)


@pytest.fixture
def ward(app_database: Database, tenant: Tenant, clinic: Clinic) -> Iterator[Ward]:
    clinic.put(sexes())
    yield Ward(app_database, tenant, overrides=MAPPING, application="EPIC", facility=f"T{tenant.id}")
    # Or the gateways of later tests look for its ConceptMap.
    app_database.transaction(tenant.id, lambda c: hl7_feeds.remove(c, tenant.id, "lab"))


def genders(ward: Ward) -> list[str]:
    rows = ward.rows(
        "SELECT body ->> 'gender' FROM resource r"
        " WHERE jsonb_path_exists(body, '$.birthDate') AND NOT deleted ORDER BY last_updated, id"
    )
    return [gender for (gender,) in rows]


def open_alerts(ward: Ward) -> list[str]:
    """Those that are open, but for one that tells how long a message has waited: it was kept as one of 1970."""
    rows = ward.rows("SELECT condition FROM hl7_alert WHERE cleared = 0")
    return [condition for (condition,) in rows if condition != "waiting"]


def versions(ward: Ward, clinic: Clinic) -> set[str]:
    """The map versions that the lineage of all patients names."""
    told: set[str] = set()
    for (name,) in ward.rows("SELECT id FROM resource r WHERE jsonb_path_exists(body, '$.birthDate') AND NOT deleted"):
        ctx = clinic.ctx.within(clinic.store, EVERYTHING)
        response = lineage.run(ctx, ("Patient", str(name)), [], None)
        assert response.body is not None
        for element in json.loads(response.body).get("parameter", ()):
            parts = {part["name"]: part.get("valueString") for part in element["part"]}
            if parts["path"] == "Patient.gender":
                told.add(str(parts["mapVersion"]))
    return told


def test_a_feed_follows_its_map(ward: Ward, clinic: Clinic) -> None:
    ward.keep(visit("1", "A01", "123"))
    assert ward.work() == 1
    assert genders(ward) == ["male"]
    (first,) = versions(ward, clinic)
    before = ward.feeds.get(ward.tenant.id, ward.feed_id)
    ward.feeds.refresh(now=True)
    assert ward.feeds.get(ward.tenant.id, ward.feed_id) is before
    clinic.put(sexes("O"))
    ward.feeds.refresh(now=True)
    ward.keep(visit("2", "A01", "456"))
    assert ward.work() == 1
    assert sorted(genders(ward)) == ["male", "other"]
    assert first in versions(ward, clinic)
    assert len(versions(ward, clinic)) == 2


def test_it_follows_by_itself(app_database: Database, tenant: Tenant, ward: Ward, clinic: Clinic) -> None:
    ward.keep(visit("1", "A01", "123"))
    stopping = threading.Event()
    thread = threading.Thread(target=ward.worker().run, args=(stopping,))
    thread.start()
    try:
        _until(lambda: genders(ward) == ["male"])
        clinic.put(sexes("O"))
        feed = ward.feeds.get(tenant.id, ward.feed_id)
        assert feed is not None
        _until(lambda: _version(ward) != feed.mapping.version)
        ward.keep(visit("2", "A08", "123"))
        _until(lambda: genders(ward) == ["other"])
    finally:
        stopping.set()
        thread.join()


def _version(ward: Ward) -> str:
    feed = ward.feeds.get(ward.tenant.id, ward.feed_id)
    assert feed is not None
    return feed.mapping.version


def _until(condition: Callable[[], bool]) -> None:
    ending = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ending, "it does not happen"
        time.sleep(0.02)


def test_messages_wait_for_a_map_that_is_gone_and_somebody_is_told(
    app_database: Database, tenant: Tenant, ward: Ward, clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    clinic.delete()
    ward.feeds.refresh(now=True)
    ward.feeds.refresh(now=True)
    told = [record for record in caplog.records if record.getMessage() == "a feed cannot be used"]
    mine = [getattr(one, "problems") for one in told if getattr(one, "feed") == f"{tenant.slug}/lab"]  # noqa: B009
    assert mine == [[f"[[translate]] no. 1: ConceptMap {URL}: there is none of this URL"]]
    ward.keep(visit("1", "A01", "123"))
    assert ward.work() == 0
    assert [one.state for one in ward.found()] == ["received"]
    watch = Watch(app_database, ward.feeds, Metrics(), lambda: time.time() + PERIOD)
    watch.look()
    assert open_alerts(ward) == ["unusable"]
    clinic.put(sexes())
    ward.feeds.refresh(now=True)
    assert ward.work() == 1
    assert genders(ward) == ["male"]
    watch = Watch(app_database, ward.feeds, Metrics(), lambda: time.time() + 2 * PERIOD)
    watch.look()
    assert open_alerts(ward) == []


def test_a_map_that_went_between_the_look_and_the_message_makes_no_dead_letter(ward: Ward, clinic: Clinic) -> None:
    ward.keep(visit("1", "A01", "123"))
    worker = ward.worker()
    clinic.delete()
    held = ward.feeds.held
    ward.feeds.refresh(now=True)
    ward.feeds.held = lambda tenant_id: []  # type: ignore[method-assign]
    try:
        with pytest.raises(Exception, match="A ConceptMap of this feed cannot be used"):
            worker.once(ward.tenant.id)
    finally:
        ward.feeds.held = held  # type: ignore[method-assign]
    assert [one.state for one in ward.found()] == ["received"]


def test_a_map_of_another_clinic_is_none(app_database: Database, ward: Ward, new_tenant: Callable[[], Tenant]) -> None:
    other = Ward(app_database, new_tenant(), overrides=MAPPING, facility="ELSEWHERE")
    feed = other.feeds.get(other.tenant.id, other.feed_id)
    assert feed is not None
    assert feed.mapping.wanting == (f"[[translate]] no. 1: ConceptMap {URL}: there is none of this URL",)
    assert other.feed_id in other.feeds.held(other.tenant.id)
    mine = ward.feeds.get(ward.tenant.id, ward.feed_id)
    assert mine is not None
    assert mine.mapping.wanting == ()
    number = other.tenant.id
    app_database.transaction(number, lambda c: hl7_feeds.remove(c, number, "lab"))


def test_a_message_that_comes_by_a_wire_is_kept_without_its_map(
    app_database: Database, tenant: Tenant, clinic: Clinic
) -> None:
    gateway = Gateway(app_database, tenant)

    async def scenario() -> None:
        async with gateway.serving(overrides=MAPPING):
            connection = await gateway.connect()
            assert (await connection.send(visit("1", "A01", "123"))).code == "AA"
            assert worker_of(gateway).once(tenant.id) == 0
            clinic.put(sexes())
            gateway.feeds.refresh(now=True)
            assert worker_of(gateway).once(tenant.id) == 1

    asyncio.run(scenario())
    wanted = hl7_found.Wanted()
    found = app_database.transaction(tenant.id, lambda c: hl7_found.listed(c, tenant.id, wanted, 10))
    assert [one.state for one in found] == ["stored"]


Command = Callable[..., str]


@pytest.fixture
def command(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command; what it says, after ``status`` was checked."""
    assert database.owner is not None
    monkeypatch.setenv("DATABASE_URL", database.owner)

    def command(*words: str, status: int = 0) -> str:
        found = run(words)
        said = capsys.readouterr()
        assert found == status, said.err
        return said.out + said.err

    return command


def test_a_mapping_is_checked_when_it_is_set(command: Command, ward: Ward, clinic: Clinic, tmp_path: Path) -> None:
    slug = ward.tenant.slug
    file = tmp_path / "lab.toml"
    file.write_text(MAPPING + f"[[translate]]\nfield = 'PV1-2'\nmap = '{URL}/classes'\n")
    said = command("feed", "set", slug, "lab", "--set", f"overrides=@{file}", status=1)
    assert f"[[translate]] no. 2: ConceptMap {URL}/classes: there is none of this URL" in said
    assert "no. 1" not in said
    file.write_text(MAPPING)
    command("feed", "set", slug, "lab", "--set", f"overrides=@{file}")
    clinic.delete()
    assert "there is none of this URL" in command("feed", "set", slug, "lab", "--set", "silent=5", status=1)
    # What needs no map is not kept from working.
    command("feed", "pause", slug, "lab")
    assert "does not number" in command("feed", "number", slug, "lab", status=1)


def test_the_dry_runs_show_what_a_map_makes(command: Command, ward: Ward, tmp_path: Path) -> None:
    slug = ward.tenant.slug
    ward.keep(visit("1", "A01", "123"))
    ward.work()
    own = tmp_path / "one.hl7"
    own.write_bytes(visit("2", "A08", "456").replace(b"|HOSP|FHIR", f"|T{ward.tenant.id}|FHIR".encode()))
    assert '+ gender = "male"' in command("feed", "test", slug, "lab", str(own))
    mapping, another = tmp_path / "lab.toml", tmp_path / "map.json"
    mapping.write_text(MAPPING)
    assert "0 of 1 messages" in command("compare", slug, "lab", str(mapping))
    another.write_text(json.dumps(sexes("O")))
    said = command("compare", slug, "lab", str(mapping), "--map", str(another))
    assert '- Patient#1.gender = "male"' in said
    assert '+ Patient#1.gender = "other"' in said
    another.write_text(json.dumps({**sexes(), "status": "odd"}))
    assert "is no ConceptMap" in command("compare", slug, "lab", str(mapping), "--map", str(another), status=1)
    mapping.write_text(MAPPING.replace("sexes", "none"))
    assert "there is none of this URL" in command("compare", slug, "lab", str(mapping), status=1)
    mapping.write_text("")
    assert '+ Patient#1.gender = "female"' in command("compare", slug, "lab", str(mapping))


def test_a_message_is_converted_with_a_map_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    mapping, sent, table = tmp_path / "lab.toml", tmp_path / "one.hl7", tmp_path / "map.json"
    mapping.write_text(MAPPING)
    sent.write_bytes(visit("1", "A01", "123"))
    table.write_text(json.dumps(sexes()))
    words = ("convert", str(sent), "--set", f"overrides=@{mapping}")
    assert run((*words, "--map", str(table))) == 0
    bundle = json.loads(capsys.readouterr().out)
    (patient,) = [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == "Patient"]
    assert patient["gender"] == "male"
    assert run(words) == 1
    assert "Give each ConceptMap as --map FILE" in capsys.readouterr().err
    table.write_text("{")
    assert run((*words, "--map", str(table))) == 1
    assert "is not JSON" in capsys.readouterr().err


def test_feeds_without_maps_ask_the_database_for_nothing_more(
    app_database: Database, tenant: Tenant, ward: Ward
) -> None:
    asked: list[str] = []
    loads = ward.feeds._maps
    assert loads is not None

    def noted(feed: Any) -> Any:
        before = feed.mapping
        made = loads(feed)
        if made.mapping.consulted:
            asked.append(feed.name)
        assert made.mapping is before or made.mapping.consulted
        return made

    app_database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "plain", {"port": 9}, 5))
    feeds = OwnFeeds(app_database, tenant, maps=noted)
    feeds.refresh()
    assert asked == ["lab"]
