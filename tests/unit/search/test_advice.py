"""What would make a search cheaper. docs/search.md, "Costly searches" """

from __future__ import annotations

from dataclasses import replace

import pytest

from fhir_server.search.advice import MOST, advice, is_narrow, too_costly
from fhir_server.search.query import (
    Chain,
    Combination,
    Filter,
    Has,
    Include,
    InCompartment,
    Negation,
    SearchQuery,
    Selection,
    SortKey,
)
from fhir_server.search.registry import parameters
from tests.unit.search.searching import clause


def search(resource_type: str, *filters: Filter, **results: object) -> SearchQuery:
    return SearchQuery((Selection(resource_type, filters),), **results)  # type: ignore[arg-type]


def observations(*queries: str) -> tuple[Filter, ...]:
    return tuple(clause("Observation", query) for query in queries)


WINDOW = ("date=ge2024-05-01", "date=lt2024-06-01")
NAMED = clause("Patient", "name=ann")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ((), False),
        (observations("patient=1"), True),
        (observations("code=1"), True),
        (observations("code:not=1"), False),
        (observations("code:missing=true"), False),
        (observations("status=final"), False),
        (observations("date=2024-05"), True),
        (observations("date=2024"), False),
        (observations("date=ge2024"), False),
        (observations(*WINDOW), True),
        (observations("date=ge2024-05-01", "date=lt2024-07-01"), False),
        (observations("value-quantity=5"), True),
        (observations("value-quantity=gt5"), False),
        ((clause("Patient", "name=an"),), True),
        ((clause("Patient", "name=a"),), False),
        ((clause("Patient", "name:contains=ann"),), False),
        ((Negation(NAMED, ""),), False),
        ((Combination("or", (NAMED, clause("Patient", "active=true")), ""),), False),
        ((Combination("and", (NAMED, clause("Patient", "active=true")), ""),), True),
        ((Combination("and", observations(*WINDOW), ""),), True),
        ((InCompartment("Patient/1", (), ""),), True),
        ((Has(parameters("Observation")["patient"], clause("Observation", "code=1"), ""),), True),
        ((Has(parameters("Observation")["patient"], clause("Observation", "status=final"), ""),), False),
    ],
)
def test_what_narrows_a_search(filters: tuple[Filter, ...], expected: bool) -> None:
    assert is_narrow(Selection("Observation", filters)) is expected
    assert any("Add " in sentence for sentence in advice(search("Observation", *filters))) is not expected


def test_what_is_suggested_is_what_the_type_has() -> None:
    (found,) = advice(search("Observation", *observations("status=final")))
    assert found == (
        "Nothing narrows the search: status may match most resources of type Observation. Add a patient "
        "(patient=Patient/[id]), or a code (code=[system]|[code]), or a time of up to a month "
        "(date=ge2026-05-01&date=lt2026-06-01)."
    )
    (found,) = advice(search("Patient"))
    assert found.startswith("The search has no condition, so every Patient matches. Add an identifier")


def test_advice_names_no_value() -> None:
    secret = "Geheimnis"
    filters = (clause("Patient", f"name:contains={secret}"), clause("Patient", f"gender:not={secret}"))
    query = search("Patient", *filters)
    assert len(advice(query)) == 3
    assert secret not in str(advice(query))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (clause("Patient", "name:contains=ann"), "name:contains reads every value of name"),
        (clause("Patient", "name=a"), "One letter of name matches many"),
        (clause("Patient", "gender:not=male"), "gender:not finds no rows in an index"),
        (clause("Patient", "_id=" + ",".join(map(str, range(60)))), "_id has 60 values"),
        (
            replace(clause("Observation", "code:in=http://x/vs"), codes=tuple(("s", str(n)) for n in range(300))),
            "code:in stands for 300 codes",
        ),
        (Negation(NAMED, ""), "What is negated finds no rows"),
        (
            Chain(
                parameters("Observation")["subject"],
                tuple((t, clause(t, "identifier=1")) for t in ("Patient", "Group", "Device", "Location")),
                "",
            ),
            "subject is followed to 4 resource types; name the one you mean: subject:Patient...",
        ),
        (
            Chain(parameters("Observation")["subject"], (("Patient", clause("Patient", "gender=male")),), ""),
            "What is asked of subject matches many",
        ),
        (
            Has(parameters("Observation")["patient"], clause("Observation", "status=final"), ""),
            "The condition of _has:Observation:patient matches many",
        ),
    ],
)
def test_what_is_said_of_a_filter(found: Filter, message: str) -> None:
    assert any(sentence.startswith(message) for sentence in advice(search("Patient", found)))


def test_what_is_said_of_results() -> None:
    key = SortKey(parameters("Patient")["birthdate"], descending=True)
    wide = SearchQuery((Selection("Patient", (), (key,)),), total="accurate", count=1000)
    found = " ".join(advice(wide))
    for part in ("_sort (birthdate) has every match sorted", "_total=accurate counts", "The page has 1000 entries"):
        assert part in found
    narrow = SearchQuery((Selection("Patient", (NAMED,), (key,)),))
    assert advice(narrow) == []
    assert any("_total=estimate" in one for one in advice(search("Patient", NAMED, summary="count")))


def test_what_is_said_of_includes_and_types() -> None:
    patient, performer = (parameters("Observation")[code] for code in ("patient", "performer"))
    includes = (
        Include("Observation", (patient,), "", reverse=True, iterate=True, text=""),
        Include("Observation", (patient, performer), "", reverse=False, iterate=False, text=""),
    )
    found = " ".join(advice(search("Patient", NAMED, includes=includes)))
    assert "_revinclude:iterate follows what was included again" in found
    assert "_include follows 2 references" in found
    many = SearchQuery(
        tuple(Selection(name, (NAMED,)) for name in ("Patient", "Person", "Practitioner", "Task", "Group"))
    )
    assert advice(many) == ["5 resource types are searched; name fewer with _type."]


def test_no_more_than_is_read() -> None:
    filters = [
        clause("Patient", f"{code}:not=1")
        for code in parameters("Patient")
        if parameters("Patient")[code].type == "token"
    ]
    assert len(advice(search("Patient", *filters))) == MOST


def test_a_search_that_took_too_long_is_refused_with_advice() -> None:
    refused = too_costly(search("Patient"), 2_500)
    assert refused.status == 503
    first, *others = refused.issues
    assert (first.severity, first.code) == ("error", "too-costly")
    assert "2.5 seconds" in first.diagnostics
    assert [one.severity for one in others] == ["information"]
    assert refused.headers == ()
