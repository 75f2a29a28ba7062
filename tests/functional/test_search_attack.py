"""Every search path attacked: by another tenant with the same ids, and by callers whose scopes allow some types only.

https://hl7.org/fhir/R4/search.html, https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from fhir_server.access import policy
from fhir_server.access.policy import EVERYTHING
from fhir_server.app import FhirServer
from fhir_server.search import everything
from fhir_server.search.sql import SqlParameters
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Answer, Api
from tests.functional.joined_tenants import (
    CHAINS,
    GRAPHS,
    HIDDEN,
    INCLUDES,
    REQUESTS,
    REVERSE_CHAINS,
    attackers,
    victims,
    write,
)
from tests.functional.search_universe import walk

Shown = tuple[int, list[Any], Any]


class Both:
    """The victim, the attacker, and what the attacker was answered while there was no victim yet."""

    def __init__(self, app: FhirServer, access_token: Callable[..., str], database: DatabaseUrls) -> None:
        assert database.owner is not None
        with psycopg.connect(database.owner, autocommit=True) as connection:
            made = [tenants.create(connection, f"attack-{os.getpid()}-{name}") for name in ("victim", "attacker")]
        self.ids = [one.id for one in made]
        self.token = access_token
        self.victim, self.attacker = (Api(app, one.slug, access_token(one.slug, lifetime=3600)) for one in made)
        write(self.attacker, attackers())
        self.alone = {path: shown(self.attacker.get(path)) for path in REQUESTS}
        write(self.victim, victims())

    def narrow(self, scope: str) -> Api:
        """A caller at the victim's base with less scope."""
        return Api(self.victim.app, self.victim.slug, self.token(self.victim.slug, scope))


@pytest.fixture(scope="module")
def both(app: FhirServer, access_token: Callable[..., str], database: DatabaseUrls) -> Both:
    return Both(app, access_token, database)


def shown(answer: Answer) -> Shown:
    """The status, the entries and the total of an answer: all but its links."""
    body = answer.json
    if body.get("resourceType") != "Bundle":
        return answer.status, [], body
    entries = sorted(str((one["search"]["mode"], one["resource"])) for one in body.get("entry", []))
    return answer.status, entries, body.get("total", body.get("issue"))


def types(answer: Answer, mode: str = "") -> set[str]:
    """The resource types of the entries, of one search mode or of all."""
    return {
        one["resource"]["resourceType"]
        for one in answer.json.get("entry", [])
        if mode in ("", one["search"]["mode"]) and one["search"]["mode"] != "outcome"
    }


@pytest.mark.parametrize("path", REQUESTS)
def test_the_victim_finds_its_own(both: Both, path: str) -> None:
    """Each attack asks for something that is there; or it would show nothing."""
    answer = both.victim.get(path)
    assert answer.status == 200, answer.data
    assert answer.json.get("total", 1) > 0
    assert HIDDEN in answer.data.decode() or "_summary=count" in path


@pytest.mark.parametrize("policy_off", [False, True], ids=["policy", "row level security alone"])
@pytest.mark.parametrize("path", REQUESTS)
def test_another_tenant_changes_no_answer(
    both: Both, path: str, policy_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the attacker is answered is to the letter what it was answered before the victim had any data."""
    if policy_off:
        monkeypatch.setattr(policy, "_decide", lambda *_: EVERYTHING)
    answer = both.attacker.get(path)
    assert answer.status == 200 or (answer.status == 404 and "example.org" in path) or "ValueSet" in path
    assert HIDDEN not in answer.data.decode()
    assert shown(answer) == both.alone[path]


@pytest.mark.parametrize("path", REQUESTS)
def test_row_level_security_alone_keeps_tenants_apart(both: Both, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every statement asks for the victim's rows, as a bug might; the database gives the attacker none."""
    _aim(monkeypatch, both.ids[1], both.ids[0])
    answer = both.attacker.get(path)
    assert answer.status < 500, answer.data
    assert HIDDEN not in answer.data.decode()
    # The resource that $everything starts at is read, not searched: the attacker has one of its own.
    own = {path.partition("/")[0]} if "$everything" in path else set()
    assert types(answer) == own
    assert len(answer.json.get("entry", [])) == len(own)
    assert answer.json.get("total", 0) == len(own)


def test_the_aim_is_true(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statements are really aimed at another tenant: where it is the own one, they find what there is."""
    _aim(monkeypatch, both.ids[1], both.ids[1])
    assert types(both.attacker.get("Patient")) == {"Patient"}


def _aim(monkeypatch: pytest.MonkeyPatch, at: int, instead: int) -> None:
    written = SqlParameters.__init__

    def aimed(self: SqlParameters, tenant_id: int) -> None:
        written(self, instead if tenant_id == at else tenant_id)

    monkeypatch.setattr(SqlParameters, "__init__", aimed)
    # Statements that were written before would still be aimed at the own one, and those written now must not stay.
    for name in ("_members", "_references", "_referred"):
        monkeypatch.setattr(everything, name, getattr(everything, name).__wrapped__)


@pytest.mark.parametrize(
    "path",
    [
        "Observation?_count=1",
        "Observation?_sort=-date&_count=1",
        "Patient/p1/*?_count=1",
        "?_type=Patient,Observation&_count=1",
        "Patient/p1/$everything?_count=1",
    ],
)
def test_a_cursor_is_good_for_its_tenant_caller_and_path_alone(both: Both, path: str) -> None:
    page = next(walk(both.victim, path))
    following = page.link("next")
    assert following is not None
    assert both.victim.get(following).status == 200
    start, _, cursor = following.partition("?")
    other_path = "Patient" if not start.startswith("Patient?") else "Observation"
    for caller, elsewhere in [(both.attacker, start), (both.victim, other_path)]:
        answer = caller.get(f"{elsewhere}?{cursor}")
        assert answer.status == 400, answer.data
        assert HIDDEN not in answer.data.decode()


OBSERVATIONS = "system/Observation.rs"


@pytest.mark.parametrize("path", [p for p in (*CHAINS, *REVERSE_CHAINS) if not p.startswith("Observation?has-member")])
def test_a_chain_through_a_forbidden_type_is_refused(both: Both, path: str) -> None:
    """What a chain finds tells what the resources in between hold, so each of them must be permitted."""
    searched = path.partition("?")[0]
    answer = both.narrow(f"system/{searched}.rs").get(path)
    if searched == "Organization":
        assert answer.status == 200
        return
    assert answer.status == 403, answer.data
    assert HIDDEN not in answer.data.decode()
    assert "scope" in answer.json["issue"][0]["diagnostics"]
    assert "system/" in answer.json["issue"][0]["diagnostics"]


@pytest.mark.parametrize("path", INCLUDES)
def test_includes_of_forbidden_types_are_left_out(both: Both, path: str) -> None:
    searched = path.partition("?")[0]
    allowed = {searched, "Location", "Organization"}
    answer = both.narrow(" ".join(f"system/{name}.rs" for name in sorted(allowed))).get(path)
    assert answer.status == 200, answer.data
    assert types(answer) <= allowed
    everything = types(both.victim.get(path))
    if everything - allowed:
        assert types(answer) <= {searched, *(everything & allowed)}
        assert "outcome" in {one["search"]["mode"] for one in answer.json["entry"]}, "nothing says what was left out"


def test_what_is_included_by_way_of_a_forbidden_type_is_left_out(both: Both) -> None:
    """That an organization manages a patient is the patient's to tell."""
    path = "Observation?_include=Observation:patient&_include:iterate=Patient:organization"
    assert types(both.victim.get(path), "include") == {"Patient", "Organization"}
    narrow = both.narrow("system/Observation.rs system/Organization.rs")
    assert types(narrow.get(path), "include") == set()


@pytest.mark.parametrize(
    "path", ["Patient/p1/*", "Encounter/e1/*", "?_id=o0,p1,d1", "?_tag=shared", "?_lastUpdated=ge2020"]
)
def test_searches_over_types_show_permitted_types_alone(both: Both, path: str) -> None:
    assert len(types(both.victim.get(path))) > 1
    assert types(both.narrow(OBSERVATIONS).get(path)) <= {"Observation"}


@pytest.mark.parametrize(
    "path",
    [
        "?_type=Patient,Observation",
        "Patient/p1/$everything",
        "Patient?_list=li1",
        "Observation?_list=li1",
        "Patient",
        "Patient?_summary=count",
        "Patient/p1/Condition",
    ],
)
def test_forbidden_types_are_shown_by_no_other_road(both: Both, path: str) -> None:
    answer = both.narrow(OBSERVATIONS).get(path)
    assert answer.status in (200, 403), answer.data
    if answer.status == 200:
        assert types(answer) <= {"Observation"}
    if "_list" in path:
        assert answer.status == 403, "which resources a List names is the List's to tell"


@pytest.mark.parametrize("path", [path for path in GRAPHS if "Observation" not in path or "subject%20" in path])
def test_graphql_shows_nothing_of_forbidden_types(both: Both, path: str) -> None:
    """Lists, connections, single resources, and what the references of permitted ones lead to."""
    answer = both.narrow(OBSERVATIONS).get(path)
    assert answer.status in (200, 403), answer.data
    assert HIDDEN not in answer.data.decode()


def test_what_the_caller_may_see_is_decided_again_on_every_page(both: Both) -> None:
    """The same client and subject with less scope than when the search began."""
    following = next(walk(both.victim, "Patient?_count=1&_revinclude=Observation:subject")).link("next")
    assert following is not None
    assert both.narrow(OBSERVATIONS).get(following).status == 403
    answer = both.narrow("system/Patient.rs").get(following)
    assert types(answer) == {"Patient"}
