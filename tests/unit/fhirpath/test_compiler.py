"""The semantics of FHIRPath, expression by expression. https://hl7.org/fhirpath/N1/"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.compiler import compile_expression, compile_step, run
from fhir_server.fhirpath.errors import EvaluationError, Unsupported
from fhir_server.fhirpath.lexer import FhirPathSyntaxError
from fhir_server.fhirpath.nodes import Node, root
from fhir_server.fhirpath.parser import parse
from fhir_server.r4 import definitions
from tests.unit.fhirpath.corpus import BUNDLE, OBSERVATION, OWN, PATIENT, QUESTIONNAIRE, examples


def evaluate(expression: str, resource: dict[str, Any] = PATIENT) -> list[Any]:
    return compile_expression(expression, resource["resourceType"])(resource, resource, resource)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # paths, choices, primitives with extensions
        ("Patient.name.given", ["Ada", "Maria", "Ada", None]),
        ("name.given.where(hasValue())", ["Ada", "Maria", "Ada"]),
        ("Person.name", []),
        ("Resource.id | DomainResource.id", ["p1"]),
        ("deceased", [False]),
        ("birthDate.extension.value", ["1974-12-25T14:35:45-05:00"]),
        ("birthDate.extension('http://hl7.org/fhir/StructureDefinition/patient-birthTime').exists()", [True]),
        ("name[1].given[1].extension.value", ["Adi"]),
        ("name[1].given[1].hasValue()", [False]),
        ("name.given[3].exists()", [True]),
        ("maritalStatus.empty()", [True]),
        ("contained.name.family", ["Okafor"]),
        ("contained.ofType(Organization).name", ["North Clinic"]),
        ("name[7].empty()", [True]),
        ("`name`.`given`.first()", ["Ada"]),
        # existence
        ("name.exists(use = 'usual')", [True]),
        ("name.all(given.exists())", [True]),
        ("{}.all(false)", [True]),
        ("name.given.count()", [4]),
        ("name.given.distinct().count()", [3]),
        ("name.given.isDistinct()", [False]),
        ("(1 | 2).subsetOf(1 | 2 | 3)", [True]),
        ("(1 | 2 | 3).supersetOf(1 | 4)", [False]),
        ("(true | false).allTrue()", [False]),
        ("(true | false).anyTrue()", [True]),
        ("(false).allFalse() and (true | false).anyFalse()", [True]),
        ("{}.not()", []),
        # filtering, subsetting, combining
        ("name.where($index = 1).use", ["usual"]),
        ("name.select(given.first())", ["Ada", "Ada"]),
        ("name.select($this.use & '-' & $index.toString())", ["official-0", "usual-1"]),
        ("(1 | 2 | 3 | 4).skip(1).take(2)", [2, 3]),
        ("(1 | 2 | 3).tail().last()", [3]),
        ("name.given.take(0)", []),
        ("telecom.single()", EvaluationError),
        ("telecom.skip(1).single().value", ["ada@example.org"]),
        ("(1 | 2 | 3).intersect(2 | 3 | 4)", [2, 3]),
        ("name.given.exclude('Ada')", ["Maria", None]),
        ("(1 | 2 | 2).count()", [2]),
        ("(1).combine(1).count()", [2]),
        ("(1).union(1).count()", [1]),
        ("(1 | 2 | 3).aggregate($total + $this, 0)", [6]),
        ("(1 | 5 | 3).aggregate(iif($total.empty() or $this > $total, $this, $total))", [5]),
        ("iif(active, 'on', 'off')", ["on"]),
        ("iif({}, 'on')", []),
        ("(1).repeat(iif($this < 5, $this + 1, {}))", [2, 3, 4, 5]),
        ("name.trace('names', given).count()", [2]),
        # strings
        ("'abc'.substring(1)", ["bc"]),
        ("'abc'.substring(1, 1)", ["b"]),
        ("'abc'.substring(3)", []),
        ("'abc'.substring(-1)", []),
        ("'abcb'.indexOf('b')", [1]),
        ("'abc'.indexOf('z')", [-1]),
        ("'abc'.startsWith('ab') and 'abc'.endsWith('bc') and 'abc'.contains('b')", [True]),
        ("{}.contains('b')", []),
        ("'aBc'.upper() & 'aBc'.lower()", ["ABCabc"]),
        ("'a.b'.replace('.', '-')", ["a-b"]),
        ("'abc'.replace('', '-')", ["-a-b-c-"]),
        ("'N8000123123'.matches('^N[0-9]{8}$')", [False]),
        ("'abc'.matches('b')", [True]),
        ("'11/30/1972'.replaceMatches('(\\\\d+)/(\\\\d+)/(\\\\d+)', '$3-$1-$2')", ["1972-11-30"]),
        ("'abc'.length()", [3]),
        ("'abc'.toChars()", ["a", "b", "c"]),
        ("name.given.first() + ' ' + name.family", ["Ada Lindqvist"]),
        ("'a' + {}", []),
        ("'a' & {}", ["a"]),
        ("5.startsWith('5')", EvaluationError),
        # conversion
        ("'true'.toBoolean() and 'y'.toBoolean() and 1.toBoolean()", [True]),
        ("'2'.toBoolean()", []),
        ("'12'.toInteger()", [12]),
        ("'1.5'.toInteger()", []),
        ("'1.50'.toDecimal()", [Decimal("1.50")]),
        ("1.50.toString()", ["1.50"]),
        ("true.toString() & 5.toString()", ["true5"]),
        ("birthDate.toString()", ["1974-12-25"]),
        ("'x'.convertsToInteger()", [False]),
        ("'5 days'.convertsToQuantity()", [True]),
        ("'5 parsecs'.convertsToQuantity()", [False]),
        ("'2015-13'.convertsToDate() or '25:00'.convertsToTime()", [False]),
        ("'2015-01-02T10:00:00Z'.toDate() = @2015-01-02", [True]),
        ("'10:30'.toTime() = @T10:30", [True]),
        # equality and order
        ("1 = 1.0", [True]),
        ("true = 1", [False]),
        ("'a' != 'b'", [True]),
        ("{} = 1", []),
        ("(1 | 2) = (2 | 1)", [False]),
        ("(1 | 2) ~ (2 | 1)", [True]),
        ("'ABC  d' ~ 'abc d'", [True]),
        ("1.23 ~ 1.2", [True]),
        ("{} ~ {}", [True]),
        ("1 !~ 2", [True]),
        ("name[0] = name[0] and name[0] != name[1]", [True]),
        ("birthDate = @1974-12-25", [True]),
        ("birthDate < @1975", [True]),
        ("birthDate = @1974-12", []),
        ("@2012-04-15T15:30:31 = @2012-04-15T15:30:31.0", [True]),
        ("@2012-04-15T15:00Z = @2012-04-15T10:00-05:00", [True]),
        ("@2012-04-15T15:00Z > @2012-04-15T10:00", []),
        ("@2012-04-15T15:00Z > @2012-04-10T10:00", [True]),
        ("@2018-03 > @2018-03-01", []),
        ("@T10:30 < @T11", [True]),
        ("@T10 = @2012", [False]),
        ("@T10 < @2012", EvaluationError),
        ("1 < 'a'", EvaluationError),
        ("4 'mg' = 4 'mg'", [True]),
        ("7 days = 1 week", [True]),
        ("1 year = 12 months", [True]),
        ("1 'mg' < 1 'mL'", []),
        ("extension.value > 1.7 'm'", [True]),
        ("'b' > 'a'", [True]),
        # membership and logic
        ("'Ada' in name.given", [True]),
        ("{} in name.given", []),
        ("name.given contains 'Zoe'", [False]),
        ("true and {}", []),
        ("false and {}", [False]),
        ("{} or true", [True]),
        ("{} or false", []),
        ("true xor false", [True]),
        ("{} xor true", []),
        ("{} implies true", [True]),
        ("false implies {}", [True]),
        ("true implies {}", []),
        ("name.where(family).use", ["official"]),
        ("(1 | 2) and true", EvaluationError),
        # arithmetic
        ("1 + 2 * 3", [7]),
        ("-(1 + 2).abs()", [-3]),
        ("7 div 2 = 3 and -7 div 2 = -3", [True]),
        ("-7 mod 2", [-1]),
        ("1 / 4", [Decimal("0.25")]),
        ("1 / 0", []),
        ("1 div 0 | 1 mod 0", []),
        ("1.1 + 2.2", [Decimal("3.3")]),
        ("(-1.5).ceiling() | (-1.5).floor() | (-1.5).truncate()", [-1, -2]),
        ("3.14159.round(2)", [Decimal("3.14")]),
        ("2.power(10)", [1024]),
        ("(-1).power(0.5)", []),
        ("81.sqrt()", [9]),
        ("(-1).sqrt()", []),
        ("16.log(2).round(3)", [4]),
        ("0.ln()", []),
        ("0.exp()", [1]),
        ("9.power(1000).power(1000).power(10)", []),
        ("3 'mg' * 2 = 6 'mg'", [True]),
        ("@2019-01-31 + 1 month = @2019-02-28", [True]),
        ("@2020-02-29 + 1 year = @2021-02-28", [True]),
        ("@2019 - 24 months = @2017", [True]),
        ("@2019-03-01T23:30:00Z + 45 minutes = @2019-03-02T00:15:00Z", [True]),
        ("@T23:30 + 1 hour = @T00:30", [True]),
        ("@2019-12-31 + 1 day = @2020-01-01", [True]),
        ("@9999-12-31 + 1 day", []),
        ("@2019-12-31 + 1 'mg'", EvaluationError),
        ("today() >= birthDate and now() > @2020T", [True]),
        ("now() = now()", [True]),
        # types
        ("active is boolean and active is FHIR.boolean", [True]),
        ("active is Boolean or active is System.Boolean", [False]),
        ("true is Boolean and 'a' is System.String and 1 is Integer and 1.0 is Decimal", [True]),
        ("@2015 is Date and @2015T is DateTime and @T10 is Time and (1 'mg') is Quantity", [True]),
        ("Patient is DomainResource and Patient is Resource", [True]),
        ("gender is code and gender is string", [True]),
        ("name is HumanName", EvaluationError),
        ("{} is boolean", []),
        ("(deceased as boolean) = false", [True]),
        ("deceased.ofType(dateTime).empty()", [True]),
        ("extension.value.as(Quantity).value", [Decimal("1.80")]),
        # FHIR
        ("generalPractitioner.where(resolve() is Practitioner).count()", [2]),
        ("managingOrganization.resolve().name", ["North Clinic"]),
        ("generalPractitioner[1].resolve().name", EvaluationError),
        ("gender.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')", [True]),
        ("children().ofType(HumanName).count()", [2]),
        ("descendants().where($this is Period).start", ["2001"]),
        ("%resource.id & %rootResource.id & %context.id", ["p1p1p1"]),
        ("%ucum | %sct | %loinc", ["http://unitsofmeasure.org", "http://snomed.info/sct", "http://loinc.org"]),
        ("%`vs-administrative-gender`", ["http://hl7.org/fhir/ValueSet/administrative-gender"]),
        ("%'ext-x'", ["http://hl7.org/fhir/StructureDefinition/x"]),
        ("name.given.where($this in %resource.name[1].given)", ["Ada", "Ada", None]),
    ],
)
def test_expressions(expression: str, expected: Any) -> None:
    if expected is EvaluationError:
        with pytest.raises(EvaluationError):
            evaluate(expression)
    else:
        result = evaluate(expression)
        assert result == expected
        assert [type(item) for item in result] == [type(item) for item in expected] or all(
            isinstance(item, Decimal | int) for item in result
        )


@pytest.mark.parametrize(
    ("expression", "resource", "expected"),
    [
        ("Observation.value.empty() and component.value.count() = 2", OBSERVATION, [True]),
        ("component.value.ofType(Quantity).value", OBSERVATION, [Decimal("120.0")]),
        ("component.value as string", OBSERVATION, ["80"]),
        ("component.value.is(Quantity)", OBSERVATION, EvaluationError),
        ("effective > @2024-02-29T23:00:00Z", OBSERVATION, [True]),
        ("effective = @2024-03-01T08:30:00Z", OBSERVATION, [True]),
        ("repeat(item).linkId", QUESTIONNAIRE, ["1", "2", "1.1", "1.2"]),
        ("descendants().linkId", QUESTIONNAIRE, ["1", "1.1", "1.2", "2"]),
        ("entry.resource.name.family", BUNDLE, ["One"]),
        ("entry.resource.subject.resolve().name.family", BUNDLE, ["One"]),
        ("entry[1].resource.value", BUNDLE, [3]),
        ("entry.resource.where($this is Observation).status", BUNDLE, ["final"]),
        ("entry.resource.ofType(Patient).id", BUNDLE, ["a"]),
    ],
)
def test_expressions_on_other_resources(expression: str, resource: dict[str, Any], expected: Any) -> None:
    if expected is EvaluationError:
        with pytest.raises(EvaluationError):
            evaluate(expression, resource)
    else:
        assert evaluate(expression, resource) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("name.frobnicate()", "There is no function frobnicate(), at character 6"),
        ("name.where()", "where() takes 1 arguments, at character 6"),
        ("name.exists(1, 2)", "exists() takes 0 or 1 arguments, at character 6"),
        ("%unknown", "There is no variable %unknown, at character 1"),
        ("name is Frob", "Frob is no type of FHIR R4 or FHIRPath, at character 9"),
        ("name.ofType(System.Patient)", "System.Patient is no type"),
        ("@2015-02-30", "@2015-02-30 is no date or time that exists"),
        ("name.matches('(')", "The regular expression cannot be read"),
        ("name.matches('(a)\\\\1')", "The regular expression cannot be read"),
        ("name.memberOf('http://example.org/vs')", "memberOf() knows the enumerable"),
        ("conformsTo('http://x')", "conformsTo() is not supported"),
        ("name.type()", "type() is not supported"),
    ],
)
def test_what_is_not_supported_is_refused_when_compiling(expression: str, message: str) -> None:
    with pytest.raises(Unsupported) as caught:
        compile_expression(expression, "Patient")
    assert message in str(caught.value)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(EvaluationError, match="Frob is no type of FHIR R4"):
        compile_expression("id", "Frob")


@pytest.mark.parametrize(
    "expression",
    [
        "descendants().descendants().descendants().descendants().count()",
        "'aaaaaaaaaa'.select($this & $this).select($this & $this)" + ".select($this & $this)" * 20,
        "(1|2|3|4|5|6|7|8|9)" + ".select(1|2|3|4|5|6|7|8|9)" * 50,
        "(1).combine(1)" + ".select($this.combine($this))" * 30,
        "(2).repeat($this + 1)",
        "(2)" + ".select($this * $this)" * 60 + ".toString().length()",
        "'" + "a" * 2000 + "'.replace('a', '" + "b" * 9000 + "')",
    ],
)
def test_hostile_expressions_end(expression: str) -> None:
    wide = {"resourceType": "Questionnaire", "item": []}
    level: list[Any] = wide["item"]  # type: ignore[assignment]
    for _ in range(40):
        level.append({"linkId": "x", "item": []})
        level = level[0]["item"]
    try:
        result = evaluate(expression, wide)
    except EvaluationError:
        return
    assert len(result) <= 1_000_000


def test_hostile_numbers_end() -> None:
    resource = {"resourceType": "Observation", "valueQuantity": {"value": Decimal("1E+999999")}}
    for expression in (
        "value.value.toString().length() < 20",
        "value.value > 0",
        "value.value * 2 > 0",
        "value = value",
    ):
        assert evaluate(f"Observation.{expression}", resource) == [True]
    assert evaluate("Observation.value.value.truncate() | Observation.value.value.round(2)", resource) == []
    assert evaluate("(Observation.value.value * Observation.value.value).empty()", resource) == [True]


def test_nodes_know_where_they_stand() -> None:
    nodes = run(compile_step("name.given | birthDate.extension.value"), root(PATIENT), PATIENT, PATIENT)
    assert [node.location() for node in nodes if isinstance(node, Node)] == [
        "Patient.name[0].given[0]",
        "Patient.name[0].given[1]",
        "Patient.name[1].given[1]",
        "Patient.birthDate.extension[0].valueDateTime",
    ]


def test_regular_expressions_take_linear_time() -> None:
    resource = {"resourceType": "Patient", "name": [{"family": "a" * 50_000 + "!"}]}
    assert evaluate("name.family.matches('^(a+)+$')", resource) == [False]


def for_other_engine(node: ast.Node) -> ast.Node:
    """The same in fhirpathpy's terms: it takes ``as`` for single items only, where R4 filters with it."""
    match node:
        case ast.TypeOperation(operator="as"):
            return ast.Function(for_other_engine(node.operand), "ofType", (node.type,))
        case ast.Operator():
            return ast.Operator(node.operator, for_other_engine(node.left), for_other_engine(node.right))
        case ast.Member(source=ast.Node() as source):
            return ast.Member(for_other_engine(source), node.name)
        case ast.Function(name="as", source=ast.Node() as source):
            return ast.Function(for_other_engine(source), "ofType", node.arguments)
        case _:
            return node


def test_search_parameter_expressions_agree_with_fhirpathpy() -> None:
    by_type: dict[str, set[str]] = {}
    for parameter in definitions.load().search_parameters:
        # fhirpathpy has no resolve(), and does not take the name of a supertype at the head of a path.
        if (
            parameter.expression
            and "resolve()" not in parameter.expression
            and parameter.bases[0] in definitions.load().type_ids
        ):
            for base in parameter.bases:
                by_type.setdefault(base, set()).add(parameter.expression)
    compared = found = 0
    for name, resource in examples(4_000):
        plain = _plain(resource)
        for expression in by_type.get(resource["resourceType"], ()):
            ours = evaluate(expression, plain)
            text = str(for_other_engine(parse(expression)))
            theirs = fhirpathpy.evaluate(_plain(resource), text, {}, models["r4"])
            assert ours == _plain(theirs), (name, expression)
            compared += 1
            found += bool(ours)
    assert compared >= 15 * len(OWN)
    assert found > 10


def _plain(value: Any) -> Any:
    """Without decimals and primitives' extensions, which fhirpathpy changes on the way through."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items() if not name.startswith("_")}
    if isinstance(value, list):
        return [_plain(member) for member in value if member is not None]
    return float(value) if isinstance(value, Decimal) else value


@given(st.text(alphabet="name.givtof()[]01'|=<>&+-*/ $this%resouc,", max_size=30))
def test_any_text_evaluates_or_is_refused(text: str) -> None:
    try:
        evaluate(text)
    except (FhirPathSyntaxError, Unsupported, EvaluationError) as error:
        message = str(error)
    else:
        message = "evaluated"
    assert message
