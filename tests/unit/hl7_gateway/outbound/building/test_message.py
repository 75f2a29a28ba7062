"""What changes become, against HL7's definitions and against our own conversion. docs/hl7-outbound.md"""

from __future__ import annotations

from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from hl7_gateway.conversion.convert import convert
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.lint import lint
from hl7_gateway.message import Message
from hl7_gateway.outbound.building.sources import Impossible, Untold
from hl7_gateway.outbound.rules import VERSIONS
from tests.unit.hl7_gateway.outbound.samples import (
    APPOINTMENT,
    ENCOUNTER,
    OBSERVATION,
    PATIENT,
    REPORT,
    WARD,
    made,
)

IN_WARD = {**ENCOUNTER, "location": [{"location": {"reference": "Location/ward"}, "status": "active"}]}
SSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "SS"}]}
MERGED = {
    **PATIENT,
    "id": "old",
    "active": False,
    "link": [{"type": "replaced-by", "other": {"reference": "Patient/p"}}],
}
CHANGES: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
    "A28": (None, PATIENT),
    "A29": (PATIENT, {**PATIENT, "active": False}),
    "A31": ({**PATIENT, "gender": "male"}, PATIENT),
    "A40": (PATIENT, {**MERGED, "identifier": [{"system": "urn:oid:1.2.3", "value": "78"}]}),
    "A01": (None, ENCOUNTER),
    "A02": (IN_WARD, ENCOUNTER),
    "A03": (ENCOUNTER, {**ENCOUNTER, "status": "finished", "period": {"end": "2024-01-05T10:00:00Z"}}),
    "A04": (None, {**ENCOUNTER, "class": {"code": "AMB"}}),
    "A05": (None, {**ENCOUNTER, "status": "planned"}),
    "A06": ({**ENCOUNTER, "class": {"code": "AMB"}}, ENCOUNTER),
    "A07": (ENCOUNTER, {**ENCOUNTER, "class": {"code": "AMB"}}),
    "A08": (ENCOUNTER, {**ENCOUNTER, "serviceType": {"coding": [{"code": "CAR"}]}}),
    "A11": (ENCOUNTER, {**ENCOUNTER, "status": "cancelled"}),
    "A13": ({**ENCOUNTER, "status": "finished"}, ENCOUNTER),
    "A21": (ENCOUNTER, {**ENCOUNTER, "status": "onleave"}),
    "A22": ({**ENCOUNTER, "status": "onleave"}, ENCOUNTER),
    "A23": (ENCOUNTER, {**ENCOUNTER, "status": "entered-in-error"}),
    "A38": ({**ENCOUNTER, "status": "planned"}, {**ENCOUNTER, "status": "cancelled"}),
    "R01": (None, REPORT),
    "S12": (None, APPOINTMENT),
    "S13": (APPOINTMENT, {**APPOINTMENT, "start": "2024-02-03T10:05:00Z"}),
    "S14": (APPOINTMENT, {**APPOINTMENT, "comment": "later"}),
    "S15": (APPOINTMENT, {**APPOINTMENT, "status": "cancelled"}),
    "S17": (APPOINTMENT, {**APPOINTMENT, "status": "entered-in-error"}),
    "S26": (APPOINTMENT, {**APPOINTMENT, "status": "noshow"}),
}


def lines(raw: bytes) -> dict[str, str]:
    return {line[:3]: line for line in raw.decode().split("\r") if line}


@pytest.mark.parametrize("event", CHANGES)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_event_in_every_version(event: str, version: str) -> None:
    before, after = CHANGES[event]
    found = made(before, after, version=version)
    message = Message(found.raw.decode())
    assert (found.event, message.event, message.control_id, message.version) == (event, event, "C1", version)
    assert [finding for finding in lint(message) if finding.severity == "E"] == []


@pytest.mark.parametrize("event", ["A31", "A40", "A02", "R01", "S12"])
def test_another_parser_reads_it(event: str) -> None:
    raw = made(*CHANGES[event]).raw.decode()
    parsed = parse_message(
        raw, validation_level=VALIDATION_LEVEL.STRICT if event != "R01" else VALIDATION_LEVEL.TOLERANT
    )
    flat = parse_message(raw, find_groups=False)
    assert parsed.msh.msh_9.msh_9_2.to_er7() == event
    assert [child.name for child in flat.children] == [line[:3] for line in raw.split("\r") if line]
    assert flat.pid.pid_5.pid_5_1.to_er7() == "O'Neil \\T\\ Sons"


@pytest.mark.parametrize("event", [event for event in CHANGES if event[0] in "AR"])
def test_our_own_conversion_reads_it_without_a_warning(event: str) -> None:
    conversion = convert(Message(made(*CHANGES[event]).raw.decode()), FeedMapping("x"))
    assert conversion.warnings == []
    assert {place.segment for place in conversion.unmapped} <= {"EVN"}


def test_a_person() -> None:
    raw = made(None, PATIENT).raw
    assert raw.decode().split("\r") == [
        "MSH|^~\\&|FHIR|HERE|||20240505010204.000+0000||ADT^A28^ADT_A05|C1|P|2.5.1||||||UNICODE UTF-8",
        "EVN|A28|20240505010203.000+0000||||20240505010203.000+0000",
        "|".join(
            [
                "PID|1||77^^^&1.2.3&ISO^MR~A\\F\\b\\S\\c^^^&http://lab.example/ids&URI|",
                "O'Neil \\T\\ Sons^Al^B^^Dr^^L||196106|O|||1 St^Apt 2^X^^1^USA^H^^Y||555 1^PRN^PH",
                "^NET^Internet^a@b.example||M^^HL70002||||||||||||||N",
            ]
        ),
        "NK1|1|Next^Of|||9^^PH",
        "PV1|1|N",
        "",
    ]


@pytest.mark.parametrize("numbers", [[], [{"system": "http://hl7.org/fhir/sid/us-ssn", "value": "1", "type": SSN}]])
def test_a_person_whom_no_number_tells_apart_has_one(numbers: list[dict[str, Any]]) -> None:
    message = Message(made(None, {**PATIENT, "identifier": numbers}).raw.decode())
    conversion = convert(message, FeedMapping("x"))
    (known,) = (draft.identifiers for draft in conversion.drafts if draft.type == "Patient")
    assert known == [("urn:fhir:HERE", "p")]


def test_what_is_gone_is_taken_back() -> None:
    after = {key: value for key, value in PATIENT.items() if key not in ("telecom", "maritalStatus")}
    pid = Message(made(PATIENT, after).raw.decode()).first("PID")
    assert pid is not None
    assert (pid[13], pid[14], pid[16], pid[8]) == ('""', '""', '""', "O")


def test_a_merge_names_who_goes_and_who_stays() -> None:
    raw = made(*CHANGES["A40"]).raw
    assert lines(raw)["MRG"].startswith("MRG|78^^^&1.2.3&ISO||||||O'Neil")
    assert lines(raw)["PID"].startswith("PID|1||77^^^&1.2.3&ISO^MR~")
    conversion = convert(Message(raw.decode()), FeedMapping("x"))
    (merge,) = conversion.merges
    names = {draft.name: draft.identifiers for draft in conversion.drafts}
    assert names[merge.retired] == [("urn:oid:1.2.3", "78")]
    assert names[merge.surviving][0] == ("urn:oid:1.2.3", "77")


def test_a_transfer_tells_where_from_and_where_to() -> None:
    pv1 = Message(made(*CHANGES["A02"]).raw.decode()).first("PV1")
    assert pv1 is not None
    assert (pv1[3], pv1[6]) == ("ICU^^Bed 3", "ICU")


def test_a_planned_visit_has_the_place_that_is_planned() -> None:
    ahead = {"location": {"reference": "Location/ward"}, "status": "planned"}
    planned = {**ENCOUNTER, "status": "planned", "location": [ahead]}
    assert lines(made(None, planned).raw)["PV1"].startswith("PV1|1|I|ICU|")
    changed = lines(made(planned, {**planned, "serviceType": {"text": "x"}}).raw)
    assert changed["PV1"].startswith("PV1|1|I||")
    assert changed["PV2"] == "PV2|ICU"


def test_a_discharge_tells_when() -> None:
    evn = lines(made(*CHANGES["A03"]).raw)["EVN"]
    assert evn == "EVN|A03|20240505010203.000+0000||||20240105100000+0000"


def test_a_report() -> None:
    found = made(None, REPORT).raw.decode().split("\r")
    assert found[3:] == [
        "ORC|RE|Q1^^1.2.6^ISO|r^^urn:fhir:HERE^URI|||||||||123^House^Greg^^^^^^NPI",
        "|".join(
            [
                "OBR|1|Q1^^1.2.6^ISO|r^^urn:fhir:HERE^URI|58410-2^^LN|||20240203|||||||||123^House^Greg^^^^^^NPI|||||",
                "20240203100000+0000|||F",
            ]
        ),
        "NTE|1||all\\.br\\well",
        "OBX|1|SN|718-7^Hgb^LN^^^^^^Haemoglobin||<^7.20|g/dL^g/dL^UCUM|12.0-16|L|||F",
        "NTE|1||line 1\\.br\\line 2\\F\\x",
        "SPM|1|^S1&&1.2.5&ISO||BLD^^HL70487|||||||||||||20240203090000+0000",
        "",
    ]


@pytest.mark.parametrize(
    ("status", "obr", "obx"),
    [
        ("preliminary", "P", "F"),
        ("corrected", "C", "F"),
        ("cancelled", "X", "F"),
        ("entered-in-error", "X", "W"),
    ],
)
def test_the_life_of_a_report(status: str, obr: str, obx: str) -> None:
    message = Message(made(REPORT, {**REPORT, "status": status}).raw.decode())
    assert (message.all("OBR")[0][25], message.all("OBX")[0][11]) == (obr, obx)


def test_a_report_that_is_deleted_was_an_error() -> None:
    message = Message(made(REPORT, None).raw.decode())
    assert (message.all("OBR")[0][25], message.all("OBX")[0][11]) == ("X", "W")


def test_results_of_one_code_are_told_apart_and_members_are_told() -> None:
    second = {**OBSERVATION, "id": "o2", "hasMember": [{"reference": "Observation/o3"}, {"reference": "Observation/o"}]}
    third = {**OBSERVATION, "id": "o3", "code": {"text": "other"}, "note": []}
    report = {**REPORT, "result": [{"reference": "Observation/o"}, {"reference": "Observation/o2"}]}
    found = Message(made(None, report, second, third).raw.decode()).all("OBX")
    assert [(one[1], one[3], one[4]) for one in found] == [
        ("1", "718-7^Hgb^LN^^^^^^Haemoglobin", ""),
        ("2", "718-7^Hgb^LN^^^^^^Haemoglobin", "2"),
        ("3", "^other", ""),
    ]


def test_a_result_is_told_with_its_report() -> None:
    changed = {**OBSERVATION, "status": "corrected", "subject": {"reference": "Patient/p"}}
    found = made(OBSERVATION, changed, changed)
    assert found.raw.partition(b"\r")[2] == made(None, REPORT, changed).raw.partition(b"\r")[2]
    assert found.says_the_same(made(None, REPORT, changed).raw)
    assert not found.says_the_same(made(None, REPORT).raw)
    assert found.about == ("DiagnosticReport/r", "Observation/o")


def test_a_result_without_a_report_is_told_alone() -> None:
    vital = {**OBSERVATION, "id": "v", "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2024-02-03"}
    message = Message(made(None, vital, vital).raw.decode())
    obr, obx = message.all("OBR")[0], message.all("OBX")[0]
    assert (obr[3], obr[4], obr[7], obr[25]) == ("v^^urn:fhir:HERE^URI", obx[3], "20240203", "F")
    assert [one.severity for one in lint(message) if one.severity == "E"] == []


def test_a_result_that_is_deleted_was_an_error() -> None:
    gone = {**OBSERVATION, "subject": {"reference": "Patient/p"}}
    message = Message(made(gone, None).raw.decode())
    assert (message.all("OBR")[0][25], message.all("OBX")[0][11]) == ("F", "W")


def test_a_panel_is_told_by_its_components() -> None:
    panel = {
        **OBSERVATION,
        "component": [
            {"code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "valueInteger": value}
            for code, value in (("8480-6", 120), ("8462-4", 80))
        ],
    }
    del panel["valueQuantity"]
    found = Message(made(None, REPORT, panel).raw.decode()).all("OBX")
    assert [(one[2], one[3], one[5]) for one in found] == [("NM", "8480-6^^LN", "120"), ("NM", "8462-4^^LN", "80")]


def test_a_document_is_told_byte_by_byte() -> None:
    report = {
        **REPORT, "result": [],
        "presentedForm": [{"contentType": "application/pdf", "data": "JVBERg=="}, {"url": "https://x.example/1"}],
    }  # fmt: skip
    found = Message(made(None, report).raw.decode()).all("OBX")
    assert [(one[2], one[5]) for one in found] == [
        ("ED", "^AP^PDF^Base64^JVBERg=="),
        ("RP", "https://x.example/1^^AP^Octet-stream"),
    ]


def test_what_cannot_be_told_is_refused() -> None:
    stranger = {**ENCOUNTER, "subject": {"reference": "Patient/unknown"}}
    with pytest.raises(Impossible, match="patient"):
        made(None, stranger)
    lost = {**MERGED, "link": [{"type": "replaced-by", "other": {"reference": "Patient/unknown"}}]}
    with pytest.raises(Impossible, match="lives on"):
        made(PATIENT, lost)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, {**PATIENT, "active": False}),
        (MERGED, {**MERGED, "gender": "male"}),
        (None, {**ENCOUNTER, "status": "cancelled"}),
        (None, {**APPOINTMENT, "status": "proposed"}),
        (None, {**APPOINTMENT, "participant": []}),
        ({**REPORT, "status": "entered-in-error"}, None),
    ],
)
def test_what_is_not_to_be_told_is_not(before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    with pytest.raises(Untold):
        made(before, after)


def test_names_of_the_destination_are_used() -> None:
    found = made(
        None, PATIENT, authorities={"http://lab.example/ids": "LAB"}, receiving_application="HIS",
        receiving_facility="THERE", application="US", processing_id="T",
    )  # fmt: skip
    message = Message(found.raw.decode())
    assert [message.header[n] for n in (3, 4, 5, 6, 11)] == ["US", "HERE", "HIS", "THERE", "T"]
    assert "A\\F\\b\\S\\c^^^LAB" in lines(found.raw)["PID"]


def test_times_are_told_in_the_zone_of_the_destination() -> None:
    pv1 = Message(made(None, ENCOUNTER, zone="America/New_York").raw.decode()).first("PV1")
    assert pv1 is not None
    assert pv1[44] == "20240101210405.5-0500"


def test_a_place_without_a_kind_is_described() -> None:
    found = made(None, ENCOUNTER, {**WARD, "id": "bed", "physicalType": {}}).raw
    assert lines(found)["PV1"].startswith("PV1|1|I|^^^^^^^^ICU|")
