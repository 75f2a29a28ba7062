"""The code systems and value sets of the specification. https://hl7.org/fhir/R4/terminologies-valuesets.html"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.errors import NotFound
from fhir_server.r4 import definitions
from fhir_server.terminology import standard
from fhir_server.terminology.budget import Budget
from fhir_server.terminology.expansion import Expander

DEFINITIONS = Path(__file__).parents[3] / "../shared/data/fhir-r4/definitions.zip"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def expander() -> Expander:
    return Expander(standard, Budget())


def test_hierarchies_of_the_specification() -> None:
    assert expander().below(CLINICAL, "active") == (
        (CLINICAL, "active"), (CLINICAL, "recurrence"), (CLINICAL, "relapse")
    )  # fmt: skip
    intent = "http://hl7.org/fhir/request-intent"
    assert [code for _, code in expander().above(intent, "filler-order")] == ["filler-order", "order"]


def test_value_sets_of_the_specification() -> None:
    vitals = dict.fromkeys(expander().canonical("http://hl7.org/fhir/ValueSet/observation-vitalsignresult"))
    assert ("http://loinc.org", "8480-6") in vitals
    genders = expander().canonical("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1")
    assert [code for _, code in genders] == ["male", "female", "other", "unknown"]
    assert standard.value_set("http://hl7.org/fhir/ValueSet/administrative-gender", "5.0.0") is None
    assert standard.code_system(CLINICAL, "4.0.1") is not None
    assert standard.code_system(CLINICAL, "9") is None


def test_most_of_them_can_be_evaluated() -> None:
    urls = standard._load()[1]
    missing: set[str] = set()
    for url in urls:
        try:
            expander().canonical(url)
        except NotFound as error:
            missing.add(str(error))
    assert len(urls) - len(missing) > 500
    assert any("http://snomed.info/sct is not known here" in one for one in missing)


def test_required_value_sets_are_those_of_validation() -> None:
    for url, systems in definitions.load().value_sets.items():
        if systems:
            found = set(expander().canonical(url))
            assert found == {(system, code) for system, codes in systems.items() for code in codes}


@pytest.mark.skipif(not DEFINITIONS.exists(), reason="the official definitions are not here")
def test_the_pack_holds_the_published_hierarchies() -> None:
    checked = 0
    with zipfile.ZipFile(DEFINITIONS) as archive:
        for name in archive.namelist():
            if not name.startswith("codesystem-") or not name.endswith(".json"):
                continue
            published = json.loads(archive.read(name))
            if published["resourceType"] != "CodeSystem" or published["content"] != "complete":
                continue
            found = standard.code_system(published["url"], "")
            assert found is not None
            if found.version == published.get("version", ""):
                assert _codes(published.get("concept", [])) == _plain(found.concept)
                checked += 1
    assert checked > 400


def _codes(concepts: list[Any]) -> list[Any]:
    return [(one["code"], _codes(one.get("concept", []))) for one in concepts]


def _plain(concepts: Any) -> list[Any]:
    return [(one.code, _plain(one.concept)) for one in concepts]
