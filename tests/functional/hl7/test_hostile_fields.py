"""Whatever stands in a field, a message is stored or a dead letter that says why, and nothing waits. docs/hl7.md"""

from __future__ import annotations

import logging
import random
import re
from functools import partial
from pathlib import Path

import pytest

from fhir_server.store import hl7_messages
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.answers import taken
from hl7_gateway.reading import Read, incoming, read
from tests.functional.hl7.gateway import message
from tests.functional.hl7.ward import Ward

BAD = (
    "\0", "\x01", "\x7f", "\x85", "\ufffe", "\uffff", "\u2028", "\ud7ff", "\U0001f600", "\t", " ",
    "\\X00\\", "\\X0D0A\\", "\\.br\\", "\\.sp3\\", "\\E\\", "\\", '""', "&", "^", "~", "^^^^^^^", "&&&&",
    "$", "{}", "[]",
    "1e400", "-1E-400", "9" * 400, "0" * 30, "NaN", "Infinity", "+", "-", ".", "1.", ".5", "<5", ">=", "1:2", "0",
    "20260230", "00000000", "99999999999999", "202613", "2026-01-01", "20260101120000+9999", "20261231235960",
    "javascript:alert(1)", "urn:oid:x", "http://", "Patient/1", "#x", "urn:draft:Patient#1", "a" * 70_000,
)  # fmt: skip
"""What a sender, or somebody who means harm, puts into a field."""


def spoiled(chance: random.Random, text: str) -> bytes:
    """A message with a few of its fields spoiled, and perhaps a segment lost or sent twice."""
    segments = [line for line in re.split(r"[\r\n]+", text) if line]
    for _ in range(chance.choice([1, 1, 2, 5, 12])):
        place = chance.randrange(len(segments))
        kind = chance.random()
        if kind < 0.1:
            segments.insert(chance.randrange(1, len(segments) + 1), segments[place])
        elif kind < 0.15 and place:
            del segments[place]
        else:
            segments[place] = _spoiled(chance, segments[place], 1 if place else 2)
    return ("\r".join(segments) + "\r").encode("utf-8", "replace")


def _spoiled(chance: random.Random, segment: str, first: int) -> str:
    fields = segment.split("|")
    if len(fields) <= first:
        fields += [""] * chance.randrange(2, 30)
    place = chance.randrange(first, len(fields))
    parts = re.split(r"([\^~&])", fields[place])
    part, bad = chance.randrange(len(parts)), chance.choice(BAD)
    parts[part] = chance.choice([bad, parts[part] + bad, bad + parts[part]])
    fields[place] = "".join(parts)
    return "|".join(fields)


@pytest.mark.attack
@pytest.mark.parametrize("seed", range(3))
def test_whatever_stands_in_fields(
    app_database: Database, tenant: Tenant, shared_data: Path, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    ward, chance = Ward(app_database, tenant), random.Random(seed)
    (feed,) = [one for one in ward.feeds.all if one.tenant_id == tenant.id]
    samples = [path.read_text(errors="replace") for path in sorted((shared_data / "hl7v2").rglob("*.hl7"))]
    assert samples
    kept = 0
    with caplog.at_level(logging.ERROR):
        for _ in range(30):
            told = {}
            for _ in range(16):
                found = read(feed, spoiled(chance, chance.choice(samples)))
                if isinstance(found, Read) and found.message is not None:
                    later = taken(found.message, later=False) if found.problem is None else b""
                    one = incoming(found, ward.hasher, later)
                    told[one.fingerprint] = one
            keep = partial(hl7_messages.keep, tenant_id=tenant.id, many=list(told.values()), now=7)
            kept += sum(one.new for one in app_database.transaction(tenant.id, keep))
            ward.work()
    found_dead, stored = ward.found(state="dead"), ward.found(state="stored")
    assert kept == len(found_dead) + len(stored)
    assert len(stored) > 0.8 * kept
    assert [one.problem for one in found_dead if "incident" in str(one.problem)] == []
    assert all((one.problem or {}).get("code") for one in found_dead)
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("company", ["urn:draft:Nobody#1", "urn:draft:Patient#1", "urn:draft:Organization#1"])
def test_a_name_that_looks_like_one_of_ours_is_a_name(app_database: Database, tenant: Tenant, company: str) -> None:
    ward = Ward(app_database, tenant)
    ward.keep(message("1", rest=f"IN1|1|PLAN||{company}\r"), message("2", rest=f"IN1|1|PLAN||{company}\r"))
    assert ward.work() == 2
    assert [(one.state, one.problem) for one in ward.found()] == [("stored", None)] * 2
    asked = "SELECT body ->> 'name', version FROM resource r JOIN resource_type t ON t.id = r.type_id"
    assert ward.rows(f"{asked} WHERE t.name = 'Organization'") == [(company, 1)]


@pytest.mark.parametrize("space", ["\x85", "\xa0", "\u2003\u2028", "\u3000 ", "\u200b", "\ufeff"])
def test_white_space_of_any_kind_is_no_text(app_database: Database, tenant: Tenant, space: str) -> None:
    ward = Ward(app_database, tenant)
    header = message("1").decode().split("\r")
    header[0] += "|" * (17 - header[0].count("|")) + "UNICODE UTF-8"
    result = ["OBR|1||R1^LAB|24317-0^Hemogram^LN|||20260101070000||||||||||||||||||F"]
    for number, kind in enumerate(("ST", "TX", "FT", "CE", "CWE", "NM", "SN", "XPN", "ED", "RP", "DT", "")):
        result.append(f"OBX|{number}|{kind}|718-{number}^{space}^LN|{space}|{space}||||||F")
    result += [f"NTE|1||{space}"]
    ward.keep("\r".join([header[0].replace("ADT^A01", "ORU^R01"), *header[1:-1], *result, ""]).encode())
    assert ward.work() == 1
    assert [(one.state, one.problem) for one in ward.found()] == [("stored", None)]
