"""JSON in and out without loss: decimals keep their digits. https://hl7.org/fhir/R4/json.html"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")

Json = Any
"""A value as JSON parsed it: dict, list, str, bool, int, Decimal or None."""


def parse(body: bytes | str) -> Json:
    """Parse one JSON document; decimals become Decimal with the digits they were sent with.

    Raises ValueError with the position for text that is not JSON, not UTF-8, nested too deeply, or holds an absurd
    exponent.
    """
    try:
        return _decoder.decode(body)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except InvalidOperation:
        raise ValueError("JSON holds a number whose exponent is beyond all reason") from None


def dumps(value: Json) -> bytes:
    """Serialise as compact UTF-8 JSON; a Decimal is written with the digits it has."""
    return _encoder.encode(value)
