"""The fast pass, held equal to the complete one on resources of every type. https://hl7.org/fhir/R4/validation.html"""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server import errors, validation
from fhir_server.r4 import definitions
from fhir_server.r4 import json as r4_json
from fhir_server.validation import structure
from fhir_server.validation.issues import issues
from fhir_server.validation.rules import MAX_DEPTH
from fhir_server.validation.structure import is_valid
from tests.unit.validation import generate

LAW = settings(max_examples=300, deadline=None)
SEEDS = st.integers(0, 2**32)


# Too many invariants to be met by chance.
LOGICAL_MODEL = {
    "resourceType": "StructureDefinition",
    "url": "http://example.org/fhir/StructureDefinition/Visit",
    "name": "Visit",
    "status": "draft",
    "kind": "logical",
    "abstract": False,
    "type": "Visit",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Element",
    "derivation": "specialization",
    "differential": {
        "element": [
            {"id": "Visit", "path": "Visit", "min": 0, "max": "*"},
            {"id": "Visit.day", "path": "Visit.day", "min": 1, "max": "1", "type": [{"code": "date"}]},
        ]
    },
}


def errors_of(resource: Any) -> list[errors.Issue]:
    return [issue for issue in issues(resource, warnings=False) if issue.severity == "error"]


@LAW
@given(SEEDS)
def test_both_passes_judge_generated_resources_alike(seed: int) -> None:
    resource = generate.resource(random.Random(seed))
    assert is_valid(resource) == (not errors_of(resource))


@LAW
@given(SEEDS)
def test_both_passes_judge_mutilated_resources_alike(seed: int) -> None:
    rng = random.Random(seed)
    resource = generate.mutated(rng, generate.resource(rng))
    assert is_valid(resource) == (not errors_of(resource))


@pytest.mark.parametrize("name", definitions.load().resource_types)
def test_resources_of_every_type_can_be_valid(name: str) -> None:
    rng = random.Random(name)
    candidates = (generate.node(rng, name, richness) for richness in (0.0, 0.1, 0.5, 0.9) for _ in range(300))
    assert any(is_valid(resource) for resource in [LOGICAL_MODEL] if resource["resourceType"] == name) or any(
        is_valid(resource) for resource in candidates
    )


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=5),
        lambda children: (
            st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(generate.NAMES), children, max_size=4)
        ),
        max_leaves=15,
    )
)
def test_any_json_is_judged_without_an_exception(value: Any) -> None:
    assert is_valid(value) == (not errors_of(value))


def nested(depth: int) -> dict[str, Any]:
    """A Patient whose extensions make ``depth`` objects within each other."""
    extension: dict[str, Any] = {"url": "http://example.org/x", "valueBoolean": True}
    for _ in range(depth - 2):
        extension = {"url": "http://example.org/x", "extension": [extension]}
    return {"resourceType": "Patient", "extension": [extension]}


def test_nesting_is_allowed_up_to_its_bound() -> None:
    assert is_valid(nested(MAX_DEPTH))
    assert not is_valid(nested(MAX_DEPTH + 1))
    assert errors_of(nested(MAX_DEPTH)) == []
    assert [issue.code for issue in errors_of(nested(MAX_DEPTH + 1))] == ["too-long"]


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, MAX_DEPTH + 2, 5000])
def test_deep_bundles_and_primitive_extensions_are_judged_alike(depth: int) -> None:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "collection"}
    for _ in range(depth // 2):
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": bundle}]}
    patient = nested(depth)
    patient["_gender"] = {"extension": patient.pop("extension")}
    for resource in (bundle, patient):
        assert is_valid(resource) == (not errors_of(resource))


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Patient", "birthDate": "2020-02-29", "_birthDate": {"id": "a"}},
        {"resourceType": "Patient", "_gender": {"extension": [generate.EXTENSION]}},
        {
            "resourceType": "Patient",
            "name": [{"given": [None, "B"], "_given": [{"extension": [generate.EXTENSION]}, None]}],
        },
        {"resourceType": "Patient", "name": [{"_given": [{"extension": [generate.EXTENSION]}]}]},
        # A required element may consist of an extension that says why it is absent.
        {"resourceType": "Observation", "_status": {"extension": [generate.EXTENSION]}, "code": {"text": "x"}},
        {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"display": "somebody"}},
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": "Patient?identifier=http://example.org|1"},
        },
        {
            "resourceType": "Patient",
            "contained": [
                {"resourceType": "Organization", "id": "o", "name": "x", "partOf": {"reference": "#o2"}},
                {"resourceType": "Organization", "id": "o2", "name": "y"},
            ],
            "managingOrganization": {"reference": "#o", "type": "Organization"},
        },
        {
            "resourceType": "Questionnaire",
            "status": "draft",
            "item": [
                {
                    "linkId": "1",
                    "type": "boolean",
                    "enableWhen": [{"question": "0", "operator": "exists", "answerBoolean": True}],
                },
            ],
        },
        # A contained resource that points at its container need not be referred to.
        {
            "resourceType": "Patient",
            "contained": [
                {"resourceType": "Basic", "id": "b", "code": {"text": "x"}, "subject": {"reference": "#"}},
            ],
        },
        {
            "resourceType": "Condition",
            "subject": {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
            "clinicalStatus": {"extension": [generate.EXTENSION]},
        },
    ],
)
def test_correct_resources_pass(resource: dict[str, Any]) -> None:
    assert errors_of(resource) == []
    assert is_valid(resource)


def test_contained_resources_are_out_of_reach_for_the_next_resource() -> None:
    inner = {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Organization", "id": "o", "name": "x"}],
        "managingOrganization": {"reference": "#o"},
    }
    outer = {"resourceType": "Patient", "managingOrganization": {"reference": "#o"}}
    entries = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inner}, {"resource": outer}]}
    assert is_valid(inner)
    assert not is_valid(outer)
    assert not is_valid(entries)
    assert [issue.expression for issue in errors_of(entries)] == [
        "Bundle.entry[1].resource.managingOrganization.reference"
    ]


def test_validate_raises_every_error() -> None:
    validation.validate({"resourceType": "Patient"})
    with pytest.raises(errors.Invalid) as raised:
        validation.validate({"resourceType": "Patient", "gender": "x", "birthDate": "y"})
    assert [issue.expression for issue in raised.value.issues] == ["Patient.gender", "Patient.birthDate"]
    with pytest.raises(errors.Invalid, match="not valid"):
        validation.validate({"resourceType": "Patient"}, "Group")


def test_the_complete_pass_decides_where_the_passes_disagree(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(structure, "is_valid", lambda resource: False)
    validation.validate({"resourceType": "Patient"})
    assert "Patient" in caplog.text


def test_functions_can_be_built_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "_resources", {})
    structure.prepare(["Patient", "Group"])
    assert structure._resources.keys() == {"Patient", "Group"}
    structure.prepare()
    assert structure._resources.keys() == set(definitions.load().resource_types)
    with pytest.raises(KeyError):
        structure.prepare(["HumanName"])


def test_functions_may_be_built_by_many_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "_resources", {})
    monkeypatch.setattr(structure, "_functions", {})
    resource = r4_json.parse(b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueInteger":1}')
    answers: list[bool] = []
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        answers.append(is_valid(resource))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 8
