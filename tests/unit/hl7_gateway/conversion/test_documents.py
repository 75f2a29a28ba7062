"""What documents say, byte by byte: https://hl7.org/fhir/uv/v2mappings/message_maps.html"""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest

from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import DRAFT, Conversion
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, converted, of_type
from tests.unit.hl7_gateway.conversion.test_adt import PID, PV1, segment
from tests.unit.hl7_gateway.conversion.test_results import OBR

NUMBER = {1: "1", 2: "DS", 4: "20240818", 6: "20240818112600", 9: "77^WHO^DOC^^^^^^NPI", 12: "D1^HOSP", 17: "AU"}


def text(event: str, *segments: str) -> str:
    return "\r".join([f"MSH|^~\\&|APP|HOSP|R|F|20240818112600||MDM^{event}|1|P|2.5.1", PID, PV1, *segments])


def documents(event: str, *segments: str) -> list[dict[str, Any]]:
    return of_type(converted(text(event, *segments)), "DocumentReference")


def conversion_of(event: str, *segments: str) -> Conversion:
    return convert(Message(text(event, *segments)), FEED)


def attachment(document: dict[str, Any], number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = document["content"][number]["attachment"]
    return found


def test_a_document_of_several_lines() -> None:
    (found,) = documents(
        "T02",
        segment("TXA", NUMBER),
        "OBX|1|TX|N^Note||first \\T\\ line||||||F",
        "OBX|2|FT|N^Note||second\\.br\\third~fourth||||||F",
    )
    assert found["masterIdentifier"] == {"system": "urn:hl7:north:HOSP", "value": "D1"}
    assert (found["status"], found["docStatus"]) == ("current", "final")
    assert found["date"] == "2024-08-18T11:26:00-04:00"
    assert found["context"]["encounter"][0]["reference"].startswith("Encounter/")
    assert base64.b64decode(attachment(found)["data"]) == b"first & line\nsecond\nthird\nfourth"
    assert attachment(found)["contentType"] == "text/plain; charset=utf-8"


def test_data_stay_byte_by_byte_what_was_sent() -> None:
    data = random.Random(1).randbytes(100_000)
    sent = base64.b64encode(data).decode()
    (found,) = documents("T02", segment("TXA", NUMBER), f"OBX|1|ED|P^Scan||^AP^PDF^Base64^{sent}||||||F")
    assert attachment(found) == {
        "contentType": "application/pdf",
        "data": sent,
        "size": 100_000,
        "title": "Scan",
    }


def test_text_and_data_keep_their_order() -> None:
    (found,) = documents(
        "T02",
        segment("TXA", NUMBER),
        "OBX|1|TX|N||before||||||F",
        "OBX|2|ED|P||^TEXT^HTML^A^<p>x</p>||||||F",
        "OBX|3|TX|N||after||||||F",
    )
    texts = [base64.b64decode(one["attachment"]["data"]) for one in found["content"]]
    assert texts == [b"before", b"<p>x</p>", b"after"]


def test_hex_data() -> None:
    (found,) = documents("T02", segment("TXA", NUMBER), "OBX|1|ED|P||^IM^PNG^Hex^89504E47||||||F")
    assert base64.b64decode(attachment(found)["data"]) == b"\x89PNG"
    assert attachment(found)["contentType"] == "image/png"


def test_data_that_are_not_what_they_are_said_to_be_are_left_out_with_a_warning() -> None:
    found = conversion_of("T02", segment("TXA", NUMBER), "OBX|1|ED|P||^AP^PDF^Base64^not base64!||||||F")
    assert [str(one.place) for one in found.warnings] == ["OBX-5"]


@pytest.mark.parametrize(
    ("pointer", "element"),
    [("https://pacs.example/x.pdf?a=1\\T\\b=2", "url"), ("urn:oid:1.2.3", "url"), ("javascript:alert(1)", "title"),
     ("data:text/html,x", "title"), ("\\\\server\\share", "title")],
)  # fmt: skip
def test_pointers(pointer: str, element: str) -> None:
    sent = pointer if "\\T\\" in pointer else pointer.replace("\\", "\\E\\")
    (found,) = documents("T02", segment("TXA", NUMBER), f"OBX|1|RP|P||{sent}^^AP^PDF||||||F")
    assert attachment(found)[element] == pointer.replace("\\T\\", "&")
    assert ("url" in attachment(found)) == (element == "url")


def test_a_document_that_replaces_another() -> None:
    found = conversion_of("T10", segment("TXA", NUMBER | {13: "D0^HOSP"}), "OBX|1|TX|N||x||||||F")
    new, old = (one for one in found.drafts if one.type == "DocumentReference")
    (relation,) = (one.values[0].value for one in new.stated if one.path == "relatesTo")
    assert relation == {"code": "replaces", "target": {"reference": DRAFT + old.name}}
    assert (old.identifiers, old.action) == ([("urn:hl7:north:HOSP", "D0")], "none")
    assert [(one.path, one.values[0].value) for one in old.stated] == [("status", "superseded")]


def test_an_addendum_leaves_its_parent_current() -> None:
    found = conversion_of("T06", segment("TXA", NUMBER | {13: "D0^HOSP"}))
    old = [one for one in found.drafts if one.type == "DocumentReference"][1]
    assert old.stated == []


def test_a_cancelled_document_is_an_error() -> None:
    (found,) = documents("T11", segment("TXA", NUMBER))
    assert (found["status"], found["docStatus"]) == ("entered-in-error", "entered-in-error")


def test_data_in_a_result() -> None:
    sent = base64.b64encode(b"%PDF-1.7").decode()
    header = "MSH|^~\\&|LAB|HOSP|R|F|20240818112600||ORU^R01|1|P|2.5.1"
    found = converted("\r".join([header, PID, OBR, f"OBX|1|ED|R^Report^L||^AP^PDF^Base64^{sent}||||||F"]))
    (document,), (result,) = of_type(found, "DocumentReference"), of_type(found, "Observation")
    assert attachment(document)["data"] == sent
    assert result["derivedFrom"] == [{"reference": f"DocumentReference/{document['id']}"}]
