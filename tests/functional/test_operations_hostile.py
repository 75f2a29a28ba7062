"""$everything, $lastn and $graphql are sent what breaks servers; the answer is theirs all the same.
https://hl7.org/fhir/R4/http.html#Status-Codes"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.factories.hostile import OTHERS, TEXTS
from tests.functional.conftest import Api

PATHS = {
    "Patient/a/$everything": ("start", "end", "_since", "_type", "_count", "_cursor", "x"),
    "Observation/$lastn": ("patient", "subject", "code", "max", "category", "date", "x"),
    "$graphql": ("query", "variables", "operationName", "x"),
    "Patient/a/$graphql": ("query", "variables"),
    "Patient/a/$assign": ("person", "user", "kind", "matter", "from", "until", "reason"),
    "Patient/a/$unassign": ("assignment", "person", "user"),
    "$break-glass-alerts": ("all",),
    "$break-glass-acknowledge": ("alert",),
}


@pytest.fixture
def patient(api: Api) -> Api:
    assert api.put("Patient/a", {"resourceType": "Patient", "id": "a"}).status == 201
    return api


@pytest.mark.parametrize(("path", "names"), PATHS.items(), ids=PATHS)
def test_parameters_of_any_text(patient: Api, path: str, names: tuple[str, ...]) -> None:
    for name in names:
        for text in TEXTS:
            value = quote(text, safe="")
            for query in (
                f"{name}={value}",
                f"{value}={name}",
                f"query={{id}}&{name}={value}",
                f"patient=a&{name}={value}",
            ):
                answer = patient.get(f"{path}?{query}")
                assert answer.status < 500, (path, query, answer.data)
                assert answer.status == 200 or "issue" in answer.json or "errors" in answer.json


@pytest.mark.parametrize("path", PATHS)
def test_bodies_of_any_kind(patient: Api, path: str) -> None:
    bodies: list[Any] = [*OTHERS, *TEXTS]
    bodies += [{"resourceType": "Parameters", "parameter": other} for other in OTHERS]
    bodies += [{"resourceType": "Parameters", "parameter": [other]} for other in OTHERS]
    for name in dict.fromkeys(("start", "patient", "query", "max", *PATHS[path])):
        for value in (*OTHERS, *TEXTS):
            parameter = {"name": name, "valueString": value}
            bodies += [{"resourceType": "Parameters", "parameter": [parameter]}, {name: value, "query": "{ id }"}]
    for other in OTHERS:
        bodies += [
            {"query": "{ id }", "variables": other},
            {"query": "query($a: [ID]) { id }", "variables": {"a": other}},
        ]
    for body in bodies:
        if body is not None:
            answer = patient.post(path, body)
            assert answer.status < 500, (path, body, answer.data)


@pytest.mark.parametrize("path", PATHS)
def test_bytes_that_are_no_text(patient: Api, path: str) -> None:
    for kind in ("application/json", "application/graphql", "application/fhir+json", "text/plain", ""):
        for data in (b"\xff\xfe", b"{", b"\0" * 100, b"[" * 100_000, b'{"query":' + b'"{' * 1000, b"{ " * 50_000):
            answer = patient.post(path, data, Content_Type=kind)
            assert 400 <= answer.status < 500, (path, kind, data[:20], answer.data)
