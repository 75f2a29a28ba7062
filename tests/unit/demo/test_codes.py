"""Codes and displays of HL7's own systems, against the official definitions. https://hl7.org/fhir/R4/terminologies-systems.html"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DEFINITIONS = Path(__file__).parents[3] / "../shared/data/fhir-r4/definitions.zip"


def test_a_code_has_one_display(bundles: list[dict[str, Any]]) -> None:
    displays: dict[tuple[str, str], set[str]] = {}
    for coding in _codings(bundles):
        displays.setdefault((coding["system"], coding["code"]), set()).add(coding["display"])
    assert len(displays) > 200
    assert not {code: names for code, names in displays.items() if len(names) > 1}


@pytest.mark.skipif(not DEFINITIONS.exists(), reason="needs the official definitions")
def test_codes_of_hl7_are_defined_with_their_displays(bundles: list[dict[str, Any]]) -> None:
    defined = dict(_defined())
    used = {(each["system"], each["code"], each["display"]) for each in _codings(bundles)}
    systems = {system for system, _ in defined}
    ours = {each for each in used if each[0] in systems}
    assert len(ours) > 40
    assert not {each: defined.get(each[:2]) for each in ours if defined.get(each[:2]) != each[2]}


def _defined() -> Iterator[tuple[tuple[str, str], str]]:
    with zipfile.ZipFile(DEFINITIONS) as archive:
        for name in archive.namelist():
            if not name.endswith(".json"):
                continue
            resource = json.loads(archive.read(name))
            if resource["resourceType"] == "CodeSystem":
                for concept in _concepts(resource):
                    yield (resource["url"], concept["code"]), concept.get("display", "")


def _concepts(parent: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for concept in parent.get("concept", ()):
        yield concept
        yield from _concepts(concept)


def _codings(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        if {"system", "code", "display"} <= value.keys():
            yield value
        for each in value.values():
            yield from _codings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _codings(each)
