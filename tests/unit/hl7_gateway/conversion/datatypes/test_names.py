"""XAD and XTN: https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.hl7_gateway.conversion.applied import converted, of_type


def patient(address: str = "", telecom: str = "", name: str = "DOE") -> dict[str, Any]:
    message = "\r".join(
        ["MSH|^~\\&|APP|HOSP|R|F|2024||ADT^A28|1|P|2.8", f"PID|1||123^^^A^MR||{name}||||||{address}||{telecom}"]
    )
    return of_type(converted(message), "Patient")[0]


@pytest.mark.parametrize(
    ("street", "lines"),
    [
        ("1 MAIN ST", ["1 MAIN ST"]),
        ("1 MAIN ST&MAIN ST&1", ["1 MAIN ST"]),
        ("1000&Hospital Lane", ["1000", "Hospital Lane"]),
        ("&MAIN ST&1", ["1 MAIN ST"]),
        ("1 MAIN ST^APT 2^^^^^^^^^^^^^^^^^Near Highway", ["1 MAIN ST", "APT 2", "Near Highway"]),
    ],
)
def test_the_lines_of_an_address(street: str, lines: list[str]) -> None:
    assert patient(address=street)["address"][0]["line"] == lines


def test_when_a_number_may_be_used_and_in_which_order() -> None:
    sent = "5551234^PRN^PH^^^^^^^^^^20010110^20020110^^^^2"
    assert patient(telecom=sent)["telecom"] == [
        {
            "value": "5551234",
            "system": "phone",
            "use": "home",
            "period": {"start": "2001-01-10", "end": "2002-01-10"},
            "rank": 2,
        }
    ]


def test_an_order_that_is_none_is_left_out() -> None:
    assert "rank" not in patient(telecom="5551234^PRN^PH^^^^^^^^^^^^^^^0")["telecom"][0]


def test_what_a_person_is_called_by_is_a_name_of_its_own() -> None:
    names = patient(name="DOE^JANE^^^^^L^^^^^^^^JAN~ROE^JANE")["name"]
    assert [(name.get("family"), name["given"], name.get("use")) for name in names] == [
        ("DOE", ["JANE"], "official"),
        ("ROE", ["JANE"], None),
        (None, ["JAN"], "nickname"),
    ]


def test_parts_of_a_surname_that_were_sent_apart() -> None:
    (name,) = patient(name="van Beethoven&van&Beethoven&de&Vries^Ludwig")["name"]
    assert name["family"] == "van Beethoven"
    told = {one["url"].rpartition("/")[2]: one["valueString"] for one in name["_family"]["extension"]}
    assert told == {
        "humanname-own-prefix": "van",
        "humanname-own-name": "Beethoven",
        "humanname-partner-prefix": "de",
        "humanname-partner-name": "Vries",
    }
    assert "_family" not in patient(name="DOE^JANE")["name"][0]


def test_an_address_of_mail_beside_the_parts_of_a_number() -> None:
    text = (
        "MSH|^~\\&|A|B|C|D|20240818||ADT^A08|1|P|2.5.1\n"
        "PID|1||1^^^A||||||||||^^Internet^jane@example.org^1^555^1234~^^PH^jane@example.org^1^555^1234"
    )
    (found,) = of_type(converted(text), "Patient")
    told = [(one["system"], one["value"]) for one in found["telecom"]]
    assert told == [("email", "jane@example.org"), ("phone", "+1 (555) 1234")]
