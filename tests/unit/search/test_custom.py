"""SearchParameter resources as definitions, and every reason to refuse one. https://hl7.org/fhir/R4/searchparameter.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.errors import Invalid
from fhir_server.r4 import definitions
from fhir_server.search.custom import definition
from fhir_server.search.index import extract
from fhir_server.search.registries import parameters_of
from fhir_server.search.registry import Registry, by_url
from fhir_server.store.search_parameters import Entry
from tests.factories.full_resources import full
from tests.unit.search.test_expression_values import HASHER

GENDER = "http://hl7.org/fhir/SearchParameter/individual-gender"
BIRTHDATE = "http://hl7.org/fhir/SearchParameter/individual-birthdate"


def resource(**changed: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "status": "active",
        "url": "urn:own",
        "code": "own",
        "base": ["Patient"],
        "type": "token",
        "expression": "Patient.gender",
    } | changed


def refusal(**changed: Any) -> tuple[str, str]:
    with pytest.raises(Invalid) as caught:
        definition(resource(**changed))
    (issue,) = caught.value.issues
    return issue.expression, issue.diagnostics


def test_what_is_defined() -> None:
    found = definition(
        resource(target=["Group", "Patient", "Resource"], base=["Person", "Patient"], expression="gender")
    )
    assert found is not None
    assert (found.code, found.type, found.url, found.expression) == ("own", "token", "urn:own", "gender")
    assert found.types == ("Patient", "Person")
    assert found.targets == ("Group", "Patient")


@pytest.mark.parametrize("status", ["draft", "retired", "unknown", None])
def test_another_status_is_not_used_however_wrong_the_rest(status: str | None) -> None:
    assert definition(resource(status=status, expression="no(", code="name")) is None


def test_a_standard_one_is_not_used() -> None:
    for url in by_url():
        assert definition(resource(url=url, code="x y")) is None


def test_abstract_bases_stand_for_theirs() -> None:
    every = definition(resource(base=["Resource"], expression="Resource.language"))
    domain = definition(resource(base=["DomainResource"], expression="DomainResource.language"))
    assert every is not None
    assert domain is not None
    assert set(every.types) == set(definitions.load().resource_types)
    assert set(every.types) - set(domain.types) == {"Binary", "Bundle", "Parameters"}


@pytest.mark.parametrize(
    ("changed", "place", "said"),
    [
        ({"code": ""}, "code", "A code is a letter"),
        ({"code": "_x"}, "code", "A code is a letter"),
        ({"code": "a.b"}, "code", "A code is a letter"),
        ({"code": "a" * 65}, "code", "A code is a letter"),
        ({"code": "gender"}, "code", "Patient has a standard parameter 'gender'"),
        ({"code": "status", "base": ["Patient", "Encounter"]}, "code", "Encounter has a standard parameter 'status'"),
        ({"base": ["Patient", "Nothing"]}, "base[1]", "'Nothing' is no resource type"),
        ({"type": "special"}, "type", "cannot be defined; composite, date"),
        ({"expression": ""}, "expression", "An expression is needed"),
        ({"expression": "a" * 4_001}, "expression", "may have 4000 characters"),
        ({"expression": "Patient.gender."}, "expression", "This is no FHIRPath: Expected"),
        ({"expression": "Patient.gendr"}, "expression", "Patient: Patient has no element gendr; did you mean gender"),
        ({"expression": "Person.gender"}, "expression", "finds nothing in a Patient"),
        ({"expression": "Patient.contact"}, "expression", "yields Patient.contact in a Patient"),
        ({"expression": "Patient.gender", "type": "date"}, "expression", "of type date has values of date, dateTime"),
        ({"expression": "Patient.meta.versionId"}, "expression", "versionId, at character 14, is set by the server"),
        ({"expression": "Patient.name.where(family = '\\u0000').use"}, "expression", "NUL in a text, at character 29"),
        ({"expression": "Patient.contained", "type": "reference"}, "expression", "target must name their types"),
        ({"type": "composite", "expression": "Patient"}, "expression", "needs two components"),
    ],
)
def test_what_is_refused(changed: dict[str, Any], place: str, said: str) -> None:
    expression, diagnostics = refusal(**changed)
    assert expression == f"SearchParameter.{place}"
    assert said in diagnostics


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ([("urn:other", "gender"), (BIRTHDATE, "birthDate")], "'urn:other' is none"),
        ([(GENDER, "gendr"), (BIRTHDATE, "birthDate")], "The components cannot be used in Patient"),
        ([(BIRTHDATE, "birthDate"), (GENDER, "gender")], "The first component must be a token"),
    ],
)
def test_components(components: list[tuple[str, str]], said: str) -> None:
    listed = [{"definition": url, "expression": expression} for url, expression in components]
    assert said in refusal(type="composite", expression="Patient", component=listed)[1]


def test_every_standard_parameter_could_be_one_of_ones_own() -> None:
    """Whatever the standard defines and this server indexes, a clinic may define too, and gets the same values."""
    pack = definitions.load()
    taken = 0
    for standard in pack.search_parameters:
        if standard.type in ("special", "composite") or not standard.expression or standard.code.startswith("_"):
            continue
        own = resource(
            base=list(standard.bases), type=standard.type, expression=standard.expression, target=list(standard.targets)
        )
        found = definition(own)
        assert found is not None, standard
        taken += 1
        name = found.types[0]
        registry = Registry(tuple(parameters_of(Entry(found, "own", False, "active", "", "", 0, 0))))
        one = full(name, 1)
        rows = extract(one, HASHER, registry)
        own_param, param = (registry.parameters(name)[code].param for code in ("own", standard.code))
        assert (own_param in rows.params) == (param in rows.params), standard
        assert [r[1:] for r in rows.dates if r[0] == own_param] == [r[1:] for r in rows.dates if r[0] == param]
        assert [r[1] for r in rows.strings if r[0] == own_param] == [r[1] for r in rows.strings if r[0] == param]
        assert {r[1] for r in rows.references if r[0] == own_param} == {r[1] for r in rows.references if r[0] == param}
    assert taken > 1_200
