"""What clients send, answer by answer."""

from __future__ import annotations

import json
from itertools import islice
from urllib.parse import parse_qsl

from benchmarks.wire import Answer, Target
from benchmarks.workloads import CrudCycle, Fixed, Updates, search_mix
from fhir_server.access.policy import EVERYTHING
from fhir_server.crypto.hashing import Hasher
from fhir_server.search.compile import compile as compile_search
from fhir_server.search.parse import parse

TARGET = Target.of("http://127.0.0.1:1/fhir")
OK = Answer(200, b"", b"{}")


def _line(request: bytes) -> str:
    return request.partition(b" HTTP/1.1")[0].decode()


def test_fixed_requests_over_and_over_from_different_ones() -> None:
    steps = [(str(n), b"%d" % n) for n in range(4)]
    first, second = Fixed(steps).scripts(2)
    assert [next(first)[0], *(first.send(OK)[0] for _ in range(4))] == ["0", "1", "2", "3", "0"]
    assert [next(second)[0], *(second.send(OK)[0] for _ in range(4))] == ["2", "3", "0", "1", "2"]


def test_updates_are_shared_out_and_change_each_time() -> None:
    updates = Updates(TARGET, [(f"Patient/{n}", b'{"v":"@serial@"}') for n in range(3)])
    scripts = updates.scripts(2)
    sent = [[step[1] for step in islice(script, 4)] for script in scripts]
    assert [_line(request) for request in sent[0]] == [f"PUT /fhir/Patient/{n}" for n in (0, 2, 0, 2)]
    assert [_line(request) for request in sent[1]] == ["PUT /fhir/Patient/1"] * 4
    bodies = {request.partition(b"\r\n\r\n")[2] for script in sent for request in script}
    assert len(bodies) == 6, "one content for each pass of each connection"


def test_the_cycle_goes_by_the_id_that_the_server_gave() -> None:
    template = b'{"resourceType":"Task","id":"@id@","identifier":[{"system":"s","value":"@serial@"}],"t":"benchmark"}'
    (script,) = CrudCycle(TARGET, "s", [("Task", template)], "x").scripts(1)
    created = Answer(201, b"HTTP/1.1 201 Created\r\nLocation: http://h/fhir/Task/new-1/_history/1\r\n", b"")
    steps = [next(script), script.send(created), *(script.send(OK) for _ in range(3))]
    assert [kind for kind, _ in steps] == ["create", "read", "update", "search", "delete"]
    assert [_line(request) for _, request in steps] == [
        "POST /fhir/Task",
        "GET /fhir/Task/new-1",
        "PUT /fhir/Task/new-1",
        "GET /fhir/Task?identifier=s%7Cx-0-0",
        "DELETE /fhir/Task/new-1",
    ]
    first, second = (json.loads(steps[n][1].partition(b"\r\n\r\n")[2]) for n in (0, 2))
    assert "id" not in first
    assert first["identifier"][0]["value"] == "x-0-0"
    assert second == first | {"id": "new-1", "t": "changed"}


def test_the_cycle_goes_on_after_a_refusal() -> None:
    (script,) = CrudCycle(TARGET, "s", [("Task", b"{}"), ("Claim", b"{}")], "x").scripts(1)
    assert _line(next(script)[1]) == "POST /fhir/Task"
    assert _line(script.send(Answer(422, b"", b""))[1]) == "POST /fhir/Claim"


def test_every_search_of_the_mix_is_one_of_the_standard() -> None:
    hasher = Hasher(bytes(16))
    kinds = set()
    for kind, request in search_mix(TARGET, [f"p{n}" for n in range(10)]):
        kinds.add(kind)
        resource_type, _, query = _line(request).removeprefix("GET /fhir/").partition("?")
        compiled = compile_search(parse(resource_type, parse_qsl(query)), EVERYTHING, 1, hasher)
        assert compiled[0].sql
    assert kinds == {"string", "date", "token", "reference", "quantity"}
