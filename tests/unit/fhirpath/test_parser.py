"""The parser against the grammar, and against what the tree writes back. https://hl7.org/fhirpath/N1/#grammar"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhirpath import ast
from fhir_server.fhirpath.lexer import MAX_LENGTH, FhirPathSyntaxError
from fhir_server.fhirpath.parser import parse
from fhir_server.r4 import definitions

A, B, C = (ast.Member(None, name) for name in "abc")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a.b", ast.Member(A, "b")),
        ("a.where(b)[0]", ast.Indexer(ast.Function(A, "where", (B,)), ast.Literal(0))),
        ("a or b and c", ast.Operator("or", A, ast.Operator("and", B, C))),
        ("a implies b implies c", ast.Operator("implies", ast.Operator("implies", A, B), C)),
        ("a = b | c", ast.Operator("=", A, ast.Operator("|", B, C))),
        ("a + b is System.String", ast.TypeOperation("is", ast.Operator("+", A, B), ast.TypeName("String", "System"))),
        ("-a.b * c", ast.Operator("*", ast.Unary("-", ast.Member(A, "b")), C)),
        ("a contains b.contains(c)", ast.Operator("contains", A, ast.Function(B, "contains", (C,)))),
        ("contains.is.as.in", ast.Member(ast.Member(ast.Member(ast.Member(None, "contains"), "is"), "as"), "in")),
        ("a.ofType(FHIR.Patient)", ast.Function(A, "ofType", (ast.TypeName("Patient", "FHIR"),))),
        ("(a as Quantity).value", ast.Member(ast.TypeOperation("as", A, ast.TypeName("Quantity")), "value")),
        ("%resource.`a b`", ast.Member(ast.Variable("resource"), "a b")),
        ("%'vs-x'", ast.Variable("vs-x")),
        ("$this > {}", ast.Operator(">", ast.Special("this"), ast.Empty())),
        (r"'it\'s \u00e9\n'", ast.Literal("it's é\n")),
        (r"'\ud83d\ude00'", ast.Literal("\U0001f600")),
        ("1.50", ast.Literal(Decimal("1.50"))),
        ("4 days", ast.QuantityLiteral(Decimal(4), "days", True)),
        ("4.5 'mg'", ast.QuantityLiteral(Decimal("4.5"), "mg")),
        ("@2015", ast.DateTimeLiteral("date", "2015")),
        ("@2015T", ast.DateTimeLiteral("dateTime", "2015")),
        ("@2015-02-04T14:30:00.5+01:00", ast.DateTimeLiteral("dateTime", "2015-02-04T14:30:00.5+01:00")),
        ("@T14:30", ast.DateTimeLiteral("time", "14:30")),
        ("a // the rest\n /* in * between */ .b", ast.Member(A, "b")),
    ],
)
def test_tree(text: str, tree: ast.Node) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expected an expression, found the end at character 1"),
        ("a.", "Expected the name of an element or function, found the end at character 3"),
        ("a b", "Expected an operator or the end, found 'b' at character 3"),
        ("a.where(b", "Expected ')', found the end at character 10"),
        ("a = 'b", "The quote is not closed at character 5"),
        ("a ; b", "Unexpected character at character 3"),
        (r"'\d'", r"\d is no escape sequence at character 2"),
        ("a is 1", "Expected the name of a type, found '1' at character 6"),
        ("and", "Expected an expression, found 'and' at character 1"),
        ("1" * 61, "The number has more than 60 digits at character 1"),
        ("(" * 200, "The expression is nested more than 120 levels at character 122"),
        ("a" + ".a" * 200, "The expression is nested more than 120 levels at character 161"),
        (
            "a" * (MAX_LENGTH + 1),
            "The expression is longer than 32768 characters at character 32769",
        ),
    ],
)
def test_what_is_no_expression_is_refused_with_its_position(text: str, message: str) -> None:
    with pytest.raises(FhirPathSyntaxError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_every_expression_of_the_definitions_is_read_and_written_back() -> None:
    facts = definitions.load()
    expressions = [constraint.expression for constraint in facts.constraints.values()]
    for parameter in facts.search_parameters:
        expressions += [parameter.expression] if parameter.expression else []
        expressions += [component.expression for component in parameter.components]
    assert len(expressions) > 1500
    for expression in expressions:
        tree = parse(expression)
        assert parse(str(tree)) == tree


NAMES = st.sampled_from(["a", "name", "is", "contains", "and", "div", "two words", "Observation", "qu`ote"])
TYPES = st.builds(ast.TypeName, NAMES, st.sampled_from(["", "FHIR", "System"]))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = st.one_of(
    st.just(ast.Empty()),
    st.builds(ast.Literal, st.booleans() | TEXTS | st.integers(0, 10**12)),
    st.builds(ast.Literal, st.decimals("0.0", "99.99", places=2)),
    st.builds(ast.QuantityLiteral, st.integers(0, 99).map(Decimal), TEXTS),
    st.just(ast.QuantityLiteral(Decimal("1.5"), "hours", True)),
    st.sampled_from([parse("@2015"), parse("@2015T"), parse("@2015-01-02T10:00Z"), parse("@T10")]),
    st.builds(ast.Variable, NAMES),
    st.sampled_from([ast.Special("this"), ast.Special("index"), ast.Special("total")]),
    st.builds(ast.Member, st.none(), NAMES),
)


def _grow(inner: st.SearchStrategy[ast.Node]) -> st.SearchStrategy[ast.Node]:
    return st.one_of(
        st.builds(ast.Member, inner, NAMES),
        st.builds(ast.Function, st.none() | inner, st.just("where"), st.lists(inner, max_size=2).map(tuple)),
        st.builds(ast.Function, inner, st.just("ofType"), st.tuples(TYPES)),
        st.builds(ast.Indexer, inner, inner),
        st.builds(ast.Unary, st.sampled_from("+-"), inner),
        st.builds(ast.Operator, st.sampled_from(sorted(set(ast.PRECEDENCE) - {"is", "as"})), inner, inner),
        st.builds(ast.TypeOperation, st.sampled_from(["is", "as"]), inner, TYPES),
    )


@given(st.recursive(LEAVES, _grow, max_leaves=12))
def test_what_a_tree_writes_parses_to_the_same_tree(tree: ast.Node) -> None:
    assert parse(str(tree)) == tree


@given(st.text(alphabet="ab.()[]'`@0129TZ:-+%$thisand ={}|\\/*\n", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tree = parse(text)
    except FhirPathSyntaxError as error:
        refused = error.position
    else:
        refused = 0
        assert parse(str(tree)) == tree
    assert 0 <= refused <= len(text)
