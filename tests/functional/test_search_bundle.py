"""What a searchset says about itself: links, totals, outcomes, subsets; pages that stay right while others write."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from fhir_server.access.policy import NOTHING, of_types
from fhir_server.errors import BadRequest
from fhir_server.interactions import search
from fhir_server.interactions.context import Context
from fhir_server.r4 import json
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from tests.functional.search_fixtures import (
    BASE,
    context,
    create,
    delete,
    entries,
    find,
    follow,
    ids,
    link,
    opened,
    pages,
)


@pytest.fixture(scope="module")
def pool(database: DatabaseUrls) -> Iterator[Database]:
    with opened(database) as pool:
        yield pool


@pytest.fixture
def ctx(pool: Database, tenant: Tenant) -> Context:
    return context(pool, tenant.id)


def patient(number: int, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"p{number}", "gender": "female", **more}


def parameters(url: str | None) -> list[tuple[str, str]]:
    assert url is not None
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def test_an_entry_is_the_resource_as_it_is_read(ctx: Context) -> None:
    resource = patient(1, multipleBirthInteger=2, extension=[{"url": "http://example.org/x", "valueDecimal": 1}])
    body = json.dumps(resource).replace(b'"valueDecimal":1', b'"valueDecimal":1.00')
    create(ctx, [json.parse(body)])
    (entry,) = find(ctx, "Patient", ("_id", "p1"))["entry"]
    assert entry["fullUrl"] == f"{BASE}/Patient/p1"
    assert entry["search"] == {"mode": "match"}
    stored = ctx.store.read(ctx.access, "Patient", "p1")
    assert stored is not None
    assert entry["resource"] == json.parse(stored.to_bytes())
    response = search.run(ctx, "Patient", [("_id", "p1")])
    assert b'"valueDecimal": 1.00' in (response.body or b"")


def test_nothing_found_is_an_empty_bundle(ctx: Context) -> None:
    assert find(ctx, "Patient", ("name", "nobody")) == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0,
        "link": [{"relation": "self", "url": f"{BASE}/Patient?name=nobody&_count=20"}],
    }


def test_the_self_link_tells_what_was_applied(ctx: Context) -> None:
    bundle = find(
        ctx, "Observation",
        ("_count", "5000"), ("code", "http://loinc.org|8480-6,a\\,b"), ("_sort", "-_lastUpdated"),
        ("code:not", "x&y=z"),
        ("_total", "accurate"), ("_summary", "false"), ("_format", "json"),
    )  # fmt: skip
    assert link(bundle, "self") == (
        f"{BASE}/Observation?code=http://loinc.org%7C8480-6,a%5C,b&code:not=x%26y%3Dz"
        "&_sort=-_lastUpdated&_total=accurate&_summary=false&_count=1000"
    )
    again = follow(ctx, link(bundle, "self") or "")
    assert link(again, "self") == link(bundle, "self")


def test_lenient_handling_says_what_was_left_out(pool: Database, tenant: Tenant) -> None:
    ctx = context(pool, tenant.id, lenient=True)
    create(ctx, [patient(1)])
    bundle = find(ctx, "Patient", ("gendre", "male"), ("_count", "1"))
    assert ids([bundle]) == ["p1"]
    assert bundle["total"] == 1
    (outcome,) = entries(bundle, "outcome")
    (issue,) = outcome["issue"]
    assert (outcome["resourceType"], issue["severity"]) == ("OperationOutcome", "warning")
    assert issue["diagnostics"].startswith(
        "Left out of this search: Unknown parameter 'gendre'. Did you mean 'gender'?"
    )
    assert link(bundle, "self") == f"{BASE}/Patient?_count=1"


def test_the_total_is_free_on_a_last_page_and_kept_on_later_ones(ctx: Context) -> None:
    create(ctx, [patient(number) for number in range(5)])
    assert find(ctx, "Patient", ("_count", "5"))["total"] == 5
    assert "total" not in find(ctx, "Patient", ("_count", "4"))
    first = find(ctx, "Patient", ("_count", "2"), ("_total", "accurate"))
    create(ctx, [patient(9)])
    second = follow(ctx, link(first, "next") or "")
    assert (first["total"], second["total"]) == (5, 5)


def test_links_of_later_pages(ctx: Context) -> None:
    create(ctx, [patient(number) for number in range(5)])
    first = find(ctx, "Patient", ("gender", "female"), ("_count", "2"))
    second = follow(ctx, link(first, "next") or "")
    third = follow(ctx, link(second, "next") or "")
    assert [ids([page]) for page in (first, second, third)] == [["p4", "p3"], ["p2", "p1"], ["p0"]]
    assert link(second, "self") == link(first, "next")
    assert "gender" not in (link(second, "first") or "")
    assert (link(third, "next"), link(first, "first")) == (None, None)
    assert ids([follow(ctx, link(second, "self") or "")]) == ["p2", "p1"]
    assert ids([follow(ctx, link(third, "first") or "")]) == ["p4", "p3"]


def test_next_links_are_short_and_reveal_nothing(ctx: Context) -> None:
    create(ctx, [patient(n, name=[{"family": "Confidential"}], birthDate="1970-05-20") for n in range(3)])
    searched = [("family", "confidential"), ("birthdate", "1970-05-20"), ("_count", "1"), ("_sort", "-_lastUpdated")]
    url = link(find(ctx, "Patient", *searched), "next") or ""
    assert [name for name, _ in parameters(url)] == ["_cursor"]
    assert len(url) < 300
    assert not any(text in url.lower() for text in ("confidential", "1970"))


def test_a_cursor_is_the_caller_s_own(pool: Database, ctx: Context) -> None:
    create(ctx, [patient(number) for number in range(3)])
    url = link(find(ctx, "Patient", ("_count", "1")), "next") or ""
    with pytest.raises(BadRequest, match="not valid here"):
        follow(context(pool, ctx.tenant.id, subject="somebody else"), url)
    with pytest.raises(BadRequest, match="not valid here"):
        follow(ctx, url.replace("/Patient?", "/Observation?"))
    with pytest.raises(BadRequest, match=r"A _cursor stands alone.*To change _count"):
        follow(ctx, url + "&_count=100")
    assert len(ids([follow(ctx, url + "&_format=json")])) == 1


def test_access_is_decided_again_on_every_page(ctx: Context) -> None:
    create(ctx, [patient(number) for number in range(3)])
    bundle = find(ctx, "Patient", ("_count", "1"))
    for access in (NOTHING, of_types("Observation")):
        restricted = ctx.within(ctx.store, access)
        assert "entry" not in follow(restricted, link(bundle, "next") or "")
        assert find(restricted, "Patient", ("_summary", "count"))["total"] == 0
        assert find(restricted, "Patient", ("_id", "p1"))["total"] == 0


@pytest.mark.parametrize("order", ["", "_lastUpdated", "-_lastUpdated", "_id"])
@pytest.mark.parametrize("criterion", [(), (("gender", "female"),)])
def test_pages_neither_repeat_nor_lose_rows_while_others_write(
    pool: Database, tenant: Tenant, order: str, criterion: tuple[tuple[str, str], ...]
) -> None:
    ctx = context(pool, tenant.id)
    create(ctx, [patient(number) for number in range(30)])
    doomed = [f"p{number}" for number in range(0, 30, 7)]
    stop = threading.Event()

    def write() -> None:
        other = context(pool, tenant.id)
        for name in doomed:
            delete(other, "Patient", name)
        number = 100
        while not stop.is_set():
            create(other, [patient(number)])
            number += 1

    writer = threading.Thread(target=write)
    found: list[str] = []
    sort = [("_sort", order)] if order else []
    for count, page in enumerate(pages(ctx, "Patient", *criterion, ("_count", "3"), *sort)):
        found += ids([page])
        if count == 1:
            writer.start()
        if count == 8:
            stop.set()
            writer.join()
    stop.set()
    writer.join()
    assert len(found) == len(set(found))
    assert {f"p{number}" for number in range(30)} - set(doomed) <= set(found)


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        (("_summary", "true"), {"gender", "name"}),
        (("_summary", "text"), {"text"}),
        (("_summary", "data"), {"gender", "name", "maritalStatus"}),
        (("_elements", "maritalStatus"), {"maritalStatus"}),
        (("_summary", "false"), {"gender", "name", "maritalStatus", "text"}),
    ],
)
def test_subsets(ctx: Context, how: tuple[str, str], kept: set[str]) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'
    resource = patient(1, name=[{"family": "A"}], maritalStatus={"text": "m"}, text={"status": "generated", "div": div})
    create(ctx, [resource])
    (found,) = entries(find(ctx, "Patient", how))
    assert set(found) - {"resourceType", "id", "meta"} == kept
    tags = [tag["code"] for tag in found["meta"].get("tag", [])]
    assert tags == ([] if how[1] == "false" else ["SUBSETTED"])
    assert found["meta"]["versionId"] == "1"


def test_references_below_the_own_base_are_found_either_way(ctx: Context) -> None:
    base = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    create(ctx, [{**base, "id": "o1", "subject": {"reference": "Patient/p1"}}])
    create(ctx, [{**base, "id": "o2", "subject": {"reference": "http://elsewhere.example.org/Patient/p1"}}])
    for value in ("p1", "Patient/p1", f"{BASE}/Patient/p1"):
        assert ids([find(ctx, "Observation", ("patient", value))]) == ["o1"]
        assert ids([find(ctx, "Observation", ("subject:Patient", value))]) == ["o1"]
    assert ids([find(ctx, "Observation", ("subject", "http://elsewhere.example.org/Patient/p1"))]) == ["o2"]


def test_criteria_of_conditional_interactions(ctx: Context) -> None:
    create(ctx, [patient(number) for number in range(3)])
    assert [match.id for match in search.matches(ctx, "Patient", [("_id", "p1")])] == ["p1"]
    assert len(search.matches(ctx, "Patient", [("gender", "female")])) == 2
    assert search.matches(ctx, "Patient", [("gender", "male")]) == []
    with pytest.raises(BadRequest, match="would match every Patient"):
        search.matches(ctx, "Patient", [("_count", "1")])
    with pytest.raises(BadRequest, match="Unknown parameter"):
        search.matches(ctx, "Patient", [("gendre", "male")])


@pytest.mark.parametrize(
    "value", ["'; DROP TABLE resource; --", "\\'", "$1", "%", "{a,b}", '"', "a\u2028b", "x" * 5000]
)
def test_values_are_never_sql(ctx: Context, value: str) -> None:
    create(ctx, [patient(1, name=[{"family": value}], identifier=[{"value": value}])])
    escaped = value.replace("\\", "\\\\").replace(",", "\\,").replace("$", "\\$").replace("|", "\\|")
    for name in ("family", "family:exact", "family:contains", "name", "identifier"):
        assert ids([find(ctx, "Patient", (name, escaped))]) == ["p1"], name


def test_long_and_many_values(ctx: Context) -> None:
    create(ctx, [patient(number) for number in range(3)])
    many = ",".join(f"p{number}" for number in range(900))
    assert sorted(ids([find(ctx, "Patient", ("_id", many))])) == ["p0", "p1", "p2"]
    assert ids([find(ctx, "Patient", ("identifier", many))]) == []
    with pytest.raises(BadRequest, match="more than 1000 values"):
        find(ctx, "Patient", ("_id", many), ("_id", many))
