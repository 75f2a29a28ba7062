"""fhir_server/search/support.py, and docs/search.md, which is generated from it"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions
from fhir_server.search.parse import parse
from fhir_server.search.query import Clause
from fhir_server.search.registry import Parameter, parameter, parameters
from fhir_server.search.sql import SqlParameters
from fhir_server.search.support import WHERE, is_supported, modifiers, searchable, where

REPOSITORY = Path(__file__).parents[3]
HASHER = Hasher(bytes(16))
VALUES = {
    "composite": ["a$b", "a$1", "a$2020", "a$1$1", "a$Patient/1", "Patient/1$a"],
    "date": ["2020"],
    "number": ["1"],
    "quantity": ["1"],
    "special": ["1|2"],
    "string": ["a"],
    "token": ["a", "true"],
    "uri": ["http://example.org"],
}


def compiles(found: Parameter, modifier: str, value: str) -> bool:
    """Whether the search is understood."""
    try:
        condition = where(Clause(found, modifier, (value,), f"{found.code}={value}"), SqlParameters(1), HASHER)
    except BadRequest:
        return False
    return bool(condition.rids or condition.row)


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("document_search", REPOSITORY / "scripts/document_search.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_is_up_to_date() -> None:
    module = script()
    text = (REPOSITORY / "docs/search.md").read_text()
    assert module.documented(text) == text, "run scripts/document_search.py"


def test_the_tests_that_the_document_names_exist() -> None:
    for path in re.findall(r"`(tests/[\w/]+\.py)`", (REPOSITORY / "docs/search.md").read_text()):
        assert (REPOSITORY / path).is_file(), path


def test_every_type_of_the_standard_parameters_can_be_searched() -> None:
    types = {p.type for name in definitions.load().resource_types for p in parameters(name).values()}
    assert types == set(WHERE)


@pytest.mark.parametrize("resource_type", definitions.load().resource_types)
def test_every_searchable_parameter_compiles_with_every_modifier(resource_type: str) -> None:
    for found in searchable(resource_type):
        for modifier in ("", *modifiers(found)):
            values = VALUES.get(found.type) or [f"{target}/1" for target in found.targets or ("Patient",)]
            if modifier in definitions.load().type_ids:
                values = [f"{modifier}/1"]
            elif modifier:
                values = ["true"] if modifier == "missing" else ["a"]
                values += ["true", "urn:a|b|c", "http://example.org"]
            assert any(compiles(found, modifier, value) for value in values), (found.code, modifier)


def test_parameters_without_an_expression_are_not_claimed() -> None:
    for code in ("_query",):
        found = parameter("Patient", code)
        assert found is not None
        assert not is_supported(found)
        with pytest.raises(BadRequest, match="is not supported by this server"):
            parse("Patient", [(code, "x")])


def test_missing_wants_true_or_false() -> None:
    (clause,) = parse("Patient", [("name:missing", "maybe")]).filters
    with pytest.raises(BadRequest, match="either true or false"):
        where(clause, SqlParameters(1), HASHER)
    (clause,) = parse("Patient", [("name:missing", "true,false")]).filters
    assert where(clause, SqlParameters(1), HASHER).row == "true"


def test_ids_of_any_type_are_bounded() -> None:
    many = ",".join(f"id{number}" for number in range(200))
    (clause,) = parse("Observation", [("focus", many)]).filters
    with pytest.raises(BadRequest, match=r"focus: 200 ids may each be of 14\d types. Write them as Type/id") as refused:
        where(clause, SqlParameters(1), HASHER)
    assert refused.value.issues[0].code == "too-costly"
    for name, values in (("focus:Patient", many), ("focus", many.replace("id", "Patient/")), ("patient", many)):
        (clause,) = parse("Observation", [(name, values)]).filters
        assert where(clause, SqlParameters(1), HASHER).rids
