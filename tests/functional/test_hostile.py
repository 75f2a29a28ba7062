"""Whatever is sent: a 4xx that says what is wrong, in FHIR's own format, in bounded time and memory; never a 5xx."""

from __future__ import annotations

import json
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.factories.hostile import NUMBERS, TEXTS, Answer, damaged, holds, send
from tests.functional.conftest import Api

FHIR = "application/fhir+json"
JSON_PATCH = "application/json-patch+json"
DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p>x</p></div>'

PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "meta": {"tag": [{"system": "urn:t", "code": "t"}], "profile": ["http://example.org/p"]},
    "text": {"status": "generated", "div": DIV},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "O"}],
    "extension": [{"url": "http://example.org/e", "valueDecimal": 1.5}],
    "identifier": [{"system": "urn:mrn", "value": "1"}],
    "name": [{"family": "F", "given": ["G"]}],
    "birthDate": "1970-01-01",
    "multipleBirthInteger": 2,
    "managingOrganization": {"reference": "#o"},
}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}], "text": "t"},
    "subject": {"reference": "Patient/p"},
    "effectivePeriod": {"start": "2020-01-01", "end": "2020-01-02T00:00:00Z"},
    "valueQuantity": {"value": 6.3, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
    "component": [{"code": {"text": "c"}, "valueRange": {"low": {"value": 1}, "high": {"value": 2}}}],
}
PATCHES = [
    {"op": "test", "path": "/resourceType", "value": "Patient"},
    {"op": "replace", "path": "/name/0/family", "value": "N"},
    {"op": "add", "path": "/name/0/given/-", "value": "H"},
    {"op": "move", "from": "/name/0/given/0", "path": "/name/0/given/1"},
    {"op": "copy", "from": "/birthDate", "path": "/birthDate"},
    {"op": "remove", "path": "/multipleBirthInteger"},
]
FHIRPATH_PATCH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "Patient.name[0].family"},
                {"name": "value", "valueString": "N"},
            ],
        }
    ],
}
VALIDATE = {
    "resourceType": "Parameters",
    "parameter": [{"name": "mode", "valueCode": "create"}, {"name": "resource", "resource": PATIENT}],
}
BUNDLE = {
    "resourceType": "Bundle",
    "type": "batch",
    "entry": [
        {
            "fullUrl": "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "resource": PATIENT,
            "request": {"method": "PUT", "url": "Patient/p", "ifMatch": 'W/"1"'},
        },
        {"resource": OBSERVATION, "request": {"method": "POST", "url": "Observation", "ifNoneExist": "code=1"}},
        {"request": {"method": "GET", "url": "Patient?name=F"}},
    ],
}
BODIES: tuple[tuple[str, str, str, Any], ...] = (
    ("POST", "Patient", FHIR, PATIENT),
    ("PUT", "Patient/p", FHIR, PATIENT),
    ("PUT", "Patient?identifier=urn:mrn%7C1", FHIR, {k: v for k, v in PATIENT.items() if k != "id"}),
    ("POST", "Observation", FHIR, OBSERVATION),
    ("PATCH", "Patient/p", JSON_PATCH, PATCHES),
    ("PATCH", "Patient?identifier=urn:mrn%7C1", JSON_PATCH, PATCHES),
    ("PATCH", "Patient/p", FHIR, FHIRPATH_PATCH),
    ("POST", "Patient/$validate", FHIR, VALIDATE),
    ("POST", "", FHIR, BUNDLE),
    ("POST", "", FHIR, BUNDLE | {"type": "transaction"}),
)


class Attacker:
    """Sends requests to one tenant and holds every answer to the rules."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def __call__(
        self, method: str, path: str, body: bytes | None = None, *, allowed: tuple[int, ...] = (), **headers: str
    ) -> Answer:
        sent = {"Authorization": f"Bearer {self.api.access_token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items() if name != "length"}
        target = f"/t/{self.api.slug}/fhir/{path}"
        return holds(send(self.api.app, method, target, body, sent, headers.get("length")), method, allowed=allowed)


@pytest.fixture
def attack(api: Api) -> Attacker:
    """An attacker with an access_token of a fresh tenant, which has one patient."""
    attacker = Attacker(api)
    assert attacker("PUT", "Patient/p", json.dumps(PATIENT).encode(), Content_Type=FHIR).status == 201
    return attacker


def test_damaged_bodies(attack: Attacker) -> None:
    throw_bodies(attack, Random(1), 60)


def throw_bodies(attack: Attacker, random: Random, times: int) -> None:
    """Each kind of body, damaged anew each time; whatever is accepted is readable afterwards."""
    for _ in range(times):
        for method, path, content_type, document in BODIES:
            body = damaged(document, random)
            answer = attack(method, path, body, Content_Type=content_type)
            if answer.status in (200, 201) and "Location" in answer.headers:
                assert attack("GET", answer.headers["Location"].partition("/fhir/")[2]).status == 200, body
            if path == "" and answer.status == 200:
                assert not [e for e in answer.json.get("entry", []) if e["response"]["status"].startswith("5")], body
            if answer.status == 410:
                attack("PUT", "Patient/p", json.dumps(PATIENT).encode(), Content_Type=FHIR)


NAMES = (
    "_id", "_lastUpdated", "name", "name:exact", "name:contains", "identifier", "identifier:not", "birthdate",
    "general-practitioner",
    "general-practitioner:identifier", "general-practitioner:Practitioner", "organization", "_count", "_sort",
    "_summary", "_elements",
    "_total", "_cursor", "_format", "_pretty", "_has:Observation:patient:code", "_include", "_since", "_at",
    "phonetic", "active:missing",
    "_tag", "_profile", "_security", "_source", "telecom", "address:missing", "deceased", "death-date",
)  # fmt: skip
OBSERVATION_NAMES = (
    "value-quantity",
    "code-value-quantity",
    "value-date",
    "combo-code-value-quantity",
    "date",
    "code",
    "value-string",
)
PATHS = ("Patient", "Patient/p", "Patient/p/_history", "Patient/_history", "_history", "Patient/p/_history/1",
         "metadata", "", "Patient/_search",
         "Patient/$validate", "Patient/p/$validate")  # fmt: skip


def throw_queries(attack: Attacker, random: Random, times: int) -> None:
    """Parameters of every kind with values that are none."""
    for _ in range(times):
        pairs = []
        for _ in range(random.randint(1, 3)):
            name = random.choice((*NAMES, random.choice(TEXTS)))
            value = random.choice(("", "gt", "ap", "ne", "eb", "Patient/", "a,", "urn:x|")) + random.choice(
                (*TEXTS, *NUMBERS)
            )
            written = random.choice(
                (quote, lambda text: text.encode("utf-8", "replace").decode("latin-1").replace("#", ""))
            )
            pairs.append(f"{written(name)}={written(value)}")
        attack(random.choice(("GET", "HEAD", "DELETE")), random.choice(PATHS[:3]) + "?" + "&".join(pairs))
        attack("GET", random.choice(PATHS) + "?" + "&".join(pairs))
        name = random.choice(OBSERVATION_NAMES)
        attack("GET", f"Observation?{name}=" + random.choice(("", "gt", "ap", "ne", "a$",
        "sa")) + quote(random.choice((*TEXTS, *NUMBERS)))
               + random.choice(("", "|", "|%25", "||", "$", "$1")))  # fmt: skip
        body = "&".join(pairs).encode("utf-8", "replace")
        attack("POST", "Patient/_search", body, Content_Type="application/x-www-form-urlencoded")


def test_hostile_queries(attack: Attacker) -> None:
    throw_queries(attack, Random(2), 120)
    # identifier:not=... and the like may have deleted it by right.
    assert attack("GET", "Patient/p").status in (200, 410)
    assert attack("GET", "Patient?_id=p").json["total"] in (0, 1)


SEGMENTS = ("Patient", "p", "_history", "1", "0", "-1", "9" * 30, "2147483648", "$validate", "$", "$nope", "_search",
         "metadata", "..", ".", "", "a" * 64,
            "a" * 65, "%00", "%ff", "%C3%A9", "%2F", "%252F", "Patient;x=1", "p%20", "p%0a", "p%0d%0aX: 1",
            "%F0%9F%98%80", "patient", "\u0661")  # fmt: skip
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "PROPFIND",
    "G" * 2000,
)
HEADERS = ("If-Match", "If-None-Match", "If-Modified-Since", "If-None-Exist", "Prefer", "Accept", "Accept-Encoding",
         "Content-Encoding", "Content-Type",
           "X-Request-Id", "Origin", "Authorization", "Host", "X-Forwarded-Host", "X-Forwarded-Proto",
           "Transfer-Encoding", "Expect", "Range", "Cookie",
           "X-HTTP-Method-Override", "Forwarded", "If-Unmodified-Since", "If-Range")  # fmt: skip
HEADER_VALUES = (
    'W/"1"', 'W/"999999999999999999999"', '"1", "2"', "*", "W/", "identifier=urn:mrn|1", "?identifier=1",
    "identifier=%ff", "_id=p&_id=q", "x" * 9000,
    "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 99 Jan 99999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2359",
    "return=minimal;" * 500, "handling=lenient",
    "application/fhir+xml", "*/*;q=0", ";", ",,,", "gzip, deflate, br", "gzip;q=0", "br", "bytes=0-1", "é\xff",
    "http://evil.example", "null", "100-continue",
    "chunked", "Bearer ", "Bearer x.y.z", "Basic YTpi", "Bearer é", "evil.example", "a.localhost:8080",
    ".localhost:8080", "localhost:8080:8080",
)  # fmt: skip


def throw_lines(attack: Attacker, random: Random, times: int) -> None:
    """Methods, paths and headers that nobody means."""
    for _ in range(times):
        path = "/".join(random.choice(SEGMENTS) for _ in range(random.randint(1, 5)))
        headers = {
            random.choice(HEADERS): random.choice((*HEADER_VALUES, *(t for t in TEXTS if t.isascii())))
            for _ in range(random.randint(0, 3))
        }
        method = random.choice(METHODS)
        body = random.choice((None, b"", b"{}", b"null", b"[]", json.dumps(PATIENT).encode(), b"\xff"))
        attack(method, random.choice((path, "Patient/p", "Patient", "Patient/q?_pretty=true")), body, **headers)


def test_hostile_methods_paths_and_headers(attack: Attacker) -> None:
    throw_lines(attack, Random(3), 400)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from(BODIES))
def test_any_bytes_as_a_body(attack: Attacker, data: bytes, place: tuple[str, str, str, Any]) -> None:
    method, path, content_type, _ = place
    answer = attack(method, path, data, Content_Type=content_type)
    assert answer.status in (400, 412, 422)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(min_codepoint=0, max_codepoint=255, exclude_characters="#"), max_size=60))
def test_any_characters_as_a_query(attack: Attacker, text: str) -> None:
    for path in ("Patient", "Patient/p/_history"):
        attack("GET", f"{path}?{text}")
        attack("GET", f"{path}?name={text}&_cursor={text}")
