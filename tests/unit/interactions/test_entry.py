"""Entries of a bundle as the requests they stand for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import BadRequest, FhirError, Invalid, Issue, PreconditionFailed
from fhir_server.interactions.entry import METHODS, ORDER, Entry, InBundle
from fhir_server.interactions.entry_problems import Problems, located
from fhir_server.interactions.entry_read import read_all

BASE = "http://localhost/t/clinic/fhir"


def read(*items: Any) -> tuple[list[Entry], Problems]:
    problems = Problems()
    return read_all({"resourceType": "Bundle", "entry": list(items)}, BASE, problems), problems


def one(method: str, url: str, **elements: Any) -> Entry:
    (entry,), problems = read({"request": {"method": method, "url": url}, **elements})
    assert not problems
    return entry


@pytest.mark.parametrize(
    ("method", "url", "interaction", "resource_type", "resource_id", "version", "query"),
    [
        ("GET", "Patient/1", "read", "Patient", "1", "", None),
        ("GET", "/Patient/1", "read", "Patient", "1", "", None),
        ("GET", f"{BASE}/Patient/1", "read", "Patient", "1", "", None),
        ("HEAD", "Patient/1", "read", "Patient", "1", "", None),
        ("GET", "Patient/1?_elements=name", "read", "Patient", "1", "", "_elements=name"),
        ("GET", "Patient/1/_history/2", "vread", "Patient", "1", "2", None),
        ("GET", "Patient/1/_history", "history-instance", "Patient", "1", "", None),
        ("GET", "Patient/_history?_count=1", "history-type", "Patient", "", "", "_count=1"),
        ("GET", "_history", "history-system", "", "", "", None),
        ("GET", "Patient", "search-type", "Patient", "", "", None),
        ("GET", "Patient?name=a%20b", "search-type", "Patient", "", "", "name=a%20b"),
        ("DELETE", "Patient/1", "delete", "Patient", "1", "", None),
        ("DELETE", "Patient?identifier=1", "delete", "Patient", "", "", "identifier=1"),
    ],
)
def test_urls(
    method: str, url: str, interaction: str, resource_type: str, resource_id: str, version: str, query: str | None
) -> None:
    entry = one(method, url)
    assert (entry.interaction, entry.resource_type, entry.id) == (interaction, resource_type, resource_id)
    assert (entry.version, entry.query) == (version, query)


def test_conditions() -> None:
    request = {
        "method": "GET",
        "url": "Patient/1",
        "ifNoneMatch": 'W/"3"',
        "ifMatch": '"4"',
        "ifModifiedSince": "1970-01-01T00:00:07.9Z",
    }
    (entry,), _ = read({"request": request})
    conditions = entry.conditions
    assert (conditions.if_none_match, conditions.if_match, conditions.if_modified_since) == ("3", "4", 7)


def test_every_method_has_its_place_in_the_order() -> None:
    assert set(ORDER) == set(METHODS)
    assert sorted(["GET", "PUT", "POST", "DELETE"], key=ORDER.__getitem__) == ["DELETE", "POST", "PUT", "GET"]


def test_problems_raise_the_first_entry_s_error_with_all_issues() -> None:
    problems = Problems()
    later, earlier = one("GET", "Patient/1"), one("GET", "Patient/2")
    later.index = 5
    problems.add(later, PreconditionFailed("later"))
    problems.add(earlier, BadRequest("earlier"))
    with pytest.raises(BadRequest) as raised:
        problems.raise_all()
    assert [(issue.diagnostics, issue.expression) for issue in raised.value.issues] == [
        ("earlier", "Bundle.entry[0]"),
        ("later", "Bundle.entry[5]"),
    ]
    Problems().raise_all()


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("", "Bundle.entry[0]"),
        ("Patient", "Bundle.entry[0].resource"),
        ("Patient.name[0].family", "Bundle.entry[0].resource.name[0].family"),
        ("id", "Bundle.entry[0].resource.id"),
        (InBundle("Bundle.entry[0].request.url"), "Bundle.entry[0].request.url"),
    ],
)
def test_locations(expression: str, wanted: str) -> None:
    entry = one("POST", "Patient", resource={"resourceType": "Patient"})
    error = located(entry, Invalid(issues=[Issue("error", "value", "x", expression)]))
    assert isinstance(error, Invalid)
    assert error.issues[0].expression == wanted


def test_locations_within_a_bundle_that_is_stored() -> None:
    entry = one("POST", "Bundle", resource={"resourceType": "Bundle"})
    error = located(entry, Invalid(issues=[Issue("error", "value", "x", "Bundle.entry[0].resource.id")]))
    assert error.issues[0].expression == "Bundle.entry[0].resource.entry[0].resource.id"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["Patient", "GET", "PUT", "Patient/1", BASE]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "request",
                    "resource",
                    "fullUrl",
                    "method",
                    "url",
                    "ifMatch",
                    "ifNoneExist",
                    "ifModifiedSince",
                    "resourceType",
                    "id",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(
    st.lists(values, max_size=3),
    st.dictionaries(st.sampled_from(["method", "url", "ifMatch", "ifModifiedSince"]), values),
)
def test_whatever_the_entries_are_they_are_read_or_refused(items: list[Any], request: dict[str, Any]) -> None:
    items = [*items, {"request": request}, {"request": {"method": "PUT", "url": "Patient/1"} | request, "resource": {}}]
    entries, problems = read(*items)
    assert len(entries) + len(list(problems)) == len(items)
    for _, error in problems:
        assert isinstance(error, FhirError)
        assert error.status < 500
        assert all(issue.expression.startswith("Bundle.entry[") for issue in error.issues)
