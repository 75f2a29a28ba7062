"""Quantity search, written and read. https://hl7.org/fhir/R4/search.html#quantity"""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import quantity
from tests.unit.search.searching import Searching, clause

UCUM = "http://unitsofmeasure.org"


def observation(name: str, **value: object) -> dict[str, object]:
    return {"resourceType": "Observation", "id": name, "status": "final", "code": {"text": "x"}, **value}


@pytest.fixture
def observations(searching: Searching) -> Searching:
    mg = {"unit": "milligram", "system": UCUM, "code": "mg"}
    searching.write(
        observation("exact", valueQuantity={"value": Decimal("5.4"), **mg}),
        observation("fine", valueQuantity={"value": Decimal("5.40"), **mg}),
        observation("other", valueQuantity={"value": Decimal("5.41"), "unit": "mg"}),
        observation("grams", valueQuantity={"value": Decimal("5.4"), "system": UCUM, "code": "g"}),
        observation("below", valueQuantity={"value": 5, "comparator": "<", **mg}),
        observation("above", valueQuantity={"value": 6, "comparator": ">=", **mg}),
        observation(
            "samples",
            valueSampledData={
                "origin": {"value": 10, "unit": "mV"}, "period": 1, "dimensions": 1, "factor": Decimal("0.5"),
                "data": "2 E -2 U 4 L",
            },
        ),
        observation("unitless", valueQuantity={"value": 7}),
        observation("empty", valueQuantity={"unit": "mg"}),
    )  # fmt: skip
    return searching


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("value-quantity=5.4", "exact fine grams other"),
        ("value-quantity=5.40", "exact fine grams"),
        (f"value-quantity=5.4|{UCUM}|mg", "exact fine"),
        (f"value-quantity=5.40|{UCUM}|mg", "exact fine"),
        ("value-quantity=5.4||mg", "exact fine other"),
        ("value-quantity=5.4||milligram", "exact fine"),
        ("value-quantity=5.4||g", "grams"),
        (f"value-quantity=5.4|{UCUM}|milligram", ""),
        (f"value-quantity=lt5|{UCUM}|mg", "below"),
        (f"value-quantity=ge5|{UCUM}|mg", "above exact fine grams"),
        (f"value-quantity=5.4|{UCUM}|g", "grams"),
        (f"value-quantity=5400|{UCUM}|mg", "grams"),
        (f"value-quantity=0.0054|{UCUM}|kg", "grams"),
        (f"value-quantity=0.0054|{UCUM}|g", "exact fine"),
        (f"value-quantity=lt1|{UCUM}|g", "above below exact fine"),
        (f"value-quantity=5.4|{UCUM}|g,5.4|{UCUM}|mg,7", "exact fine grams unitless"),
        (f"value-quantity=gt0|{UCUM}|mV", ""),
        ("value-quantity=gt5.40", "above other samples unitless"),
        ("value-quantity=ge6||mg", "above"),
        (f"value-quantity=le6|{UCUM}|mg", "above below exact fine"),
        ("value-quantity=eb5", "below"),
        ("value-quantity=sa5.41", "above samples unitless"),
        ("value-quantity=7", "unitless"),
        ("value-quantity=gt9||mV", "samples"),
        ("value-quantity=gt12||mV", ""),
        ("value-quantity=ne5.4||mg", "above below"),
        ("value-quantity=ap5.5||mg", "above below exact fine other"),
        ("value-quantity=ap5.39||mg", "below exact fine other"),
        ("value-quantity=5.4||g,7", "grams unitless"),
        ("combo-value-quantity=7", "unitless"),
        ("value-quantity:missing=true", ""),
    ],
)
def test_observations(observations: Searching, query: str, expected: str) -> None:
    assert observations.find("Observation", query) == expected


def test_units_of_one_dimension_are_converted(searching: Searching) -> None:
    stated = {
        "fever": ("38.5", "Cel"), "fahrenheit": ("101.3", "[degF]"), "kelvin": ("311.65", "K"), "well": ("37.0", "Cel"),
        "glucose": ("99.1", "mg/dL"), "glucose-si": ("0.991", "g/L"), "hour": ("1", "h"), "minutes": ("60", "min"),
        "part": ("0.055", "1"), "percent": ("5.5", "%"), "potassium": ("3.9", "mmol/L"),
        "platelets": ("250", "10*3/uL"),
        "insulin": ("12", "u[iU]/mL"), "old": ("98", "mmHg"), "acid": ("7.4", "[pH]"),
    }  # fmt: skip
    searching.write(
        *(
            observation(name, valueQuantity={"value": Decimal(value), "system": UCUM, "code": code})
            for name, (value, code) in stated.items()
        ),
        observation(
            "other", valueQuantity={"value": Decimal("38.5"), "system": "http://example.org/units", "code": "Cel"}
        ),
    )

    def find(value: str) -> str:
        return searching.find("Observation", f"value-quantity={value}")

    assert find(f"38.5|{UCUM}|Cel") == "fahrenheit fever kelvin"
    assert find(f"101.3|{UCUM}|[degF]") == "fahrenheit fever kelvin"
    assert find(f"gt100.4|{UCUM}|[degF]") == "fahrenheit fever kelvin"
    assert find(f"ap37|{UCUM}|Cel") == "fahrenheit fever kelvin well"
    assert find("38.5||Cel") == "fever other"
    assert find("38.5|http://example.org/units|Cel") == "other"
    assert find(f"99.1|{UCUM}|mg/dL") == "glucose glucose-si"
    assert find(f"99.12|{UCUM}|mg/dL") == ""
    assert find(f"ne99.1|{UCUM}|g/L") == "glucose glucose-si"
    assert find(f"1|{UCUM}|h") == "hour minutes"
    assert find(f"3600|{UCUM}|s") == "hour minutes"
    assert find(f"5.5|{UCUM}|%") == "part percent"
    assert find(f"lt4|{UCUM}|mmol/L") == "potassium"
    assert find(f"12|{UCUM}|m[IU]/L") == "insulin"
    assert find(f"98|{UCUM}|mmHg") == "old"
    assert find(f"98|{UCUM}|mm[Hg]") == ""
    assert find(f"sa7|{UCUM}|[pH]") == "acid"


def test_money_ages_durations_and_ranges(searching: Searching) -> None:
    patient = {"reference": "Patient/1"}
    years = {"value": 40, "unit": "years", "system": UCUM, "code": "a"}
    searching.write(
        {
            "resourceType": "Invoice",
            "id": "i",
            "status": "issued",
            "totalNet": {"value": Decimal("9.99"), "currency": "EUR"},
        },
        {"resourceType": "Condition", "id": "age", "subject": patient, "onsetAge": years},
        {"resourceType": "Condition", "id": "range", "subject": patient, "onsetRange": {"low": years}},
    )
    assert searching.find("Invoice", "totalnet=9.99|urn:iso:std:iso:4217|EUR") == "i"
    assert searching.find("Invoice", "totalnet=9.99||EUR") == "i"
    assert searching.find("Invoice", "totalnet=10||USD") == ""
    assert searching.find("Invoice", "totalnet=gt9.9|urn:iso:std:iso:4217|USD") == ""
    assert searching.find("Condition", f"onset-age=40|{UCUM}|a") == "age"
    assert searching.find("Condition", f"onset-age=480|{UCUM}|mo") == "age"
    assert searching.find("Condition", f"onset-age=gt15000|{UCUM}|d") == "range"
    assert searching.find("Condition", "onset-age=40||a") == "age"
    assert searching.find("Condition", "onset-age=gt90||a") == "range"
    assert searching.find("Condition", "onset-age=ge40||years") == "age range"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("value-quantity:exact=1", "Supported: :missing"),
        ("value-quantity=x", "a number is written as"),
        ("value-quantity=1|mg", "number|system|code"),
        ("value-quantity=1|http://a|", "also needs a code"),
        ("value-quantity=1|2|3|4", "number|system|code"),
    ],
)
def test_what_cannot_be_answered_is_refused(query: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        quantity.where(clause("Observation", query), SqlParameters(1), Hasher(bytes(16)))
    assert message in str(refused.value)
