"""A tenant's own expressions in generated extractors: whatever they are, what is written is what FHIRPath finds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.search import expression_values
from fhir_server.search.expression_values import BUDGET, evaluator
from fhir_server.search.index import extended, extract, extractor
from fhir_server.search.registry import STANDARD, Parameter, Registry
from fhir_server.store.index_rows import IndexRows

HASHER = Hasher(b"a key for the tests of the index")

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "active": True,
    "name": [
        {"use": "official", "family": "Öz", "given": ["A", "B"]},
        {"use": "old", "family": "Alt", "given": ["C"]},
    ],
    "birthDate": "1970-01-01",
    "_birthDate": {"extension": [{"url": "urn:time", "valueDateTime": "1970-01-01T10:00:00Z"}]},
    "extension": [
        {"url": "urn:x", "valueCode": "red"},
        {"url": 'urn:"y\\', "valueCode": "blue"},
        {"url": "urn:n", "valueQuantity": {"value": Decimal("1.5"), "unit": "kg"}},
    ],
    "multipleBirthInteger": 2,
}


def own(code: str, kind: str, expression: str, status: str = "active") -> Parameter:
    param = param_id(f"Patient.{code}")
    return Parameter("Patient", code, kind, param, f"urn:{code}", expression, (), (), status)


def rows_of(kind: str, expression: str, status: str = "active") -> tuple[IndexRows, int]:
    parameter = own("own", kind, expression, status)
    return extract(PATIENT, HASHER, Registry((parameter,), 7)), parameter.param


@pytest.mark.parametrize(
    ("kind", "expression", "variants"),
    [
        ("token", "Patient.extension('urn:x').value", ["c:red"]),
        ("token", "Patient.extension.where(url = 'urn:\"y\\\\').value.ofType(code)", ["c:blue"]),
        ("token", "Patient.name.where(use = 'old').exists()", ["c:true"]),
        ("token", "Patient.name[1].use", ["c:old"]),
        ("token", "Patient.name.use.select($this & '!')", ["c:official!", "c:old!"]),
        ("uri", "Patient.extension.url.where(startsWith('urn:n'))", ["u:urn:n"]),
    ],
)
def test_tokens(kind: str, expression: str, variants: list[str]) -> None:
    rows, param = rows_of(kind, expression)
    hashes = {HASHER(f"{param}:{variant}") for variant in variants}
    standard = set(extract(PATIENT, HASHER).tokens)
    # A mixed parameter also has "|code"; here no system is anywhere.
    assert hashes <= set(rows.tokens) - standard
    assert param in rows.params
    assert rows.generation == 7


def test_strings_dates_and_numbers() -> None:
    rows, param = rows_of("string", "Patient.name.select(given.first() & ' ' & family)")
    assert sorted(value for p, value, _ in rows.strings if p == param) == ["a oz", "c alt"]
    rows, param = rows_of("date", "Patient.birthDate.extension('urn:time').value.ofType(dateTime)")
    assert [row for row in rows.dates if row[0] == param] == [(param, 36_000_000_000, 36_001_000_000)]
    rows, param = rows_of("number", "Patient.name.given.count()")
    assert [row[1:3] for row in rows.quantities if row[0] == param] == [(3.0, 3.0)]
    rows, param = rows_of("quantity", "Patient.extension('urn:n').value.where(true).ofType(Quantity)")
    assert param in {row[0] for row in rows.quantities}


def test_code_of_a_client_stays_text(tmp_path: Any) -> None:
    """The generated source holds the client's texts as literals, whatever they are."""
    target = tmp_path / "made"
    for quote in ("\\'", '"', "\\\\", '"""', "\\n"):
        code = f"__import__({quote}pathlib{quote}).Path({quote}{target}{quote}).touch()"
        rows_of("token", f"Patient.name.where(use = '{quote}: {code}\\n#').use")
        rows_of("token", f"Patient.extension('{quote} or {code} or {quote}').value.ofType(code)")
        rows_of("token", f"Patient.name.use.where($this = '{quote}: {code}\\n#')")
    assert not target.exists()


def test_a_failed_parameter_has_no_rows_and_one_being_built_has() -> None:
    assert rows_of("token", "Patient.name.use", "building")[0].tokens
    rows, param = rows_of("token", "Patient.name.use", "failed: it is too slow")
    assert param not in rows.params


def test_what_cannot_be_evaluated_is_told_and_has_no_values() -> None:
    rows, param = rows_of("token", "Patient.name.select(use = 'old').single()")
    assert rows.unevaluated == ["Patient.name.select(use = 'old').single()"]
    assert param not in rows.params


def test_work_is_bounded() -> None:
    rows = IndexRows()
    resource = {"resourceType": "Patient", "name": [{"family": "x"}] * 3_000}
    expression = "Patient.name.where(family.combine(%resource.name.family).count() > 5000).exists()"
    assert evaluator(expression, "Patient")(resource, resource, rows) == []
    assert rows.unevaluated == [expression]
    assert BUDGET < 3_000**2


def test_values_that_fhir_cannot_write_are_left_out() -> None:
    rows = IndexRows()
    for expression in ("'a\\u0000b'", "@T10:00", "'2020-01-01T10'.toDateTime()"):
        assert evaluator(expression, "Patient")(PATIENT, PATIENT, rows) == []
    assert evaluator("1.50 | 'x' | true", "Patient")(PATIENT, PATIENT, rows) == [
        ("decimal", Decimal("1.50")),
        ("string", "x"),
        ("boolean", True),
    ]
    assert evaluator("4 'kg'", "Patient")(PATIENT, PATIENT, rows)[0][1]["code"] == "kg"


def test_without_own_parameters_nothing_changes() -> None:
    assert extract(PATIENT, HASHER, STANDARD) == extract(PATIENT, HASHER)


def test_resolve_of_what_is_no_reference() -> None:
    identified = {"resourceType": "Patient", "identifier": [{"type": {"text": "x"}, "value": "1"}]}
    rows = IndexRows()
    expression = "Patient.identifier.where(resolve() is Patient)"
    assert evaluator(expression, "Patient")(identified, identified, rows) == []
    assert rows.unevaluated == []


def test_a_defect_keeps_nobody_from_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError

    rows = IndexRows()
    evaluate = evaluator("Patient.name.count()", "Patient")
    monkeypatch.setattr(expression_values, "run", broken)
    assert evaluate(PATIENT, PATIENT, rows) == []
    assert rows.unevaluated == ["Patient.name.count()"]


def test_what_is_worked_out_is_kept_with_the_registry() -> None:
    registry = Registry((own("own", "token", "Patient.name.use"),))
    assert registry.parameters("Patient") is registry.parameters("Patient")
    assert extended("Patient", registry) is extended("Patient", registry)
    assert extended("Person", registry) is extractor("Person")
    further = Registry((own("own", "token", "Patient.name.use", "building, 3 %"),), 9)
    assert extended("Patient", further) is extended("Patient", registry)
    assert registry == Registry(registry.custom)
