"""Parallel writers over real connections to two web processes: one wins, all or nothing, never a 500.
https://hl7.org/fhir/R4/http.html#concurrency"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.functional.live import Connection, Live, Reply


def patient(number: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": number}], **elements}


def fresh() -> str:
    return uuid.uuid4().hex[:12]


def statuses(replies: list[Reply]) -> Counter[int]:
    return Counter(reply.status for reply in replies)


def total(connection: Connection, query: str) -> int:
    found: int = connection("GET", f"{query}&_summary=count").json["total"]
    return found


def versions(connection: Connection, path: str) -> list[str]:
    """The versionIds in the history, the oldest first."""
    entries = connection("GET", f"{path}/_history?_count=1000").json["entry"]
    return [entry["response"]["etag"] for entry in reversed(entries)]


@pytest.mark.parametrize("writers", [20])
def test_conditional_creates_make_one(live: Live, writers: int) -> None:
    for way in (create_if_none_exist, create_in_transaction, create_by_conditional_update):
        number = fresh()
        replies = live.at_once([lambda c, way=way, number=number: way(c, number)] * writers)  # type: ignore[misc]
        found = statuses(replies)
        assert set(found) <= {200, 201}, (way, found)
        with live.connection() as connection:
            assert total(connection, f"Patient?identifier=urn:mrn|{number}") == 1
        if way is not create_in_transaction:
            assert found[201] == 1


def create_if_none_exist(connection: Connection, number: str) -> Reply:
    return connection("POST", "Patient", patient(number), If_None_Exist=f"identifier=urn:mrn|{number}")


def create_by_conditional_update(connection: Connection, number: str) -> Reply:
    return connection("PUT", f"Patient?identifier=urn:mrn|{number}", patient(number))


def create_in_transaction(connection: Connection, number: str) -> Reply:
    request = {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier=urn:mrn|{number}"}
    entries = [
        {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": patient(number), "request": request},
        {
            "resource": {"resourceType": "Basic", "code": {"text": number}},
            "request": {"method": "POST", "url": "Basic"},
        },
    ]
    return connection("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})


def test_of_updates_with_if_match_one_wins(live: Live) -> None:
    rid = fresh()
    with live.connection() as connection:
        assert connection("PUT", f"Patient/{rid}", patient("0", id=rid)).status == 201
        for version in range(1, 6):
            works = [
                lambda c, n=n, v=version: c("PUT", f"Patient/{rid}", patient(str(n), id=rid), If_Match=f'W/"{v}"')
                for n in range(12)
            ]
            replies = live.at_once(works)
            assert statuses(replies) == {200: 1, 412: 11}
            (winner,) = [n for n, reply in enumerate(replies) if reply.status == 200]
            now = connection("GET", f"Patient/{rid}").json
            assert (now["meta"]["versionId"], now["identifier"][0]["value"]) == (str(version + 1), str(winner))


def test_updates_without_conditions_all_count(live: Live) -> None:
    rid = fresh()
    works = [lambda c, n=n: c("PUT", f"Patient/{rid}", patient(str(n), id=rid)) for n in range(20)]
    replies = live.at_once(works)
    assert statuses(replies) == {201: 1, 200: 19}
    assert sorted(int(r.json["meta"]["versionId"]) for r in replies) == list(range(1, 21))
    with live.connection() as connection:
        assert versions(connection, f"Patient/{rid}") == [f'W/"{n}"' for n in range(1, 21)]
        last = max(replies, key=lambda reply: int(reply.json["meta"]["versionId"]))
        assert connection("GET", f"Patient/{rid}").json == last.json
        # The index follows the last one: none of the others is found.
        for n in range(20):
            expected = int(last.json["identifier"][0]["value"] == str(n))
            assert total(connection, f"Patient?_id={rid}&identifier=urn:mrn|{n}") == expected


def test_creates_under_one_id_and_deletes(live: Live) -> None:
    rid = fresh()
    works: list[Callable[[Connection], Reply]] = []
    for n in range(8):
        works.append(lambda c, n=n: c("PUT", f"Patient/{rid}", patient(str(n), id=rid)))  # type: ignore[misc]
        works.append(lambda c: c("DELETE", f"Patient/{rid}"))
        works.append(lambda c: c("GET", f"Patient/{rid}"))
    replies = live.at_once(works)
    assert set(statuses(replies)) <= {200, 201, 204, 404, 410}
    with live.connection() as connection:
        etags = versions(connection, f"Patient/{rid}")
        assert etags == [f'W/"{n}"' for n in range(1, len(etags) + 1)]
        status = connection("GET", f"Patient/{rid}").status
        assert status in (200, 410)
        assert total(connection, f"Patient?_id={rid}") == (status == 200)


def test_patches_are_all_applied(live: Live) -> None:
    """Each adds a name of its own to what the others have written."""
    rid = fresh()
    with live.connection() as connection:
        assert connection("PUT", f"Patient/{rid}", patient("0", id=rid, name=[{"family": "first"}])).status == 201

        def work(number: int) -> Callable[[Connection], Reply]:
            patch = [{"op": "add", "path": "/name/-", "value": {"family": f"n{number}"}}]
            return lambda c: c("PATCH", f"Patient/{rid}", patch, Content_Type="application/json-patch+json")

        assert statuses(live.at_once([work(n) for n in range(12)])) == {200: 12}
        names = {name["family"] for name in connection("GET", f"Patient/{rid}").json["name"]}
        assert names == {"first", *(f"n{n}" for n in range(12))}


def throw_transactions(live: Live, random: Random, writers: int, rounds: int) -> Counter[int]:
    """Transactions over the same few ids in any order, some of which must fail; each leaves its mark on all or none."""
    ids = [fresh() for _ in range(5)]
    answered: Counter[int] = Counter()
    for _ in range(rounds):
        marks = [fresh() for _ in range(writers)]
        failing = {mark for mark in marks if random.random() < 0.25}

        def work(mark: str, order: list[str], fails: bool) -> Callable[[Connection], Reply]:
            entries: list[dict[str, Any]] = []
            for rid in order:
                kind = random.random()
                if kind < 0.15:
                    entries.append({"request": {"method": "DELETE", "url": f"Patient/{rid}"}})
                elif kind < 0.25:
                    entries.append({"request": {"method": "GET", "url": f"Patient?identifier=urn:mrn|{mark}"}})
                else:
                    entry = {"resource": patient(mark, id=rid), "request": {"method": "PUT", "url": f"Patient/{rid}"}}
                    entries.append(entry)
            for number in range(2):
                basic = {
                    "resourceType": "Basic",
                    "code": {"text": "x"},
                    "identifier": [{"system": "urn:mark", "value": mark}],
                }
                condition = {"ifNoneExist": f"identifier=urn:mark|{mark}-{number}"} if number else {}
                entries.append({"resource": basic, "request": {"method": "POST", "url": "Basic"} | condition})
            if fails:
                entries.append(
                    {
                        "resource": patient(mark, id="x"),
                        "request": {"method": "PUT", "url": "Patient/x", "ifMatch": 'W/"99"'},
                    }
                )
            return lambda c: c("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})

        orders = [random.sample(ids, k=random.randint(1, 5)) for _ in marks]
        replies = live.at_once([work(m, o, m in failing) for m, o in zip(marks, orders, strict=True)])
        answered += statuses(replies)
        with live.connection() as connection:
            for mark, reply in zip(marks, replies, strict=True):
                assert reply.status in (200, 409, 412), (reply.status, reply.data[:300])
                assert (reply.status == 412) == (mark in failing) or reply.status == 409
                expected = 2 if reply.status == 200 else 0
                assert total(connection, f"Basic?identifier=urn:mark|{mark}") == expected
    with live.connection() as connection:
        for rid in ids:
            if connection("GET", f"Patient/{rid}").status != 404:
                etags = versions(connection, f"Patient/{rid}")
                assert etags == [f'W/"{n}"' for n in range(1, len(etags) + 1)]
    return answered


def test_overlapping_transactions_are_all_or_nothing(live: Live) -> None:
    answered = throw_transactions(live, Random(5), 12, 3)
    assert answered[200] > 10
    assert answered[412] > 0


def test_a_search_sees_every_write_that_was_acknowledged(live: Live) -> None:
    """Also one that another process has acknowledged a moment ago."""
    number = fresh()
    with live.connection() as writer, live.connection() as reader:
        for n in range(25):
            made = writer("POST", "Patient", patient(f"{number}-{n}"))
            assert made.status == 201
            assert total(reader, f"Patient?identifier=urn:mrn|{number}-{n}") == 1
            path = made.headers["Location"].partition("/fhir/")[2].partition("/_history")[0]
            assert reader("GET", path).json == made.json
            assert writer("DELETE", path).status == 204
            assert reader("GET", path).status == 410
            assert total(reader, f"Patient?identifier=urn:mrn|{number}-{n}") == 0
