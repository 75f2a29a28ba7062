"""The formats of primitives, with the standard library as a second opinion. https://hl7.org/fhir/R4/datatypes.html#primitive"""

from __future__ import annotations

import base64
import binascii
import calendar
import re
import time
import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.r4 import definitions
from fhir_server.validation import primitives
from fhir_server.validation.primitives import EXPECTED, MAX_STRING, PREDICATES, accepts


def ok(type_name: str, value: Any) -> bool:
    return accepts(PREDICATES[type_name], value)


GOOD: dict[str, list[Any]] = {
    "base64Binary": ["QQ==", "QUI=", "QUJD", "QU JD\nQUJD", "+/+/"],
    "boolean": [True, False],
    "canonical": ["http://a.b/c|1.0", "#x", "urn:oid:1.2"],
    "code": ["a", "a b", "<=", "\u00e4"],
    "date": ["2020", "2020-12", "2020-12-31", "2000-02-29", "2024-02-29", "0001-01-01", "9999-12-31"],
    "dateTime": ["2020", "2020-12", "2020-12-31", "2020-12-31T23:59:60Z", "2020-12-31T00:00:00.123456789+14:00"],
    "decimal": [
        0,
        -1,
        Decimal("0.010"),
        Decimal("1.00"),
        Decimal("1E-300"),
        10**399,
        Decimal("12345678901234567890.5"),
    ],
    "id": ["a", "A-1.b", "x" * 64],
    "instant": ["2020-12-31T23:59:59Z", "2020-12-31T23:59:59.1-05:30"],
    "integer": [0, -(2**31), 2**31 - 1],
    "markdown": ["# a\n\n* b"],
    "oid": ["urn:oid:1.2.840.113619", "urn:oid:2.0"],
    "positiveInt": [1, 2**31 - 1],
    "string": ["a", " ", "a\tb\r\nc", "\U0001f600", "x" * MAX_STRING, "\u00a0"],
    "time": ["00:00:00", "23:59:60", "12:00:00.5"],
    "unsignedInt": [0, 2**31 - 1],
    "uri": ["http://a/b?c#d", "x", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "url": ["ftp://a"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
}
BAD: dict[str, list[Any]] = {
    "base64Binary": ["", "=", "Q", "QQ", "QQ=", "QQ===", "Q===", "QQ==QQ==", "Q-_=", "QUJ\u00e4", " ", 1, True, None],
    "boolean": ["true", 1, 0, None, [], Decimal(1)],
    "canonical": ["", "a b", 1],
    "code": ["", " a", "a ", "a  b", "a\tb", "a\nb", 1, "\u0001"],
    "date": ["", "20", "0000", "2020-00", "2020-13", "2021-02-29", "1900-02-29", "2020-04-31", "2020-1-1",
             "2020-01-01Z", "2020-01-01T00:00:00Z", "2020-01-32", "2020-01-00", 2020,
             "\u0662\u0660\u0662\u0660", "2020-01-01\n"],
    "dateTime": ["2020-01-01T10:00Z", "2020-01-01T10:00:00", "2020-01-01T24:00:00Z", "2020-01-01T10:60:00Z",
                 "2020-01-01T10:00:61Z", "2020-01-01T10:00:00+15:00", "2020-01-01T10:00:00+14:30", "2020-01T10:00:00Z",
                 "2020-01-01 10:00:00Z", "2021-02-30T10:00:00Z", "2020-01-01T10:00:00.Z", "2020-01-01T10:00:00z"],
    "decimal": ["1", True, None, 1.5, 10**400, Decimal("1E+401"), Decimal("1E-500"), Decimal("NaN"),
                Decimal("Infinity"), Decimal("-sNaN"), Decimal("1." + "1" * 400)],
    "id": ["", "a_b", "a b", "x" * 65, "a/b", 1, "\u00e4"],
    "instant": ["2020", "2020-12-31", "2020-12-31T23:59:59", "2020-12-31T23:59Z"],
    "integer": [2**31, -(2**31) - 1, True, "1", Decimal("1.0"), 1.0],
    "markdown": ["", "a\u0000", 1],
    "oid": ["1.2.3", "urn:oid:3.1", "urn:oid:1", "urn:oid:1.02", "urn:oid:"],
    "positiveInt": [0, -1, 2**31, "1", True],
    "string": ["", "a\u0000b", "\u0008", "\u001f", "x" * (MAX_STRING + 1), 1, None, ["a"], {}],
    "time": ["24:00:00", "10:00", "10:00:00Z", "1:00:00", "10:60:00"],
    "unsignedInt": [-1, 2**31, "1", False],
    "uri": ["", "a b", "a\tb", "\u00a0", "a\u0000", 1],
    "url": ["", "a b"],
    "uuid": ["c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520", "urn:uuid:1"],
}  # fmt: skip


def test_every_primitive_type_is_known() -> None:
    names = {name for name, definition in definitions.load().types.items() if definition.kind == "primitive"}
    assert names == PREDICATES.keys() | {"xhtml"} == EXPECTED.keys()
    assert GOOD.keys() == BAD.keys() == PREDICATES.keys()


@pytest.mark.parametrize("name", GOOD)
def test_correct_values_pass(name: str) -> None:
    assert [value for value in GOOD[name] if not ok(name, value)] == []


@pytest.mark.parametrize("name", BAD)
def test_wrong_values_do_not(name: str) -> None:
    assert [value for value in BAD[name] if ok(name, value)] == []


@given(st.integers(1, 9999), st.integers(0, 13), st.integers(0, 32))
def test_days_are_those_of_the_calendar(year: int, month: int, day: int) -> None:
    exists = 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]
    assert ok("date", f"{year:04}-{month:02}-{day:02}") == exists
    assert ok("dateTime", f"{year:04}-{month:02}-{day:02}T00:00:00Z") == exists


@given(st.dates(), st.datetimes(timezones=st.timezones()))
def test_what_python_writes_is_read(day: date, moment: datetime) -> None:
    assert ok("date", day.isoformat())
    text = moment.isoformat()
    offset = moment.utcoffset()
    assert offset is not None
    # Local mean times of the nineteenth century have seconds, or lie further from Greenwich than FHIR can write.
    seconds = offset.total_seconds()
    assert ok("instant", text) == (seconds % 60 == 0 and abs(seconds) <= 14 * 3600) == ok("dateTime", text)


@given(st.binary(min_size=1), st.text("A=+/\n ", max_size=12))
def test_base64_is_what_the_standard_library_decodes(data: bytes, text: str) -> None:
    assert ok("base64Binary", base64.encodebytes(data).decode())
    squeezed = "".join(text.split())
    try:
        decoded = binascii.a2b_base64(squeezed, strict_mode=True)
    except binascii.Error:
        assert not ok("base64Binary", text)
    else:
        # The library does not mind a surplus "=" after a complete group.
        assert ok("base64Binary", text) == (bool(decoded) and len(squeezed) % 4 == 0)


@given(st.uuids())
def test_uuids(value: uuid.UUID) -> None:
    assert ok("uuid", value.urn)


@given(st.text())
def test_strings_are_refused_for_control_characters_only(text: str) -> None:
    controls = re.search("[\x00-\x08\x0b\x0c\x0e-\x1f]", text)
    assert ok("string", text) == (text != "" and controls is None)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**6), max_value=10**6))
def test_numbers_of_daily_life_pass(value: Decimal) -> None:
    _, digits, exponent = value.as_tuple()
    assert ok("decimal", value) == (len(digits) <= 400 and abs(int(exponent)) <= 400)


@pytest.mark.parametrize("name", PREDICATES)
def test_long_values_take_linear_time(name: str) -> None:
    for text in ("a" * 200_000, " " * 200_000, "a " * 100_000, "1." * 100_000, "=" * 200_000, "A" * 200_000 + "!"):
        start = time.process_time()
        ok(name, text)
        assert time.process_time() - start < 0.5


def test_remembered_values_are_bounded() -> None:
    remembered = primitives.Remembered(primitives.URI)
    for number in range(primitives.Remembered.MOST + 100):
        assert remembered[f"http://example.org/{number}"]
    assert len(remembered) == primitives.Remembered.MOST
    assert not remembered["a b"]
    assert remembered["x" * 1000]
    assert "x" * 1000 not in remembered
