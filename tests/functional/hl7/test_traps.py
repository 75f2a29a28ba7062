"""What integrations stumble over, from a socket to what REST answers. docs/hl7.md

Keeping, acknowledging and refusing are in test_receive.py, test_serve.py and test_worker.py.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.store import hl7_feeds
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from tests.functional.conftest import Api
from tests.functional.hl7.gateway import Gateway
from tests.functional.hl7.ward import worker_of

Json = dict[str, Any]


def adt(event: str, *segments: str, control_id: str = "", charset: str = "") -> bytes:
    header = f"MSH|^~\\&|EPIC|HOSP|FHIR|CLINIC|20260101120000||ADT^{event}|{control_id or random.random()}|P|2.5.1"
    return "\r".join([header + ("|" * 6 + charset if charset else ""), *segments, ""]).encode(
        "latin-1" if charset == "8859/1" else "utf-8"
    )


def oru(*segments: str, control_id: str = "") -> bytes:
    header = f"MSH|^~\\&|LAB|HOSP|FHIR|CLINIC|20260101120000||ORU^R01|{control_id or random.random()}|P|2.5.1"
    return "\r".join([header, *segments, ""]).encode()


def pid(number: str = "123", authority: str = "A", rest: str = "DOE^JANE") -> str:
    return f"PID|1||{number}^^^{authority}^MR||{rest}"


def pv1(fields: dict[int, str]) -> str:
    known = {2: "I", 19: "V1^^^A^VN"} | fields
    return "|".join(["PV1", *(known.get(number, "") for number in range(1, max(known) + 1))])


OBR = "OBR|1||F1^LAB|24317-0^Hemogram^LN|||20260101070000||||||||||||||||||{}"


class Wire:
    """A clinic's gateway, and what REST answers of what came through it."""

    def __init__(self, database: Database, tenant: Tenant, api: Api) -> None:
        self.database = database
        self.tenant = tenant
        self.gateway = Gateway(database, tenant)
        self.api = api
        self.feed: dict[str, Any] = {"zone": "America/New_York"}

    def send(self, *raws: bytes) -> list[str]:
        """Send messages over one connection, then convert what waits; the codes of the answers."""
        # The same feed on another port.
        self.database.transaction(self.tenant.id, lambda c: hl7_feeds.remove(c, self.tenant.id, "lab"))
        self.gateway = Gateway(self.database, self.tenant)

        async def scenario() -> list[str]:
            async with asyncio.timeout(60), self.gateway.serving(**self.feed):
                sender = await self.gateway.connect()
                return [(await sender.send(raw)).code for raw in raws]

        codes = asyncio.run(scenario())
        worker = worker_of(self.gateway)
        while worker.once(self.tenant.id):
            pass
        return codes

    def all(self, query: str) -> list[Json]:
        found: list[Json] = self.api.get(query).json.get("entry", [])
        return [entry["resource"] for entry in found]

    def one(self, query: str) -> Json:
        (found,) = self.all(query)
        return found


@pytest.fixture
def wire(app_database: Database, tenant: Tenant, new_api: Callable[..., Api]) -> Wire:
    return Wire(app_database, tenant, new_api(slug=tenant.slug))


def test_06_escapes_are_resolved(wire: Wire) -> None:
    text = "OBX|1|ST|x^X^L||a\\.br\\b\\X41\\c\\F\\d\\E\\e||||||F"
    assert wire.send(oru(pid(rest="SMITH \\T\\ SONS"), OBR.format("F"), text)) == ["AA"]
    assert wire.one("Patient")["name"][0]["family"] == "SMITH & SONS"
    assert wire.one("Observation")["valueString"] == "a\nbAc|d\\e"


def test_07_null_takes_away_and_empty_leaves(wire: Wire) -> None:
    wire.send(adt("A28", pid(rest="DOE^JANE||19610615|F|||1 MAIN ST^^TOWN||555-1^PRN^PH")))
    assert wire.one("Patient")["telecom"]
    wire.send(adt("A08", pid(rest='DOE^JANE||19610615|F|||||""')))
    patient = wire.one("Patient")
    assert "telecom" not in patient
    assert patient["address"][0]["city"] == "TOWN"
    assert '""' not in str(patient)


@pytest.mark.parametrize("charset", ["8859/1", "UNICODE UTF-8"])
def test_08_character_sets(wire: Wire, charset: str) -> None:
    wire.send(adt("A28", pid(rest="D\u00e9SIR\u00e9E^JANE"), charset=charset))
    assert wire.one("Patient")["name"][0]["family"] == "D\u00e9SIR\u00e9E"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("1961", "1961"), ("196106", "1961-06"), ("202408181126", "2024-08-18T11:26:00-04:00"),
     ("20240818112615.1234-0600", "2024-08-18T11:26:15.1234-06:00")],
)  # fmt: skip
def test_09_times_keep_their_precision(wire: Wire, sent: str, stored: str) -> None:
    wire.send(oru(pid(), OBR.format("F"), f"OBX|1|TS|x^X^L||{sent}||||||F"))
    assert wire.one("Observation")["valueDateTime"] == stored


def test_09_zeros_are_absent(wire: Wire) -> None:
    wire.send(adt("A28", pid(rest="DOE^JANE||00000000|F")))
    assert "birthDate" not in wire.one("Patient")
    (found,) = wire.gateway.found()
    assert wire.gateway.whole(found.id).warnings == {
        "warnings": [{"place": "PID-7", "said": "A time of nothing but zeros tells no time. It was left out."}],
        "unmapped": [],
        "bytes_received": len(wire.gateway.whole(found.id).raw),
        "bytes_unmapped": 0,
    }


def test_10_a_number_is_of_its_authority(wire: Wire, app_database: Database, new_tenant: Callable[[], Tenant],
                                         new_api: Callable[..., Api]) -> None:  # fmt: skip
    wire.send(adt("A28", pid(authority="A")), adt("A28", pid(authority="B")))
    assert len(wire.all("Patient")) == 2
    other = new_tenant()
    beside = Wire(app_database, other, new_api(slug=other.slug))
    beside.send(adt("A28", pid("999")))
    assert len(beside.all("Patient")) == 1
    assert len(wire.all("Patient")) == 2


def test_10_results_before_the_patient(wire: Wire) -> None:
    wire.send(oru("PID|1||123^^^A^MR", OBR.format("F"), "OBX|1|NM|x^X^L||5||||||F"))
    before = wire.one("Patient")
    wire.send(adt("A04", pid(rest="DOE^JANE||19610615|F"), pv1({})))
    after = wire.one("Patient")
    assert (after["id"], after["birthDate"]) == (before["id"], "1961-06-15")


def test_11_a_merge_and_what_comes_after_it(wire: Wire) -> None:
    wire.send(adt("A28", pid("123")), adt("A28", pid("456")))
    merge = adt("A40", pid("456"), "MRG|123^^^A^MR", control_id="M1")
    wire.send(merge)
    retired, survivor = wire.one("Patient?identifier=123"), wire.one("Patient?identifier=456")
    assert retired["active"] is False
    assert retired["link"] == [{"other": {"reference": f"Patient/{survivor['id']}"}, "type": "replaced-by"}]
    wire.send(oru(pid("123"), OBR.format("F"), "OBX|1|NM|x^X^L||5||||||F"))
    assert wire.one("Observation")["subject"]["reference"] == f"Patient/{survivor['id']}"
    versions = [one["meta"]["versionId"] for one in wire.all("Patient?_sort=_id")]
    wire.send(merge)
    assert [one["meta"]["versionId"] for one in wire.all("Patient?_sort=_id")] == versions


def test_11_two_merges_in_one_message(wire: Wire) -> None:
    wire.send(adt("A40", pid("2"), "MRG|1^^^A", pid("4"), "MRG|3^^^A"))
    assert len(wire.all("Patient?active=false")) == 2


@pytest.mark.parametrize(
    ("events", "status"),
    [
        (["A01", "A11"], "cancelled"),
        (["A01", "A03", "A13"], "in-progress"),
        (["A01", "A03", "A08"], "finished"),
        (["A05"], "planned"),
        (["A05", "A38"], "cancelled"),
        (["A14"], "planned"),
        (["A14", "A27"], "cancelled"),
        (["A05", "A04"], "in-progress"),
        (["A04", "A06"], "in-progress"),
        (["A01", "A07"], "in-progress"),
        (["A01", "A21"], "onleave"),
        (["A01", "A21", "A22"], "in-progress"),
        (["A01", "A23"], "entered-in-error"),
        (["A01", "A21", "A52"], "in-progress"),
        (["A01", "A21", "A22", "A53"], "onleave"),
        (["A01", "A21", "A54"], "onleave"),
        (["A01", "A54", "A55"], "in-progress"),
    ],
)
def test_12_the_life_of_a_visit(wire: Wire, events: list[str], status: str) -> None:
    wire.send(*(adt(event, f"EVN|{event}|20260101", pid(), pv1({})) for event in events))
    encounter = wire.one("Encounter")
    assert encounter["status"] == status
    assert ("end" in encounter.get("period", {})) == (status == "finished")


def test_12_a_transfer_is_taken_back(wire: Wire) -> None:
    here, there = pv1({3: "W1^R1^B1"}), pv1({3: "W2^R2^B2", 6: "W1^R1^B1"})
    wire.send(adt("A01", pid(), here))
    before = wire.one("Encounter")["location"]
    wire.send(adt("A02", pid(), there))
    assert len(wire.one("Encounter")["location"]) == 2
    wire.send(adt("A12", pid(), here))
    assert wire.one("Encounter")["location"] == before


def test_12_others_survive_a_person_who_is_taken_out(wire: Wire) -> None:
    wire.send(adt("A01", pid(), pv1({7: "77^WHO^DOC^^^^^^NPI"})), adt("A29", pid()))
    assert wire.one("Patient")["active"] is False
    assert wire.one("Practitioner")["name"][0]["family"] == "WHO"
    assert wire.one("Encounter")["status"] == "in-progress"


def test_13_the_life_of_a_result(wire: Wire) -> None:
    seen = []
    for sent in "PFCD":
        wire.send(oru(pid(), OBR.format(sent), f"OBX|1|NM|718-7^Hb^LN|1|13|g/dL|||||{sent}"))
        seen.append(wire.one("Observation")["status"])
    assert seen == ["preliminary", "final", "corrected", "entered-in-error"]
    wire.send(oru(pid(), OBR.format("X"), "OBX|1|NM|718-7^Hb^LN|1|||||||X"))
    assert wire.one("Observation")["status"] == "cancelled"


def test_13_values_that_are_not_plain_numbers(wire: Wire) -> None:
    wire.send(oru(pid(), OBR.format("F"), "OBX|1|SN|a^A^L||>^100||||||F", "OBX|2|NM|b^B^L||<5||||||F",
                  "OBX|3|ST|c^C^L||one~two||||||F"))  # fmt: skip
    assert wire.one("Observation?code=a")["valueQuantity"] == {"value": 100, "comparator": ">"}
    assert wire.one("Observation?code=b")["valueQuantity"] == {"value": 5, "comparator": "<"}
    assert wire.one("Observation?code=c")["valueString"] == "one\ntwo"


def test_14_data_are_what_was_sent(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    sent = base64.b64encode(random.Random(1).randbytes(50_000)).decode()
    wire.send(oru(pid(), OBR.format("F"), f"OBX|1|ED|r^R^L||^AP^PDF^Base64^{sent}||||||F"))
    assert wire.one("DocumentReference")["content"][0]["attachment"]["data"] == sent
    header = "MSH|^~\\&|EPIC|HOSP|FHIR|CLINIC|20260101120000||MDM^{}|{}|P|2.5.1"
    first = [header.format("T02", "d1"), pid(), "TXA|1|DS||||20260101||||||D1^HOSP|||||AU", "OBX|1|TX|n^N||one||||||F",
             "OBX|2|TX|n^N||two||||||F", "OBX|3|RP|p^P||https://pacs.example/1^^AP^PDF||||||F", ""]  # fmt: skip
    second = [header.format("T10", "d2"), pid(), "TXA|1|DS||||20260102||||||D2^HOSP|D1^HOSP||||AU",
              "OBX|1|TX|n^N||three||||||F", ""]  # fmt: skip
    assert wire.send("\r".join(first).encode(), "\r".join(second).encode()) == ["AA", "AA"]
    old = wire.one("DocumentReference?identifier=D1")
    text, pointer = (one["attachment"] for one in old["content"])
    assert base64.b64decode(text["data"]) == b"one\ntwo"
    assert pointer["url"] == "https://pacs.example/1"
    assert old["status"] == "superseded"
    relation = wire.one("DocumentReference?identifier=D2")["relatesTo"]
    assert relation == [{"code": "replaces", "target": {"reference": f"DocumentReference/{old['id']}"}}]
    assert "DOE" not in caplog.text
    assert sent[:40] not in caplog.text


def test_15_odd_forms(wire: Wire) -> None:
    odd = "\n".join(
        ["MSH|^~\\&#|LAB|HOSP|FHIR|CLINIC|20260101120000||ORU|o1|P|2.5.1", "EVN|R01", pid(), "ZPI|1|x",
         OBR.format("F"), "OBX|1|NM|x^X^L||5||||||F", "DG1|1||I50.9^Heart failure^I10"]
    )  # fmt: skip
    colons = adt("A28", pid("456")).replace(b"|", b":").replace(b"^", b";")
    assert wire.send(odd.encode(), colons) == ["AA", "AA"]
    assert wire.one("Condition")["code"]["coding"][0]["code"] == "I50.9"
    assert len(wire.all("Patient")) == 2
    (found,) = wire.gateway.found(control_id="o1")
    assert "ZPI-2" in (wire.gateway.whole(found.id).warnings or {})["unmapped"]
