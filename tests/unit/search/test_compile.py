"""fhir_server/search/compile.py: the passes and the roads; test_search_plans.py shows what PostgreSQL makes of them"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fhir_server.access.policy import EVERYTHING, NOTHING, Access, of_types
from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.errors import BadRequest
from fhir_server.search import compile as compiler
from fhir_server.search.cursor import Position
from fhir_server.search.filters import owner_parameters
from fhir_server.search.parse import parse, parse_types
from fhir_server.search.query import InCompartment
from fhir_server.search.registry import parameters

HASHER = Hasher(b"a key of the tests, 32 bytes long")


def compiled(
    resource_type: str, query: str, access: Access = EVERYTHING, position: Position | None = None
) -> compiler.CompiledSearch:
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    statements = compiler.compile(parse(resource_type, pairs), access, 7, HASHER, position)
    return statements[0] if statements else compiler.CompiledSearch("", [])


def total(resource_type: str, query: str, access: Access = EVERYTHING) -> compiler.CompiledSearch:
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    return compiler.compile_total(parse(resource_type, pairs), access, 7, HASHER)


def test_the_passes_are_these_in_this_order() -> None:
    assert [one.__name__ for one in compiler.PASSES] == ["tenant", "access", "alike", "filters", "restrict", "sort"]
    assert [one.__name__ for one in compiler.COUNT_PASSES] == ["tenant", "access", "alike", "filters", "restrict"]


@pytest.mark.parametrize("access", [NOTHING, of_types("Observation", "Encounter")])
def test_where_nothing_may_be_seen_nothing_is_asked(access: Access) -> None:
    for query in ("", "name=a", "_id=1", "_sort=_id"):
        assert compiled("Patient", query, access).sql == ""
        assert total("Patient", query, access).sql == ""


@pytest.mark.parametrize("access", [EVERYTHING, of_types("Observation", "Patient")])
def test_where_the_type_may_be_seen_all_of_it_is(access: Access) -> None:
    assert compiled("Patient", "name=a", access) == compiled("Patient", "name=a")


@pytest.mark.parametrize(
    ("resource_type", "query"),
    [
        ("Patient", ""), ("Patient", "_id=1"), ("Patient", "name=a"), ("Patient", "birthdate=2020&gender=male"),
        ("Observation", "patient=1"), ("Observation", "code=a&code=b"), ("Observation", "code=a,b"),
        ("Observation", "code:not=a"), ("Observation", "value-quantity=5"), ("Observation", "code-value-quantity=a$5"),
        ("Observation", "_sort=_lastUpdated"),
        ("Observation", "date=ge2020-01-01&date=lt2020-01-02"),
    ],
)  # fmt: skip
def test_every_table_that_is_read_is_bound_to_the_tenant(resource_type: str, query: str) -> None:
    for statement in (compiled(resource_type, query), total(resource_type, query)):
        tables = re.findall(r"FROM (resource|idx_\w+) (\w)\b", statement.sql)
        assert tables
        for table, alias in tables:
            reads = statement.sql.count(f"FROM {table} {alias}")
            bound = statement.sql.count(f"{alias}.tenant_id = $1::int")
            assert bound >= reads, statement.sql
        assert statement.values[0] == 7


def test_no_value_of_a_search_is_in_the_text_of_the_statement() -> None:
    statement = compiled("Patient", "name=secretname&identifier=secretid&birthdate=1970-05-20&_id=secret-id")
    assert "secret" not in statement.sql
    assert "1970" not in statement.sql


@pytest.mark.parametrize("query", ["patient=1", "patient=Patient/1", "subject=Patient/1", "subject:Patient=1"])
def test_every_way_to_name_a_patient_compares_the_row(query: str) -> None:
    statement = compiled("Observation", f"{query}&code=a")
    assert "r.patient = $" in statement.sql
    assert "idx_" not in statement.sql
    assert HASHER("Patient/1") in statement.values
    assert statement.sort_casts == ("bigint",)


def test_a_subject_of_any_type_is_looked_up_in_the_index() -> None:
    statement = compiled("Observation", "subject=1")
    assert "idx_reference" in statement.sql
    assert "r.patient =" not in statement.sql


def test_an_id_is_found_by_its_key() -> None:
    statement = compiled("Patient", "_id=1")
    assert "r.key = $" in statement.sql
    assert HASHER("Patient/1") in statement.values


def test_a_page_is_cut_before_rows_are_read_where_the_index_decides_alone() -> None:
    alone, with_row = compiled("Observation", "code=a"), compiled("Observation", "code=a&code:not=b")
    assert alone.sql.count("LIMIT 21") == 2
    assert with_row.sql.count("LIMIT 21") == 1
    assert "idx_token" in with_row.sql


@pytest.mark.parametrize(
    "query", ["patient=1,2", "_id=1,2", "_sort=_id", "value-quantity=5", "patient=1&_sort=_lastUpdated"]
)
def test_bodies_are_read_after_sorting(query: str) -> None:
    statement = compiled("Observation", query).sql
    assert statement.count("body::text") == 1
    assert statement.index("LIMIT 21") < statement.index("body::text")


@pytest.mark.parametrize("query", ["patient=1", "_id=1", "", "_lastUpdated=gt2020", "code:not=a"])
def test_where_an_index_gives_the_order_rows_are_read_once(query: str) -> None:
    assert compiled("Observation", query).sql.count("FROM resource r") == 1


def test_totals_read_resources_only_where_they_must() -> None:
    assert "resource" not in total("Observation", "code=a&category=b").sql
    assert "resource" in total("Observation", "code=a&category:not=b").sql
    assert "DISTINCT" not in total("Observation", "code=a&category=b").sql
    assert "DISTINCT" in total("Observation", "code=a,b").sql


def test_a_token_is_started_from_rather_than_alternatives_or_dates() -> None:
    statement = compiled("Observation", "date=ge2020-01-01&date=lt2020-01-02&category=a,b&code=c")
    code = HASHER(f"{param_id('Observation.code')}:c:c")
    start = statement.sql.index("FROM (SELECT i.rid FROM idx_token")
    first = re.search(r"i\.hash = \$(\d+)", statement.sql[start:])
    assert first is not None
    assert statement.values[int(first[1]) - 1] == code


def test_two_bounds_of_a_date_are_one_condition() -> None:
    statement = compiled("Observation", "date=ge2020-01-01&code=a&date=lt2020-02-01")
    assert statement.sql.count("AS MATERIALIZED") == 1
    # Of a parameter with many values each bound may be met by another one.
    many = compiled("Encounter", "class=a&location-period=ge2020-01-01&location-period=lt2020-02-01")
    assert many.sql.count("AS MATERIALIZED") == 2


@pytest.mark.parametrize(
    ("query", "counted"),
    [
        ("code=a&category=b", 0), ("code=a&category=b&_sort=-date", 2), ("_sort=-date", 0), ("date=ge2020", 1),
        ("subject:Patient.name=a", 1), ("subject:Patient.name=a&code=b", 1), ("value-quantity=5&value-string=a", 2),
        ("patient=1&subject:Patient.name=a", 0), ("code:not=a", 0),
        ("&".join(f"value-string={n}" for n in range(9)), 4),
    ],
)  # fmt: skip
def test_conditions_that_nothing_is_known_of_are_counted(query: str, counted: int) -> None:
    assert len(re.findall(r"\bf\d AS MATERIALIZED", compiled("Observation", query).sql)) == counted


def test_every_road_is_guarded_by_those_before_it() -> None:
    statement = compiled("Observation", "value-quantity=5&value-string=a").sql
    few, many = "(SELECT count(*) FROM f{}) <= 2000", "(SELECT count(*) FROM f{}) > 2000"
    assert statement.count(few.format(0)) == 1
    assert f"{many.format(0)} AND {few.format(1)}" in statement
    assert f"{many.format(0)} AND {many.format(1)}" in statement


def test_a_cursor_of_another_order_is_refused() -> None:
    with pytest.raises(BadRequest, match="another version"):
        compiled("Observation", "code=a", position=Position((5,), 9))
    assert "< $" in compiled("Observation", "code=a", position=Position((), 9)).sql


def test_a_compartment_of_many_types_is_one_look() -> None:
    types = ("Observation", "Encounter", "Claim")
    query = parse_types(types, [("_lastUpdated", "ge2020"), ("_sort", "-_lastUpdated")])
    members = []
    for one in query.selections:
        by = owner_parameters("Patient", one.resource_type, parameters(one.resource_type))
        members.append(replace(one, filters=(InCompartment("Patient/1", by, ""), *one.filters)))
    (statement,) = compiler.compile(replace(query, selections=tuple(members)), EVERYTHING, 7, HASHER)
    assert statement.sql.count("idx_reference") == 1
    assert "UNION" not in statement.sql
    (some,) = compiler.compile(replace(query, selections=tuple(members)), of_types("Claim"), 7, HASHER)
    assert "smallint[]" not in some.sql
    tagged = parse_types(types, [("_tag", "a")])
    (statement,) = compiler.compile(tagged, EVERYTHING, 7, HASHER)
    assert statement.sql.count("UNION ALL") == 2
