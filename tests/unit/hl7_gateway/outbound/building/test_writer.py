"""Data types as a destination wants them. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.outbound.building.writer import Writer, usual_identifier
from hl7_gateway.outbound.rules import Configuration
from hl7_gateway.timestamps import date_time

V2 = "http://terminology.hl7.org/CodeSystem/v2-"


def writer(**configured: Any) -> Writer:
    return Writer(Configuration("host", 1, (), **configured))


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("urn:oid:1.2.3", "1^^^&1.2.3&ISO"),
        ("urn:uuid:aa", "1^^^&aa&UUID"),
        ("urn:hl7:dns:a.example", "1^^^&a.example&DNS"),
        ("http://a.example/x&y", "1^^^&http://a.example/x\\T\\y&URI"),
        ("http://hl7.org/fhir/sid/us-npi", "1^^^NPI"),
        ("http://hl7.org/fhir/sid/us-ssn", "1^^^&http://hl7.org/fhir/sid/us-ssn&URI^SS"),
        ("http://own.example", "1^^^OWN"),
        ("urn:oid:9.9", "1^^^&urn:oid:9.9&URI"),
        ("", "1"),
    ],
)
def test_an_identifier_has_its_authority(system: str, expected: str) -> None:
    own = {"http://own.example": "OWN"}
    assert writer(authorities=own).cx({"system": system, "value": "1"}) == expected


def test_an_oid_keeps_its_number_beside_the_namespace() -> None:
    assert writer(authorities={"urn:oid:1.2": "LAB"}).ei({"system": "urn:oid:1.2", "value": "1"}) == "1^LAB^1.2^ISO"


def test_the_identifier_that_something_is_called_by() -> None:
    old, plain, usual = (
        {"value": value, "use": use} for value, use in (("1", "old"), ("2", "secondary"), ("3", "usual"))
    )
    assert usual_identifier({"identifier": [old, plain, usual]}) == usual
    assert usual_identifier({"identifier": [old, plain]}) == plain
    assert usual_identifier({"identifier": [old, {"system": "x"}]}) is None


@given(
    st.datetimes().filter(lambda at: 1 < at.year < 9999),
    st.sampled_from(["Z", "+05:30", "-04:00"]),
)
def test_a_time_is_the_same_moment_in_any_zone(at: datetime, offset: str) -> None:
    stamp = f"{at.isoformat(timespec='seconds')}{offset}"
    for zone in ("", "America/New_York", "Asia/Kolkata"):
        told = date_time(writer(zone=zone).moment(stamp), "UTC")
        assert datetime.fromisoformat(told) == datetime.fromisoformat(stamp)


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("1961", "1961"),
        ("1961-06", "196106"),
        ("1961-06-02", "19610602"),
        ("2016-12-31T23:59:60Z", "20161231235960+0000"),
        ("2024-01-02T03:04:05.123456Z", "20240102030405.1234+0000"),
        ("yesterday", ""),
        ("", ""),
    ],
)
def test_a_time_keeps_its_precision(stamp: str, expected: str) -> None:
    assert writer().moment(stamp) == expected
    assert writer(zone="Europe/Paris").moment(stamp)[:4] == expected[:4] or stamp.startswith("2016")


def test_a_code_of_the_table_is_sent_as_it_is() -> None:
    both = {
        "coding": [{"system": "http://x", "code": "far"}, {"system": V2 + "0002", "code": "S", "display": "Single"}]
    }
    assert writer().concept(both, "PID-16", "0002", "MaritalStatus") == "S^Single^HL70002^far^^http://x"


def test_a_code_goes_back_by_the_map() -> None:
    married = {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M", "display": "Married"}
        ]
    }
    assert writer().concept(married, "PID-16", "0002", "MaritalStatus") == "M^Married^HL70002"


@pytest.mark.parametrize(
    ("found", "place", "expected"),
    [
        ({"text": "a|b"}, "OBX-3", "^a\\F\\b"),
        ({"text": "a"}, "SPM-4", "^a^^^^^^^a"),
        ({"text": "a"}, "PV1-14", "a"),
        ({"coding": [{"code": "x", "display": "y", "system": "http://loinc.org"}]}, "PV1-14", "x"),
        ({"coding": [{"code": "x"}], "text": "said"}, "OBX-3", "x^said"),
        ({"coding": [{"code": "x", "display": "y"}], "text": "said"}, "OBX-3", "x^y^^^^^^^said"),
        ({"coding": [{"code": "x", "version": "2"}]}, "SPM-4", "x^^^^^^2"),
        (None, "OBX-3", ""),
        ({}, "OBX-3", ""),
    ],
)
def test_a_concept_has_the_data_type_of_its_field(found: dict[str, Any] | None, place: str, expected: str) -> None:
    assert writer().concept(found, place) == expected


def test_numbers_stand_where_the_version_has_them() -> None:
    phone = {"system": "phone", "value": "1", "use": "work"}
    assert writer().xtn(phone) == "1^WPN^PH"
    assert writer(version="2.7").xtn(phone) == "^WPN^PH^^^^^^^^^1"
    assert writer().xtn({**phone, "use": "old"}) == ""
    assert writer().xtn({"system": "phone", "value": "1", "use": "mobile"}) == "1^PRN^CP"


def test_who_is_known_by_name_only_is_a_name() -> None:
    assert writer().xcn({"display": "Dr X"}) == "^Dr X"
    assert writer(facility="HERE").xcn({"resourceType": "Practitioner", "id": "7"}) == "7^^^^^^^^&urn:fhir:HERE&URI"
    person = {"identifier": [{"system": "urn:oid:1.2", "value": "7"}], "name": [{"family": "F", "given": ["G"]}]}
    assert writer().xcn(person) == "7^F^G^^^^^^&1.2&ISO"
    assert writer().ndl(person) == "7&F&G&&&&&&&1.2&ISO"


def test_an_address_that_is_a_text_is_told() -> None:
    assert writer().xad({"text": "1 St, Town"}) == "1 St, Town"
    assert writer().xad({"use": "home"}) == ""
    assert writer().xad({"line": ["a", "b", "c", "d"], "use": "work"}) == "a^b^^^^^B^c, d"
