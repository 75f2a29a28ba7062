"""What HL7 and Synthea publish is valid here, but for a short list with reasons. https://hl7.org/fhir/R4/validation.html"""

from __future__ import annotations

import bz2
import functools
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.r4 import json as r4_json
from fhir_server.validation.issues import issues
from fhir_server.validation.structure import is_valid
from tests.conformance.invalid_examples import INVALID_DEFINITIONS, INVALID_EXAMPLES
from tests.unit.validation import generate

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


@functools.lru_cache(maxsize=1)
def small_valid_examples() -> list[dict[str, Any]]:
    examples = [resource for _, resource in read("examples.zip") if is_valid(resource)]
    return [resource for resource in examples if len(r4_json.dumps(resource)) < 10_000]


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**32))
def test_both_passes_agree_on_mutilated_examples(seed: int) -> None:
    rng = random.Random(seed)
    resource = generate.mutated(rng, rng.choice(small_valid_examples()))
    assert is_valid(resource) == (not errors_of(resource))


@functools.lru_cache(maxsize=1)
def examples_of_a_second_opinion() -> list[dict[str, Any]]:
    return [resource for resource in small_valid_examples() if second_opinion(resource)]


def second_opinion(resource: dict[str, Any]) -> bool:
    """Whether fhir.resources can read a resource; it knows R4B only, and neither codes nor invariants."""
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate_json(r4_json.dumps(resource))
    except (ValueError, KeyError, LookupError):
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_valid_here_is_readable_by_another_implementation(seed: int) -> None:
    rng = random.Random(seed)
    resource = generate.mutated(rng, rng.choice(examples_of_a_second_opinion()))
    # fhir.resources does not know extensions of extensions' values, and that an extension satisfies a required choice.
    if is_valid(resource) and b'"_' not in r4_json.dumps(resource):
        assert second_opinion(resource)


def test_definitions_are_valid_but_for_the_listed_places() -> None:
    places = set()
    for _, resource in read("definitions.zip"):
        if "resourceType" not in resource:
            continue
        for one in [e["resource"] for e in resource["entry"]] if resource["resourceType"] == "Bundle" else [resource]:
            if not is_valid(one):
                places |= set(errors_of(one))
    assert places == set(INVALID_DEFINITIONS)


@pytest.mark.attack
def test_every_resource_of_synthea_is_valid() -> None:
    for path in sorted((DATA / "synthea").glob("*.bz2")):
        bundle = r4_json.parse(bz2.decompress(path.read_bytes()))
        # A bundle is valid if its entries are.
        assert is_valid(bundle), errors_of(bundle)
