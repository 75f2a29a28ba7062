"""What a client sent comes back. https://hl7.org/fhir/R4/json.html"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.functional.conftest import Api


class Number(str):
    """A JSON number by its very characters."""


def parse(data: bytes) -> Any:
    return json.loads(data, parse_float=Number, parse_int=Number)


OBSERVATION = (
    b"""{"resourceType":"Observation","id":"x","status":"final","code":{"text":"c"},"valueQuantity":{"value":%s}}"""
)


@pytest.mark.parametrize(
    "number",
    [b"1.00", b"0.010", b"0", b"0.0", b"-1.50", b"100", b"1.0000000000000000000000001", b"123456789.123456789", b"0.1",
     b"3.14159265358979323846", b"99999999999999999999"],
)  # fmt: skip
def test_decimals_keep_their_digits(api: Api, number: bytes) -> None:
    sent = OBSERVATION % number
    answers = [api.put("Observation/x", sent), api.get("Observation/x"), api.get("Observation/x/_history/1")]
    for answer in answers:
        assert answer.status in (200, 201)
        assert b'"value":' + number in answer.data.replace(b": ", b":")


def test_the_value_of_an_exponent_is_kept(api: Api) -> None:
    for number, digits in ((b"1.50e2", "150"), (b"1.0E-3", "0.0010")):
        api.put("Observation/x", OBSERVATION % number)
        assert parse(api.get("Observation/x").data)["valueQuantity"]["value"] == digits


RICH: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "rich",
    "meta": {
        "profile": ["http://example.org/StructureDefinition/p"],
        "tag": [{"system": "urn:t", "code": "a"}],
        "source": "urn:lab",
        "extension": [{"url": "urn:e", "valueString": "on meta"}],
    },
    "implicitRules": "urn:rules",
    "language": "de",
    "_language": {"extension": [{"url": "urn:e", "valueBoolean": False}]},
    "text": {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>\u00c4rztin &lt;&amp;&gt; \u2764</p></div>',
    },
    "name": [
        {
            "family": "\U0001f600 \u4e2d\u6587 e\u0301 \u05d0",
            "given": ["Ann", None, "Bea"],
            "_given": [None, {"extension": [{"url": "urn:e", "valueCode": "x"}]}, None],
        }
    ],
    "birthDate": "1980",
    "_birthDate": {"id": "b1", "extension": [{"url": "urn:e", "valueDateTime": "1980-05"}]},
    "deceasedDateTime": "2020-02-29T23:59:59.999999999+14:00",
    "telecom": [{"system": "phone", "value": "line\tone\nline two", "rank": 1}],
    "multipleBirthInteger": -3,
}


def test_extensions_nulls_precision_and_every_character(api: Api) -> None:
    assert api.put("Patient/rich", RICH).status == 201
    returned = api.get("Patient/rich").json
    assert returned["meta"].pop("versionId") == "1"
    assert returned["meta"].pop("lastUpdated")
    assert returned == RICH


def test_the_servers_own_parts_of_meta_are_not_the_clients(api: Api) -> None:
    sent = {
        "resourceType": "Basic",
        "id": "b",
        "code": {"text": "c"},
        "meta": {"versionId": "77", "lastUpdated": "1999-01-01T00:00:00Z"},
    }
    returned = api.put("Basic/b", sent).json
    assert returned["meta"]["versionId"] == "1"
    assert returned["meta"]["lastUpdated"] > "2020"
    assert api.get("Basic/b").json == returned


def test_what_create_answers_is_what_read_answers(api: Api) -> None:
    created = api.put("Patient/rich", RICH)
    assert parse(created.data) == parse(api.get("Patient/rich").data)
