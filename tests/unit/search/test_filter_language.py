"""A _filter as the filters of a search. https://hl7.org/fhir/R4/search_filter.html"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions
from fhir_server.search.filter_language import OPERATORS, parse_filter
from fhir_server.search.parse import parse, split
from fhir_server.search.query import Chain, Clause, Combination, Filter, Has, Negation, clauses
from fhir_server.search.registry import STANDARD, Registry, parameters


def clause_of(resource_type: str, name: str, value: str, registry: Registry) -> Filter:
    """One parameter of a query string, simpler than the product reads it."""
    if name.startswith("_has:"):
        _, source, code, rest = name.split(":", 3)
        return Has(parameters(source)[code], clause_of(source, rest, value, registry), f"{name}={value}")
    head, dot, rest = name.partition(".")
    code, _, modifier = head.partition(":")
    parameter = registry.parameters(resource_type).get(code)
    if parameter is None:
        raise BadRequest(f"Unknown parameter {code!r}", code="not-supported")
    if dot:
        behind = rest.replace(":", ".").partition(".")[0]
        types = [modifier] if modifier else [t for t in parameter.targets if behind in parameters(t)]
        targets = tuple((t, clause_of(t, rest, value, registry)) for t in types)
        return Chain(parameter, targets, f"{name}={value}")
    if modifier not in ("", "missing", "exact", "contains", "in", "not-in", "below", "above"):
        raise BadRequest(f"Unknown modifier {modifier!r}", code="not-supported")
    return Clause(parameter, modifier, tuple(split(value)), f"{name}={value}")


def read(resource_type: str, text: str) -> Filter:
    return parse_filter(resource_type, text, STANDARD, clause_of)


def shape(found: Filter) -> object:
    match found:
        case Clause(parameter=parameter, modifier=modifier, values=values):
            return f"{parameter.code}{':' if modifier else ''}{modifier}={','.join(values)}"
        case Negation(part=part):
            return ("not", shape(part))
        case Combination(operator=operator, parts=parts):
            return (operator, *(shape(part) for part in parts))
        case Chain(parameter=parameter, targets=targets):
            return (parameter.code, *((name, shape(part)) for name, part in targets))
        case Has(parameter=parameter, filter=part):
            return (f"_has {parameter.resource_type}.{parameter.code}", shape(part))
    raise AssertionError(found)


ORGANIZATION = ("organization", ("Organization", "name=x"))
SUBJECTS = parameters("Observation")["subject"].targets
LOINC = "http://loinc.org"


@pytest.mark.parametrize(
    ("resource_type", "text", "expected"),
    [
        ("Patient", "given eq peter", "given:eq=peter"),
        ("Patient", "given ne peter", ("not", "given:eq=peter")),
        ("Patient", 'name co "pet"', "name:contains=pet"),
        ("Patient", "name sw pet", "name=pet"),
        ("Patient", "name ew pet", "name:ew=pet"),
        ("Patient", "name gt pet", "name:gt=pet"),
        ("Patient", "birthdate eq 2014-10-10", "birthdate=eq2014-10-10"),
        ("Patient", "birthdate ne 2014", "birthdate=ne2014"),
        ("Patient", "birthdate ge 2014-10-10", "birthdate=ge2014-10-10"),
        ("Patient", "birthdate po 2014", "birthdate:po=2014"),
        ("Patient", "_lastUpdated po 2014", "_lastUpdated=eq2014"),
        ("Patient", "_lastUpdated gt 2014", "_lastUpdated=gt2014"),
        ("Patient", "_id eq 1", "_id=1"),
        ("Patient", "id ne 1", ("not", "_id=1")),
        ("Patient", "gender eq male", "gender=male"),
        ("Patient", "gender ne male", ("not", "gender=male")),
        ("Observation", "code eq http://loinc.org|1234-5", f"code={LOINC}|1234-5"),
        ("Observation", "code eq loinc|1234-5", f"code={LOINC}|1234-5"),
        ("Observation", "code in http://x/vs", "code:in=http://x/vs"),
        ("Observation", "code ni http://x/vs", "code:not-in=http://x/vs"),
        ("Observation", "code ss snomed|1", "code:below=http://snomed.info/sct|1"),
        ("Observation", "code sb rxnorm|1", "code:above=http://www.nlm.nih.gov/research/umls/rxnorm|1"),
        ("Observation", "code pr true", "code:missing=false"),
        ("Observation", "code pr false", "code:missing=true"),
        ("Observation", "value-quantity gt 5.4|ucum|mg", "value-quantity=gt5.4|http://unitsofmeasure.org|mg"),
        ("Observation", "value-quantity ap 5", "value-quantity=ap5"),
        ("Observation", "code-value-quantity eq loinc|1$gt2|ucum|mg", f"code-value-quantity={LOINC}|1$gt2|http://unitsofmeasure.org|mg"),
        ("Observation", "subject re Patient/1", "subject=Patient/1"),
        ("Observation", "subject ne Patient/1", ("not", "subject=Patient/1")),
        ("Observation", "_profile eq http://x/p", "_profile=http://x/p"),
        ("Location", "near eq 1|2|3|km", "near=1|2|3|km"),
        ("Patient", "given:exact eq Ann", "given:exact=Ann"),
        # Texts stand for themselves; a comma is never an alternative.
        ("Patient", r'name eq "a,b|c$d\\e"', r"name:eq=a,b\|c\$d\\e"),
        ("Observation", r'code eq "a,b\\|c"', r"code=a,b\|c"),
        # Chains.
        ("Observation", "subject:Patient.name co pet", ("subject", ("Patient", "name:contains=pet"))),
        ("Observation", "patient.name eq pet", ("patient", ("Patient", "name:eq=pet"))),
        ("Observation", "patient:Patient.id eq 1", ("patient", ("Patient", "_id=1"))),
        ("Observation", "patient.name pr true", ("patient", ("Patient", "name:missing=false"))),
        ("Observation", "patient.name pr false", ("not", ("patient", ("Patient", "name:missing=false")))),
        ("Patient", "_has:Observation:patient:code eq 1", ("_has Observation.patient", "code=1")),
        ("Patient", "_has:Observation:patient:date po 2014", ("_has Observation.patient", "date:po=2014")),
        # Conditions in brackets hold for the very resource that the path goes through.
        (
            "Observation",
            'patient[name co "pet" and gender eq male].birthdate ge 2014',
            ("patient", ("Patient", ("and", ("and", "name:contains=pet", "gender=male"), "birthdate=ge2014"))),
        ),
        (
            "Observation",
            "encounter:Encounter.subject[gender eq male].organization.name sw x",
            ("encounter", ("Encounter", ("subject", ("Patient", ("and", "gender=male", ORGANIZATION))))),
        ),
        (
            "Observation",
            "subject[identifier eq 1].identifier eq 2",
            ("subject", *((t, ("and", "identifier=1", "identifier=2")) for t in SUBJECTS)),
        ),
        # A type that has no such parameters is no way to a match.
        (
            "Observation",
            "subject[gender eq male].birthdate eq 2014",
            ("subject", ("Patient", ("and", "gender=male", "birthdate=eq2014"))),
        ),
        (
            "Patient",
            "not (gender eq male) and (active eq true or given eq x)",
            ("and", ("not", "gender=male"), ("or", "active=true", "given:eq=x")),
        ),
    ],
)  # fmt: skip
def test_what_a_filter_means(resource_type: str, text: str, expected: object) -> None:
    found = read(resource_type, text)
    assert shape(found) == expected
    assert found.text == f"_filter={text}"


@pytest.mark.parametrize(
    ("resource_type", "text", "message"),
    [
        ("Patient", "nmae eq x", "_filter, character 1: Unknown parameter 'nmae'"),
        ("Patient", "active eq true and nmae eq x", "_filter, character 20: Unknown parameter 'nmae'"),
        ("Patient", "gender co male", "character 1: the operator co means nothing for gender (token)"),
        ("Patient", "name po 2014", "these do: eq ne co sw ew gt lt ge le pr."),
        ("Patient", "name pr maybe", "the value of pr is true, for what has a value, or false"),
        ("Patient", "name[given eq x].given eq y", "'name' is no reference of Patient"),
        ("Observation", "subjct[gender eq male].name eq y", "Did you mean 'subject'"),
        ("Observation", "subject:Task[status eq x].code eq y", "subject does not refer to 'Task'"),
        ("Observation", "subject[nmae eq x].name eq y", "Unknown parameter"),
        ("Observation", "patient[gender co x].name eq y", "the operator co means nothing for gender"),
        ("Provenance", " and ".join(["target[status eq x].identifier eq y"] * 9), "name them"),
        ("Observation", "focus[" * 6 + "code eq 1" + "].focus.focus.code eq 1" * 6, "name them, as in subject:Patient"),
    ],
)  # fmt: skip
def test_a_refusal_says_where_and_what_would_be_right(resource_type: str, text: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(resource_type, text)
    assert str(refused.value).startswith("_filter, character ")
    assert message in str(refused.value)


def test_messages_show_the_test_that_they_are_about() -> None:
    texts = {one.text for one in clauses(read("Patient", 'birthdate ge 2014 and not (given  eq "x")'))}
    assert texts == {"birthdate ge 2014", 'given  eq "x"'}


WORDS = (
    "given eq x", "birthdate ge 2014", "subject[", "]", ".name sw y", "not (", ")", "and", "or", "_id",
    "_has:Observation:patient:", "code eq", "loinc|1", '"', "\\", "pr true", "po 2014", "x,y|z$", "near eq", "_text",
    "general-practitioner.",
)  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.lists(st.sampled_from(WORDS)).map("".join))
def test_any_filter_is_read_or_refused(text: str) -> None:
    for resource_type in ("Patient", "Observation"):
        try:
            (found,) = parse(resource_type, [("_filter", text)]).filters
        except BadRequest as refused:
            assert str(refused).startswith("_filter, character ")  # noqa: PT017 - either way is right
        else:
            assert found.text == f"_filter={text}"


def test_every_type_of_parameter_has_operators() -> None:
    types = {p.type for name in definitions.load().resource_types for p in parameters(name).values()}
    assert types == set(OPERATORS)
