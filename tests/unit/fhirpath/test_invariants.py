"""The invariants of R4: all compile, official examples satisfy them, another engine agrees."""

from __future__ import annotations

import json as stdlib_json
from collections import Counter
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from fhir_server.fhirpath import nodes
from fhir_server.fhirpath.compiler import compile_step, run
from fhir_server.fhirpath.errors import EvaluationError
from fhir_server.fhirpath.generate import generate
from fhir_server.fhirpath.invariants import compile_invariant, elements_named
from fhir_server.fhirpath.parser import parse
from fhir_server.r4 import definitions
from tests.unit.fhirpath.corpus import elements, examples, needs_examples

FACTS = definitions.load()


def bindings() -> dict[str, set[str]]:
    """The types of the elements that each invariant binds."""
    types: dict[str, set[str]] = {key: set() for key in FACTS.constraints}
    for definition in FACTS.types.values():
        for key in definition.invariants:
            types[key].add(definition.name)
        for element in definition.elements.values():
            for key in element.invariants:
                types[key] |= {ref.code for ref in element.types}
    return types


def test_every_invariant_compiles_for_every_type_that_carries_it() -> None:
    compiled = 0
    for key, types in bindings().items():
        assert types, key
        for type_name in sorted(types)[:40]:
            assert callable(compile_invariant(FACTS.constraints[key].expression, type_name))
            compiled += 1
    assert compiled > 400


BROKEN = {
    "que-2": "the questionnaires generated from resource types repeat linkIds",
    "txt-2": "the narrative of questionnaire-zika-virus-exposure-assessment.json is blank",
    "txt-1": "the same narrative",
}
"""Invariants (severity error) that official examples break, with the reason."""


@needs_examples
def test_official_examples_satisfy_the_invariants() -> None:
    broken: Counter[str] = Counter()
    checked = 0
    for _, resource in examples(150_000):
        memo: dict[Any, Any] = {}
        for node, around, outermost, keys in elements(resource):
            for key in keys:
                checked += 1
                shared = memo if outermost is resource else {}
                expression = FACTS.constraints[key].expression
                if not compile_invariant(expression, node.type)(node, around, outermost, shared):
                    broken[key] += FACTS.constraints[key].severity == "error"
    assert checked > 50_000
    assert {key for key, count in broken.items() if count} == set(BROKEN)


def test_generated_source_and_closures_agree() -> None:
    compared = 0
    for name, resource in examples(60_000):
        for node, around, outermost, keys in elements(resource):
            if not isinstance(node.value, dict):
                continue
            for key in keys:
                if key == "ele-1":
                    continue
                holds = compile_invariant(FACTS.constraints[key].expression, node.type)
                fresh = nodes.Node(node.value, node.type)
                assert holds(node.value, around, outermost) == holds(fresh, around, outermost), (name, key)
                compared += 1
    assert compared > 30


def _without(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [{k: v for k, v in value.items() if k != name} for name in value if name != "resourceType"]


def test_generated_source_and_closures_agree_when_elements_are_missing() -> None:
    outcomes: Counter[bool] = Counter()
    for name, resource in examples(4_000):
        for node, around, outermost, keys in elements(resource):
            if not isinstance(node.value, dict):
                continue
            for key in set(keys) - {"ele-1"}:
                holds = compile_invariant(FACTS.constraints[key].expression, node.type)
                for value in _without(node.value):
                    fast = holds(value, around, outermost)
                    assert fast == holds(nodes.Node(value, node.type), around, outermost), (name, key, sorted(value))
                    outcomes[fast] += 1
    assert outcomes[True] > 50
    assert outcomes[False] > 5


NOT_IN_FHIRPATHPY = {
    "age-1": "hasValue",
    "bdl-10": "hasValue",
    "ele-1": "hasValue",
    "per-1": "hasValue",
    "ctm-1": "resolve",
    "txt-1": "htmlChecks",
    "txt-2": "htmlChecks",
    "dom-3": "as on several items",
    "rng-2": "order of quantities",
    "ras-2": "order of decimals: it needs floats",
}
"""Invariants that fhirpathpy 2.2 cannot evaluate, with what it lacks."""


@pytest.mark.filterwarnings("ignore")
def test_fhirpathpy_gives_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    seen: Counter[str] = Counter()
    for name, resource in examples(30_000):
        for node, around, outermost, keys in elements(resource):
            for key in set(keys) - set(NOT_IN_FHIRPATHPY):
                if node.value is None or seen[key] >= 5:
                    continue
                seen[key] += 1
                expression = FACTS.constraints[key].expression
                try:
                    items = run(compile_step(expression), nodes.Node(node.value, node.type), around, outermost)
                    ours: Any = [item.value if isinstance(item, nodes.Node) else item for item in items]
                except EvaluationError:
                    ours = EvaluationError
                focus = stdlib_json.loads(stdlib_json.dumps(node.value, default=float))
                path: Any = (
                    expression if nodes.table(node.type).resource else {"base": node.type, "expression": expression}
                )
                theirs = fhirpathpy.evaluate(focus, path, {"resource": around, "rootResource": outermost}, models["r4"])
                assert ours == theirs, (name, node.location(), key)
    capsys.readouterr()  # what trace() prints there
    assert sum(seen.values()) > 50


def holds(key: str, type_name: str, value: Any, resource: dict[str, Any] | None = None) -> bool:
    around = resource or {"resourceType": "Basic"}
    return compile_invariant(FACTS.constraints[key].expression, type_name)(value, around, around)


@pytest.mark.parametrize(
    ("key", "type_name", "value", "expected"),
    [
        ("ref-1", "Reference", {"identifier": {"value": "9"}}, True),
        ("ref-1", "Reference", {"reference": "Patient/1"}, True),
        ("ref-1", "Reference", {"reference": "#gone"}, False),
        ("vsd-9", "ValueSet.expansion.contains", {"display": "heading"}, False),
        ("vsd-9", "ValueSet.expansion.contains", {"display": "heading", "abstract": True}, True),
        ("que-13", "Questionnaire.item", {"initial": [{}, {}]}, False),
        ("que-13", "Questionnaire.item", {"initial": [{}, {}], "repeats": True}, True),
        ("bdl-8", "Bundle.entry", {"resource": {}}, True),
        ("bdl-8", "Bundle.entry", {"fullUrl": "http://x/Patient/1/_history/2"}, False),
        ("ras-2", "RiskAssessment.prediction", {"outcome": {}}, True),
        ("que-7", "Questionnaire.item.enableWhen", {"operator": "exists", "answerBoolean": True}, True),
        ("que-7", "Questionnaire.item.enableWhen", {"operator": "exists", "answerString": "x"}, False),
        ("sdf-0", "StructureDefinition", {"resourceType": "StructureDefinition"}, True),
        ("sdf-0", "StructureDefinition", {"resourceType": "StructureDefinition", "name": "Good"}, True),
        ("sdf-0", "StructureDefinition", {"resourceType": "StructureDefinition", "name": "Not good"}, False),
        ("per-1", "Period", {"start": "2020-02", "end": "2020-01-31"}, False),
        ("per-1", "Period", {"start": "2020-01", "end": "2020-01-31"}, True),
        ("per-1", "Period", {"start": "2020-01-31", "end": "2020-01"}, True),
        ("per-1", "Period", {"start": "2020-01-01T10:00:00Z", "end": "2020-01-01T10:30:00+01:00"}, False),
        ("per-1", "Period", {"start": "2020-01-01T10:00:00+01:00", "end": "2020-01-01T09:00:00Z"}, True),
        ("per-1", "Period", {"start": "2020-01-02", "_end": {"extension": []}}, True),
        ("ext-1", "Extension", {"url": "u", "valueBoolean": False}, True),
        ("ext-1", "Extension", {"url": "u", "_valueString": {"extension": [{}]}}, True),
        ("ext-1", "Extension", {"url": "u"}, False),
        ("ext-1", "Extension", {"url": "u", "valueString": "a", "extension": [{"url": "v"}]}, False),
        ("org-3", "ContactPoint", {"use": "home"}, False),
        ("eld-3", "string", "*", True),
        ("eld-3", "string", "-1", False),
        ("eld-3", "string", "many", False),
        ("cnt-3", "Count", {"value": 3, "code": "1", "system": "http://unitsofmeasure.org"}, True),
        ("ele-1", "HumanName", {"id": "x"}, False),
        ("ele-1", "HumanName", {"id": "x", "family": "y"}, True),
        ("txt-1", "xhtml", '<div xmlns="http://www.w3.org/1999/xhtml"><script>1</script></div>', False),
    ],
)
def test_readings(key: str, type_name: str, value: Any, expected: bool) -> None:
    assert holds(key, type_name, value) is expected


def test_a_contained_resource_must_be_referred_to() -> None:
    contained = {"resourceType": "Organization", "id": "o", "name": "x"}
    patient = {"resourceType": "Patient", "contained": [contained]}
    assert not holds("dom-3", "Patient", patient, patient)
    referring = {**patient, "managingOrganization": {"reference": "#o"}}
    assert holds("dom-3", "Patient", referring, referring)


def test_what_depends_on_the_resource_alone_is_worked_out_once() -> None:
    contained = [{"resourceType": "Organization", "id": str(n)} for n in range(500)]
    patient = {"resourceType": "Patient", "contained": contained}
    memo: dict[Any, Any] = {}
    check = compile_invariant(FACTS.constraints["ref-1"].expression, "Reference")
    assert check({"reference": "#7"}, patient, patient, memo)
    size = len(memo)
    assert size
    assert not check({"reference": "#500"}, patient, patient, memo)
    assert len(memo) == size


@pytest.mark.parametrize(
    "value", [{"start": 5, "end": "2020"}, {"start": ["2020"], "end": {}}, {"start": "x", "end": "y"}]
)
def test_invalid_structure_gives_an_answer(value: dict[str, Any]) -> None:
    assert isinstance(holds("per-1", "Period", value), bool)


@pytest.mark.parametrize("key", sorted(FACTS.constraints))
def test_no_json_value_makes_an_invariant_fail(key: str) -> None:
    type_name = sorted(bindings()[key])[0]
    values: list[Any] = [None, 1, "x", [], [1], {}, True]
    for junk in values:
        names = elements_named(FACTS.constraints[key].expression) - {"*"}
        value = {"resourceType": type_name.split(".")[0], **dict.fromkeys(names, junk)}
        assert isinstance(holds(key, type_name, value, value), bool)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("start <= end", {"start", "end"}),
        ("descendants().linkId.isDistinct()", {"*"}),
        ("contained.where(id = '1').exists()", {"contained"}),
        ("Appointment.status = 'x'", {"status"}),
        ("$this.length() > 1", {"*"}),
        ("name.matches(%resource.id)", {"name"}),
    ],
)
def test_elements_named(expression: str, names: set[str]) -> None:
    assert elements_named(expression) == names


def test_most_invariants_need_no_closure() -> None:
    generated = generate(parse("name.exists() or telecom.exists()"), "Patient")
    assert generated({"telecom": [{}]}, {}, {}, {}) is True
    assert "memo" not in generated.__code__.co_names
    assert generated.__code__.co_names == ()
