"""The formats of the 20 primitive types, as fast predicates and as words. https://hl7.org/fhir/R4/datatypes.html#primitive

Every regular expression here is linear in the length of its input: no two neighbouring repetitions share a character.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Predicate = Callable[[Any], object]

MAX_STRING = 1024 * 1024
"""Characters in one string: FHIR's own limit of 1 MB. https://hl7.org/fhir/R4/datatypes.html#string"""

MAX_DIGITS = 400
"""Digits of a number, and the most its exponent may say: what PostgreSQL stores and no client needs to exceed."""

_BEYOND = 10**MAX_DIGITS
_PLAIN_LENGTH = 30

# Days are checked against the Gregorian calendar inside the expression: it stays one call into C.
_YEAR = r"(?!0000)[0-9]{4}"
_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_NO_SPACE = r"[^\s\x00-\x1f]"

DATE = re.compile(rf"{_DAY}|{_YEAR}-{_MONTH}|{_YEAR}")
DATE_TIME = re.compile(rf"{_DAY}(?:T{_TIME}{_ZONE})?|{_YEAR}-{_MONTH}|{_YEAR}")
INSTANT = re.compile(rf"{_DAY}T{_TIME}{_ZONE}")
TIME = re.compile(_TIME)
STRING = re.compile(rf"[^\x00-\x08\x0b\x0c\x0e-\x1f]{{1,{MAX_STRING}}}")
URI = re.compile(rf"{_NO_SPACE}{{1,{MAX_STRING}}}")
CODE = re.compile(rf"{_NO_SPACE}+(?: {_NO_SPACE}+)*")
ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")
OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
MIME_TYPE = re.compile(r"[\w!#$&^.+\-]+/[\w!#$&^.+\-*]+(?: ?; ?[\w.\-]+=(?:\"[^\"]*\"|[^\s;\"]+))*", re.ASCII)
FORMAT = re.compile(rf"(?:xml|json|ttl)|{MIME_TYPE.pattern}", re.ASCII)


def boolean(value: Any) -> bool:
    """JSON true or false, nothing else. https://hl7.org/fhir/R4/datatypes.html#boolean"""
    return value is True or value is False


def integer(value: Any) -> bool:
    """A JSON integer of 32 bits. https://hl7.org/fhir/R4/datatypes.html#integer"""
    return type(value) is int and -2147483648 <= value <= 2147483647


def unsigned_int(value: Any) -> bool:
    """A JSON integer of 31 bits. https://hl7.org/fhir/R4/datatypes.html#unsignedInt"""
    return type(value) is int and 0 <= value <= 2147483647


def positive_int(value: Any) -> bool:
    """A JSON integer of 31 bits other than 0. https://hl7.org/fhir/R4/datatypes.html#positiveInt"""
    return type(value) is int and 0 < value <= 2147483647


def decimal(value: Any) -> bool:
    """A JSON number that PostgreSQL can store digit by digit. https://hl7.org/fhir/R4/datatypes.html#decimal"""
    if type(value) is Decimal:
        text = str(value)
        if len(text) <= _PLAIN_LENGTH and "E" not in text:
            return value.is_finite()
        return _storable(value)
    return type(value) is int and -_BEYOND < value < _BEYOND


def _storable(value: Decimal) -> bool:
    _, digits, exponent = value.as_tuple()
    return isinstance(exponent, int) and len(digits) <= MAX_DIGITS and -MAX_DIGITS <= exponent <= MAX_DIGITS


def base64_binary(value: Any) -> bool:
    """Base64 with correct padding; white space may stand between. https://hl7.org/fhir/R4/datatypes.html#base64Binary"""
    if type(value) is not str:
        return False
    if BASE64.fullmatch(value) is None:
        value = "".join(value.split())
        if BASE64.fullmatch(value) is None:
            return False
    return len(value) % 4 == 0


class Remembered(dict[str, bool]):
    """A predicate as a dictionary's ``[]``: values that recur, as code systems do, cost one look-up in C.

    It stops learning when it is full, so that nobody can make it grow. https://hl7.org/fhir/R4/datatypes.html#uri
    """

    MOST = 4096
    LONGEST = 100

    def __init__(self, pattern: re.Pattern[str]) -> None:
        super().__init__()
        self.matches = pattern.fullmatch

    def __missing__(self, value: Any) -> bool:
        """Decide a value that is not known yet."""
        accepted = self.matches(value) is not None
        if accepted and len(self) < self.MOST and len(value) <= self.LONGEST:
            self[value] = True
        return accepted


TEXT: Predicate = STRING.fullmatch
"""The predicate of strings; the generated functions know it, and decide most strings without calling it."""

CODES = Remembered(CODE)
URIS = Remembered(URI)

PREDICATES: dict[str, Predicate] = {
    "base64Binary": base64_binary,
    "boolean": boolean,
    "canonical": URI.fullmatch,
    "code": CODES.__getitem__,
    "date": DATE.fullmatch,
    "dateTime": DATE_TIME.fullmatch,
    "decimal": decimal,
    "id": ID.fullmatch,
    "instant": INSTANT.fullmatch,
    "integer": integer,
    "markdown": TEXT,
    "oid": OID.fullmatch,
    "positiveInt": positive_int,
    "string": TEXT,
    "time": TIME.fullmatch,
    "unsignedInt": unsigned_int,
    "uri": URI.fullmatch,
    "url": URI.fullmatch,
    "uuid": UUID.fullmatch,
}
"""By type: truthy for a correct value, falsy or TypeError for others. ``xhtml`` is in narrative.py."""

EXPECTED: dict[str, str] = {
    "base64Binary": "base64 text whose length without white space is a multiple of 4, as 'SGVsbG8='",
    "boolean": "true or false, without quotes",
    "canonical": "an absolute URL without spaces, as 'http://example.org/fhir/ValueSet/x|1.0'",
    "code": "text without leading, trailing or double spaces",
    "date": "a day that exists, written YYYY, YYYY-MM or YYYY-MM-DD, as '2021-02-28'",
    "dateTime": "YYYY, YYYY-MM, YYYY-MM-DD or a time with seconds and zone, as '2021-02-28T13:05:00+01:00'",
    "decimal": f"a number without quotes, at most {MAX_DIGITS} digits and an exponent within {MAX_DIGITS}",
    "id": "1 to 64 of the characters A-Z a-z 0-9 - .",
    "instant": "a date and time with seconds and zone, as '2021-02-28T13:05:00.000Z'",
    "integer": "a whole number from -2147483648 to 2147483647, without quotes or decimal point",
    "markdown": f"non-empty text of at most {MAX_STRING} characters without control characters",
    "oid": "an OID as 'urn:oid:2.16.840.1.113883'",
    "positiveInt": "a whole number from 1 to 2147483647, without quotes or decimal point",
    "string": f"non-empty text of at most {MAX_STRING} characters without control characters",
    "time": "hh:mm:ss of 24 hours without zone, as '13:05:00'",
    "unsignedInt": "a whole number from 0 to 2147483647, without quotes or decimal point",
    "uri": "a URI without spaces",
    "url": "a URL without spaces",
    "uuid": "a lower-case UUID as 'urn:uuid:c757873d-ec9a-4326-a141-556f43239520'",
    "xhtml": "an XHTML <div> in quotes",
}
"""What a correct value looks like, for diagnostics."""

JSON_KIND: dict[str, str] = {
    "boolean": "boolean",
    "decimal": "number",
    "integer": "number",
    "unsignedInt": "number",
    "positiveInt": "number",
}
"""The JSON type that carries a primitive; a string for all others. https://hl7.org/fhir/R4/json.html#primitive"""


def accepts(predicate: Predicate, value: Any) -> bool:
    """Whether a predicate holds, where the value may be of any JSON type."""
    try:
        return bool(predicate(value))
    except TypeError:
        return False
