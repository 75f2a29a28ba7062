"""Every example of the specification can be told, and read again. https://hl7.org/fhir/R4/downloads.html"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.r4 import json
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.registry import FAMILIES
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.lint import lint
from hl7_gateway.message import Message
from hl7_gateway.outbound.building.message import Change, build
from hl7_gateway.outbound.building.sources import Untold
from hl7_gateway.outbound.rules import MESSAGES, Configuration
from tests.unit.hl7_gateway.outbound.samples import PATIENT, Shelf

AT = "2024-05-05T01:02:03.000Z"


@pytest.fixture(scope="module")
def examples(shared_data: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(shared_data / "fhir-r4/examples.zip") as pack:
        files = [pack.read(name) for name in pack.namelist() if name.partition("-")[0].lower() in _NAMES]
    return [one for raw in files for one in _opened(json.parse(raw))]


_NAMES = frozenset(
    {*map(str.lower, MESSAGES), "practitioner", "location", "organization", "specimen", "servicerequest"}
)


def _opened(found: Any) -> Iterator[dict[str, Any]]:
    if found.get("resourceType") == "Bundle":
        for entry in found.get("entry", ()):
            yield from _opened(entry.get("resource", {}))
    elif "id" in found:
        yield found


class Anyone(Shelf):
    """The examples, whose patients are not all among them."""

    def read(self, kind: str, number: str, version: int = 0) -> Any:
        return super().read(kind, number) or (PATIENT if kind == "Patient" else None)


@pytest.mark.parametrize("version", ["2.5.1", "2.8"])
def test_every_example(examples: list[dict[str, Any]], version: str) -> None:
    told = [one for one in examples if one["resourceType"] in MESSAGES]
    assert {one["resourceType"] for one in told} == set(MESSAGES)
    shelf, configuration = Anyone(*examples), Configuration("host", 1, (), version=version)
    made = 0
    for one in told:
        subject = {"subject": {"reference": "Patient/p"}}
        resource = one if one["resourceType"] in ("Patient", "Appointment") else {**one, **subject}
        try:
            found = build(Change(one["resourceType"], None, resource, AT, AT), "C1", shelf, configuration)
        except Untold:
            continue
        made += 1
        message = Message(found.raw.decode())
        where = f"{one['resourceType']}/{one['id']}"
        assert [finding for finding in lint(message) if finding.severity == "E"] == [], where
        if message.message_type in FAMILIES:
            conversion = convert(message, FeedMapping("x"))
            assert conversion.warnings == [], where
            assert {place.segment for place in conversion.unmapped} <= {"EVN", "NK1"}, where
    assert made > 0.9 * len(told)
