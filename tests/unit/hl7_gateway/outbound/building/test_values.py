"""Values as OBX-2, OBX-5 and OBX-6. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hl7_gateway.outbound.building import values
from hl7_gateway.outbound.building.writer import Writer
from hl7_gateway.outbound.rules import Configuration

WRITER = Writer(Configuration("host", 1, ()))


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ({}, ("", "", "")),
        ({"valueQuantity": {"unit": "mg"}}, ("", "", "")),
        ({"valueQuantity": {"value": Decimal("1.50")}}, ("NM", "1.50", "")),
        ({"valueQuantity": {"value": Decimal("1E+3"), "unit": "mg"}}, ("NM", "1000", "mg")),
        ({"valueQuantity": {"value": 5, "comparator": ">="}}, ("SN", ">=^5", "")),
        ({"valueQuantity": {"value": Decimal("1E+999999"), "unit": "mg"}}, ("ST", "1E+999999 mg", "")),
        ({"valueQuantity": {"value": Decimal("-1E-245"), "comparator": "<"}}, ("ST", "< -1E-245", "")),
        ({"valueRange": {"low": {"value": 1, "unit": "mg"}}}, ("SN", ">=^1", "mg")),
        ({"valueRange": {"low": {"value": 1}, "high": {"value": 2, "unit": "mg"}}}, ("SN", "^1^-^2", "mg")),
        ({"valueRange": {}}, ("", "", "")),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}, ("SN", "^1^:^128", "")),
        ({"valueBoolean": False}, ("CWE", "N^No^HL70136", "")),
        ({"valueString": "a\nb"}, ("TX", "a\\.br\\b", "")),
        ({"valueString": "x" * 200}, ("TX", "x" * 200, "")),
        ({"valueTime": "11:26:00"}, ("TM", "112600", "")),
        ({"valueDateTime": "2024-02"}, ("TS", "202402", "")),
        ({"valuePeriod": {"start": "2024-02"}}, ("DR", "202402", "")),
        ({"valueSampledData": {"data": "1 2 E"}}, ("TX", "1 2 E", "")),
        ({"valueCodeableConcept": {"coding": [{"code": "A", "system": "http://loinc.org"}]}}, ("CE", "A^^LN", "")),
        ({"valueCodeableConcept": {"text": "A"}}, ("CWE", "^A^^^^^^^A", "")),
    ],
)
def test_a_value_has_its_type(owner: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert values.value_of(owner, WRITER) == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"low": {"value": Decimal("3.50")}, "high": {"value": 5}}, "3.50-5"),
        ({"high": {"value": 5}}, "<=5"),
        ({"low": {"value": 5}}, ">=5"),
        ({"text": "none|seen", "low": {"value": 1}}, "none\\F\\seen"),
        ({}, ""),
    ],
)
def test_limits(limits: dict[str, Any], expected: str) -> None:
    assert values.limits({"referenceRange": [limits]}, WRITER) == expected


def test_documents() -> None:
    assert values.document({"contentType": "text/plain; charset=utf-8", "data": "YQ ==\n"}) == (
        "ED",
        "^TEXT^PLAIN^Base64^YQ==",
    )
    assert values.document({"title": "nothing"}) == ("", "")
