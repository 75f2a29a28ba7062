"""What HL7 and Synthea publish is valid here, but for a short list with reasons. https://hl7.org/fhir/R4/validation.html"""

from __future__ import annotations

import bz2
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.r4 import json as r4_json
from fhir_server.validation.issues import issues
from fhir_server.validation.structure import is_valid
from tests.conformance.invalid_examples import INVALID_DEFINITIONS, INVALID_EXAMPLES

DATA = Path(__file__).parents[3] / "shared/data"

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the official definitions and examples are not here")


def read(name: str) -> Iterator[tuple[str, Any]]:
    """The JSON files of an archive, by their names."""
    with zipfile.ZipFile(DATA / "fhir-r4" / name) as archive:
        for path in sorted(archive.namelist()):
            if path.endswith(".json"):
                yield Path(path).name, r4_json.parse(archive.read(path))


def errors_of(resource: Any) -> list[str]:
    return [issue.expression for issue in issues(resource, warnings=False)]


def test_examples_are_valid_but_for_the_listed_ones() -> None:
    found = {name: errors_of(resource)[:1] for name, resource in read("examples.zip") if not is_valid(resource)}
    assert found == {name: [place] for name, (place, _) in INVALID_EXAMPLES.items()}


def test_both_passes_agree_on_every_example() -> None:
    for name, resource in read("examples.zip"):
        assert is_valid(resource) == (not errors_of(resource)), name


def test_definitions_are_valid_but_for_the_listed_places() -> None:
    places = set()
    for _, resource in read("definitions.zip"):
        if "resourceType" not in resource:
            continue
        for one in [e["resource"] for e in resource["entry"]] if resource["resourceType"] == "Bundle" else [resource]:
            if not is_valid(one):
                places |= set(errors_of(one))
    assert places == set(INVALID_DEFINITIONS)


def test_every_resource_of_synthea_is_valid() -> None:
    for path in sorted((DATA / "synthea").glob("*.bz2")):
        bundle = r4_json.parse(bz2.decompress(path.read_bytes()))
        wrong = [entry["resource"] for entry in bundle["entry"] if not is_valid(entry["resource"])]
        assert [errors_of(resource) for resource in wrong] == []
        assert is_valid(bundle)
