"""What the text of an expression tells of its types. https://hl7.org/fhirpath/N1/#type-safety-and-strict-evaluation"""

from __future__ import annotations

import pytest

from fhir_server.fhirpath.compiler import compile_step, run
from fhir_server.fhirpath.nodes import Node, root
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.static_types import UnknownElement, static_types
from fhir_server.r4 import definitions
from tests.unit.fhirpath.corpus import examples


@pytest.mark.parametrize(
    ("expression", "types"),
    [
        ("Patient.name.given", {"string"}),
        ("name[0]", {"HumanName"}),
        ("contact.where(gender = 'male').name.first()", {"HumanName"}),
        ("deceased", {"boolean", "dateTime"}),
        ("deceased.ofType(boolean)", {"boolean"}),
        ("(deceased as dateTime)", {"dateTime"}),
        ("name.select(period.start)", {"dateTime"}),
        ("birthDate.extension('u').value.ofType(Quantity).unit", {"string"}),
        ("Resource.id", {"string"}),
        ("contained.name", None),
        ("descendants()", None),
        ("name.given | name.family", None),
        ("birthDate.value", None),
    ],
)
def test_types(expression: str, types: set[str] | None) -> None:
    assert static_types(parse(expression), frozenset(("Patient",))) == types


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("Patient.nmae", "Patient has no element nmae; did you mean name?"),
        ("name.where(famly = 'x')", "HumanName has no element famly; did you mean family?"),
        ("name.exists(given.length() > urgent)", "HumanName has no element urgent"),
        ("name.given[rank]", "Patient has no element rank"),
        ("Observation.status", "Patient is no Observation"),
        ("deceased.ofType(boolean).start", "boolean has no element start"),
        ("(name.first() & gendr)", "Patient has no element gendr; did you mean gender?"),
    ],
)
def test_misspelt_elements(expression: str, message: str) -> None:
    with pytest.raises(UnknownElement) as caught:
        static_types(parse(expression), frozenset(("Patient",)))
    assert str(caught.value) == message


def test_every_item_is_of_a_type_that_was_told() -> None:
    told = 0
    paths = {
        base: parameter.expression
        for parameter in definitions.load().search_parameters
        for base in parameter.bases
        if parameter.expression and "|" not in parameter.expression
    }
    for name, resource in examples(4_000):
        expression = paths.get(resource["resourceType"])
        if expression is None:
            continue
        types = static_types(parse(expression), frozenset((resource["resourceType"],)))
        for item in run(compile_step(expression), root(resource), resource, resource):
            if types is not None and isinstance(item, Node):
                told += 1
                assert item.type in types, (name, expression)
    assert told >= 1
