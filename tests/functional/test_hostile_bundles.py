"""Whatever a bundle holds, the answer is an OperationOutcome or a Bundle, and never 500."""

from __future__ import annotations

import copy
import json
import time
from random import Random
from typing import Any

import pytest

from tests.factories.hostile import places
from tests.functional.bundles import batch, entry, identified, observation, patient, post, put, transaction, urn
from tests.functional.conftest import Api

Json = dict[str, Any]

NASTY: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    10**400,
    1e308,
    "",
    " ",
    "\0",
    "x\0y",
    "😀",
    "%",
    "%00",
    "%ff",
    "a" * 3000,
    "../../etc",
    "Patient/" + "1" * 65,
    "Patient/\0",
    "Patient?identifier=\0",
    "Patient?identifier=%00",
    "Patient?identifier=%ff",
    "Patient?" + "&".join(f"name={n}" for n in range(150)),
    "Patient?name:unknown=1",
    "Patient?_id=1,2,3",
    "Patient/1?x",
    "Patient/1/_history/99999999999999999999",
    "Patient/1/_history/0",
    "?identifier=1",
    "urn:uuid:x",
    "#",
    'W/"1"',
    'W/""',
    'W/"99999999999999"',
    "0000-00-00",
    "9999-12-31T23:59:60Z",
    "'; DROP TABLE resource; --",
    "$1",
    "$$",
    "\\",
    [],
    {},
    [[]],
    [None],
    {"a": 1},
]


def sample() -> Json:
    who = urn()
    return transaction(
        post(identified("1"), who, ifNoneExist="identifier=1"),
        post(
            observation(who, text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'})
        ),
        post(observation("Patient?identifier=1")),
        put(patient(id="1", active=True), ifMatch='W/"1"'),
        entry("PUT", "Patient?identifier=2", identified("2")),
        entry("DELETE", "Patient?identifier=3"),
        entry("DELETE", "Patient/4", ifNoneMatch='W/"1"'),
        entry("GET", "Patient?identifier=1"),
        entry("GET", "Patient/1", ifModifiedSince="2020-01-01T00:00:00Z"),
    )


def damaged(bundle: Json, random: Random) -> Json:
    """The bundle with one or two of its values replaced."""
    made = copy.deepcopy(bundle)
    for _ in range(random.randint(1, 2)):
        *path, last = random.choice(places(made))
        holder: Any = made
        for key in path:
            holder = holder[key]
        if random.random() < 0.15:
            del holder[last]
        else:
            holder[last] = random.choice(NASTY)
    return made


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bundles(api: Api, seed: int) -> None:
    random = Random(seed)
    api.put("Patient/1", patient(id="1"))
    for _ in range(120):
        bundle = damaged(sample(), random)
        if random.random() < 0.3:
            bundle["type"] = "batch"
        answer = api.post("", json.dumps(bundle).encode())
        assert answer.status < 500, bundle
        assert answer.json["resourceType"] == ("Bundle" if answer.status == 200 else "OperationOutcome")
        for made in answer.json.get("entry", []):
            assert not made["response"]["status"].startswith("5"), bundle


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\u0000"', "1e999999", "[" * 2000 + "]" * 2000])
def test_what_json_can_say_and_fhir_cannot(api: Api, text: str) -> None:
    body = json.dumps(transaction(post(patient(id="ID")), post(observation("Patient/REFERENCE"))))
    for place in ('"ID"', '"Patient/REFERENCE"'):
        answer = api.post("", body.replace(place, text).encode())
        assert answer.status in (400, 422)
        assert answer.json["resourceType"] == "OperationOutcome"


def deep(depth: int) -> Json:
    extension: Json = {"url": "http://example.org/x", "valueString": "x"}
    for _ in range(depth):
        extension = {"url": "http://example.org/x", "extension": [extension]}
    return patient(extension=[extension])


def test_deep_resources_are_refused(api: Api) -> None:
    for depth in (70, 200, 400):
        assert api.post("", transaction(post(deep(depth)))).status in (400, 422)
        (made,) = api.post("", batch(post(deep(depth)))).json.get("entry", [{"response": {"status": "400"}}])
        assert made["response"]["status"][:3] in ("400", "422")


def test_very_many_references_that_match_nothing_are_refused_soon(api: Api) -> None:
    performers = [{"reference": f"Practitioner?identifier={number % 50}"} for number in range(20_000)]
    started = time.monotonic()
    answer = api.post("", transaction(post(observation("Patient/1", performer=performers))))
    assert answer.status == 412
    assert len(answer.json["issue"]) <= 100
    assert time.monotonic() - started < 20


def test_very_many_full_urls_cost_no_more_each(api: Api) -> None:
    known = [post(identified(f"{n}"), urn(), ifNoneExist=f"identifier={n}") for n in range(300)]
    assert api.post("", transaction(*known)).status == 200
    started = time.monotonic()
    assert api.post("", transaction(*known)).status == 200
    assert time.monotonic() - started < 20
