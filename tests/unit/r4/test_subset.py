"""fhir_server/r4/subset.py"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from fhir_server.r4 import definitions
from fhir_server.r4.subset import SUBSETTED, is_subset, subset

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"versionId": "1", "tag": [{"system": "http://example.org", "code": "x"}]},
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "modifierExtension": [{"url": "http://example.org/never", "valueBoolean": True}],
    "name": [{"family": "Chalmers", "period": {"start": "2001"}}],
    "birthDate": "1974-12-25",
    "_birthDate": {"extension": [{"url": "http://example.org/time", "valueTime": "10:00:00"}]},
    "deceasedBoolean": True,
    "maritalStatus": {"text": "married"},
    "contact": [{"name": {"family": "du Marché"}}],
    "link": [{"other": {"reference": "Patient/2"}, "type": "seealso"}],
}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"text": "BP"},
    "valueQuantity": {"value": 1},
    "note": [{"text": "n"}],
    "component": [
        {"id": "c", "code": {"text": "systolic"}, "interpretation": [{"text": "high"}], "valueString": "120"},
    ],
}


def names(resource: dict[str, object]) -> set[str]:
    return set(resource) - {"resourceType", "id", "meta"}


def test_summary_true_keeps_the_summary_elements() -> None:
    cut = subset(PATIENT, summary="true")
    assert names(cut) == {"modifierExtension", "name", "birthDate", "_birthDate", "deceasedBoolean", "link"}
    assert cut["name"] == PATIENT["name"]


def test_summary_true_goes_into_backbones() -> None:
    cut = subset(OBSERVATION, summary="true")
    assert cut["component"] == [{"id": "c", "code": {"text": "systolic"}, "valueString": "120"}]
    assert "note" not in cut


def test_summary_text_keeps_narrative_and_mandatory_elements() -> None:
    assert names(subset(PATIENT, summary="text")) == {"text"}
    assert names(subset(OBSERVATION, summary="text")) == {"status", "code"}


def test_summary_data_leaves_only_the_narrative_out() -> None:
    assert names(PATIENT) - names(subset(PATIENT, summary="data")) == {"text"}


@pytest.mark.parametrize("summary", ["", "false", "count"])
def test_otherwise_the_resource_stays_whole(summary: str) -> None:
    assert subset(PATIENT, summary=summary) is PATIENT


def test_elements_keep_mandatory_and_modifier_elements() -> None:
    assert names(subset(OBSERVATION, elements=["value"])) == {"status", "code", "valueQuantity"}
    assert names(subset(PATIENT, elements=["birthDate"])) == {
        "birthDate", "_birthDate", "deceasedBoolean", "modifierExtension", "link",
    }  # fmt: skip


@pytest.mark.parametrize("how", [{"summary": "true"}, {"summary": "text"}, {"summary": "data"}, {"elements": ["name"]}])
def test_is_tagged_once_beside_other_tags_and_the_original_unchanged(how: dict[str, object]) -> None:
    before = json.dumps(PATIENT)
    once = subset(PATIENT, **how)  # type: ignore[arg-type]
    assert once["meta"] == {"versionId": "1", "tag": [{"system": "http://example.org", "code": "x"}, SUBSETTED]}
    assert subset(once, **how)["meta"] == once["meta"]  # type: ignore[arg-type]
    assert json.dumps(PATIENT) == before
    assert next(iter(once)) == "resourceType"


def test_summary_of_official_examples_keeps_what_is_mandatory(shared_data: Path) -> None:
    types = definitions.load().types
    archive = zipfile.ZipFile(shared_data / "fhir-r4/examples.zip")
    for path in [name for name in archive.namelist() if name.endswith(".json")][::8]:
        resource = json.loads(archive.read(path))
        if resource.get("resourceType") not in types:
            continue
        kept = subset(resource, summary="true")
        for element in types[resource["resourceType"]].elements.values():
            for name in element.json_names():
                if element.min and name in resource:
                    assert name in kept, (path, name)


def test_what_says_that_it_is_a_part() -> None:
    patient = {"resourceType": "Patient", "active": True, "name": [{"family": "A"}]}
    assert is_subset(subset(patient, elements=("active",)))
    assert not is_subset(patient)
    for meta in (
        None,
        [],
        "x",
        {},
        {"tag": None},
        {"tag": {}},
        {"tag": ["SUBSETTED"]},
        {"tag": [{"code": "SUBSETTED"}]},
    ):
        assert not is_subset({"resourceType": "Patient", "meta": meta})
