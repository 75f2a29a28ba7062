"""Full text over HTTP: what is written is found at once, and nothing of others. https://hl7.org/fhir/R4/search.html#text"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.app import FhirServer, create_app
from fhir_server.bulk.reindexing import Reindexing
from fhir_server.crypto.hashing import Hasher
from fhir_server.settings import Settings
from fhir_server.store import directory, reindex_runs, tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.conftest import Api


def observation(display: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"coding": [{"display": display}]}, **elements}


def narrative(words: str) -> dict[str, str]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words}</p></div>'}


def found(api: Api, query: str) -> set[str]:
    """The ids that match, over all pages."""
    ids: set[str] = set()
    path = f"{query}&_count=2"
    while path:
        answer = api.get(path)
        assert answer.status == 200, answer.data
        ids |= {entry["resource"]["id"] for entry in answer.json.get("entry", [])}
        links = {link["relation"]: link["url"] for link in answer.json["link"]}
        path = links.get("next", "").partition("/fhir/")[2]
    return ids


def refusal(api: Api, query: str) -> str:
    answer = api.get(query)
    assert answer.status == 400, answer.data
    return str(answer.json["issue"][0]["diagnostics"])


@pytest.fixture
def without(settings: Settings, database: DatabaseUrls) -> Iterator[FhirServer]:
    """The same server with FULL_TEXT off."""
    off = Settings.from_env(
        {
            "APP_DATABASE_URL": database.app,
            "DATA_DIR": str(settings.data_dir),
            "SIGNING_KEY_FILE": str(settings.key_file),
            "FULL_TEXT": "0",
            "LOG_LEVEL": "error",
        }
    )
    application = create_app(off)
    yield application
    application.database.close()


def test_words_are_found_from_the_answer_on_and_no_longer_than_the_resource_has_them(api: Api) -> None:
    one = api.post("Observation", observation("Body Height", note=[{"text": "Without sh\u00f6es"}])).id
    two = api.post("Observation", observation("Body Weight", text=narrative("A heavy&#x20;person"))).id
    assert found(api, "Observation?_content=body") == {one, two}
    assert found(api, "Observation?_content=BODY%20shoes") == {one}
    assert found(api, "Observation?_text=heavy") == {two}
    assert found(api, "Observation?code:text=height") == {one}
    assert found(api, "Observation?_content=height,heavy") == {one, two}
    assert found(api, "Observation?_content=body&_content=heavy") == {two}
    assert found(api, "Observation?_content=body&code:text=weight&status=final") == {two}
    assert api.get("Observation?_content=body&_total=accurate").json["total"] == 2

    assert api.put(f"Observation/{one}", observation("Body Length", id=one)).status == 200
    assert found(api, "Observation?_content=height") == set()
    assert found(api, "Observation?_content=shoes") == set()
    assert found(api, "Observation?_content=length%20body") == {one}

    assert api.delete(f"Observation/{one}").status in (200, 204)
    assert found(api, "Observation?_content=body") == {two}
    assert api.put(f"Observation/{one}", observation("Body Height", id=one)).status == 201
    assert found(api, "Observation?_content=body%20height") == {one}


def test_words_written_by_transactions_and_by_one_that_fails(api: Api) -> None:
    def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
        entries = [{"resource": one, "request": {"method": "POST", "url": one["resourceType"]}} for one in resources]
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    broken = {"resource": observation("x"), "request": {"method": "PUT", "url": "Observation/y", "ifMatch": 'W/"7"'}}
    undone = bundle(observation("Serum potassium"))
    undone["entry"].append(broken | {"resource": observation("x", id="y")})
    assert api.post("", undone).status == 412
    # The phrase was undone with the transaction: whoever writes it next has to write its words.
    assert api.post("", bundle(*(observation("Serum potassium") for _ in range(3)))).status == 200
    assert len(found(api, "Observation?_content=potassium")) == 3
    assert len(found(api, "Observation?code:text=serum%20potassium")) == 3
    for _ in range(3):
        api.post("Observation", observation("Serum sodium"))
    assert len(found(api, "Observation?_content=sodium")) == 3
    assert len(found(api, "Observation?_content=serum")) == 6


def test_types_are_kept_apart(api: Api) -> None:
    api.post("Observation", observation("Asthma score"))
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "code": {"text": "Asthma score"}}
    one = api.post("Condition", condition).id
    assert found(api, "Condition?_content=asthma") == {one}
    assert found(api, "Condition?code:text=asthma%20score") == {one}
    assert found(api, "Condition?_content=1") == set()


def test_tenants_are_kept_apart(new_api: Callable[..., Api]) -> None:
    ours, theirs = new_api(), new_api()
    for api in (ours, theirs):
        assert api.put("Observation/same", observation("Rare finding", id="same", text=narrative("seen"))).status == 201
    only = theirs.post("Observation", observation("Secret finding", note=[{"text": "confidential"}])).id
    for query in ("_content=secret", "_content=confidential", "code:text=secret%20finding", "_text=confidential"):
        assert found(ours, f"Observation?{query}") == set()
    assert found(ours, "Observation?_content=finding") == {"same"}
    assert found(theirs, "Observation?_content=finding") == {"same", only}
    assert theirs.delete("Observation/same").status in (200, 204)
    assert found(ours, "Observation?_text=seen") == {"same"}
    link = theirs.get("Observation?_content=finding&_count=1&_total=accurate")
    assert link.json["total"] == 1


def test_scopes_hold(new_api: Callable[..., Api]) -> None:
    full = new_api()
    full.post("Observation", observation("Body Height"))
    reader = new_api("system/Patient.rs", full.slug)
    assert reader.get("Observation?_content=body").status == 403
    assert reader.get("Patient?_content=body").status == 200


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("_content=", "empty"),
        ("_content=%22body%20height%22", "quotes"),
        ("_content=bod*", "*"),
        ("_content=a%20OR%20b", "commas"),
        ("_content=%25%26%27%3B--", "no word"),
        ("_content=%00", ""),
        ("_content:exact=a", "modifier"),
        ("_text:missing=true", "modifier"),
        ("status:text=final", "modifier"),
        ("_content=" + "%20".join(f"w{n}" for n in range(40)), "too many"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(api: Api, query: str, said: str) -> None:
    assert said in refusal(api, f"Observation?{query}")


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE x; --", "$1 $2::bigint", "\\ x", "%s %(x)s", "\u202e\ufeff x", "\U0001f600 x", "x" * 5_000,
        "\u0130\u0131", "{1,2}", "NULL", "\u7cd6" * 30, "a\tb\nc", "_x_", "\ufdfa",
    ],
)  # fmt: skip
def test_hostile_words_are_words(api: Api, text: str) -> None:
    one = api.post("Observation", observation(text, note=[{"text": text}])).id
    for query in ("_content", "code:text"):
        assert found(api, f"Observation?{query}={quote(text)}") == {one}


def test_a_huge_narrative_is_taken_in_bounded_time(api: Api) -> None:
    words = " ".join(f"word{n}" for n in range(90_000))
    begun = time.monotonic()
    one = api.post("Observation", observation("Body", text=narrative(words))).id
    assert time.monotonic() - begun < 20
    assert found(api, "Observation?_text=word7") == {one}
    assert api.delete(f"Observation/{one}").status in (200, 204)
    assert found(api, "Observation?_text=word7") == set()


def test_switched_off_is_refused_and_made_up_for_by_reindexing(
    api: Api, without: FhirServer, database: DatabaseUrls
) -> None:
    off = Api(without, api.slug, api.access_token)
    before = api.post("Observation", observation("Body Height")).id
    api.post("Patient", {"resourceType": "Patient", "name": [{"text": "Ann Body"}]})
    for query in ("_content=body", "_text=body", "code:text=body"):
        assert "FULL_TEXT" in refusal(off, f"Observation?{query}")
    assert found(api, "Observation?_content=body") == {before}

    unseen = off.post("Observation", observation("Body Weight")).id
    assert off.put(f"Observation/{before}", observation("Body Length", id=before)).status == 200
    for query in ("_content=body", "_text=body", "code:text=body", "_content=nothing", "code:text=length&status=final"):
        assert "$reindex" in refusal(api, f"Observation?{query}")
    assert "$reindex" in refusal(api, "Observation?_content=body&_summary=count")
    # Deleting takes words away, which needs none; other types are complete.
    assert len(found(api, "Patient?_content=body")) == 1
    assert found(api, "Observation?status=final") == {before, unseen}

    _reindex(api, "Observation", full_text=False)
    assert "$reindex" in refusal(api, "Observation?_content=body")
    _reindex(api, "Observation")
    assert found(api, "Observation?_content=body") == {before, unseen}
    assert found(api, "Observation?code:text=length") == {before}
    assert found(api, "Observation?code:text=height") == set()


def test_one_bundle_written_without_words(api: Api, without: FhirServer) -> None:
    entry = {"resource": observation("Body Height"), "request": {"method": "POST", "url": "Observation"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * 3}
    assert Api(without, api.slug, api.access_token).post("", bundle).status == 200
    assert "$reindex" in refusal(api, "Observation?_content=body")


def _reindex(api: Api, resource_type: str, *, full_text: bool = True) -> None:
    """Run what a worker would of a request to reindex."""
    database = api.app.database
    with database.connection() as connection:
        tenant = tenants.find(connection, api.slug)
    assert tenant is not None
    run = database.transaction(tenant.id, lambda c: reindex_runs.request(c, tenant.id, [resource_type]))
    work = Reindexing(database, Hasher(directory.hash_key(database)), "http://localhost", full_text)
    for _ in range(20):
        work.go_on(tenant.id, run, lambda: False)
        state = database.transaction(tenant.id, lambda c: reindex_runs.find(c, tenant.id, run))
        assert state is not None
        if state.state not in reindex_runs.UNFINISHED:
            break
    assert (state.state, state.error) == ("finished", "")


def scores(api: Api, query: str) -> list[tuple[str, float]]:
    answer = api.get(query)
    assert answer.status == 200, answer.data
    return [(one["resource"]["id"], one["search"]["score"]) for one in answer.json["entry"]]


def test_matches_say_how_well_they_match_and_are_sorted_by_it(api: Api) -> None:
    long = "fever " + " ".join(f"word{n}" for n in range(80))
    for name, words in (("short", "high fever"), ("long", long), ("twice", "fever after fever"), ("none", "cough")):
        assert api.put(f"Observation/{name}", observation("x", id=name, text=narrative(words))).status == 201
    found = scores(api, "Observation?_text=fever&_sort=-_score")
    assert {name for name, _ in found} == {"short", "long", "twice"}
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert found[-1][0] == "long"
    assert all(0 < score <= 1 for _, score in found)
    assert scores(api, "Observation?_text=fever&_sort=_score") == found[::-1]
    # The score is told whatever the order, and goes on over pages.
    assert dict(scores(api, "Observation?_text=fever")) == dict(found)
    first = api.get("Observation?_content=fever&_sort=-_score&_count=1")
    links = {link["relation"]: link["url"] for link in first.json["link"]}
    second = api.get(links["next"].partition("/fhir/")[2])
    assert second.json["entry"][0]["resource"]["id"] != first.json["entry"][0]["resource"]["id"]
    assert "score" not in api.get("Observation?_id=short").json["entry"][0]["search"]


def test_a_score_needs_a_text(api: Api) -> None:
    assert "search by _text or _content as well" in refusal(api, "Observation?_sort=-_score")
    assert "search by _text or _content as well" in refusal(api, "Observation?code=x&_sort=_score")
