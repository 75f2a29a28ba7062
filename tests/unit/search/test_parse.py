"""fhir_server/search/parse.py, result_parameters.py and suggest.py"""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions
from fhir_server.search.parse import Limits, parse, parse_types, split
from fhir_server.search.query import Chain, Clause, Combination, Has
from fhir_server.search.registry import parameters
from fhir_server.search.suggest import nearest
from fhir_server.search.support import modifiers, searchable


def refused(resource_type: str, *pairs: tuple[str, str], lenient: bool = False) -> tuple[str, str]:
    """The issue type and the message with which the search is refused."""
    with pytest.raises(BadRequest) as caught:
        parse(resource_type, pairs, lenient=lenient)
    (issue,) = caught.value.issues
    return issue.code, issue.diagnostics


def test_a_plain_search() -> None:
    query = parse("Observation", [("code", "http://loinc.org|8480-6,1234-5"), ("date", "ge2020"), ("date", "lt2021")])
    assert query.selections[0].resource_type == "Observation"
    assert [(c.parameter.code, c.modifier, c.values, c.text) for c in query.filters] == [
        ("code", "", ("http://loinc.org|8480-6", "1234-5"), "code=http://loinc.org|8480-6,1234-5"),
        ("date", "", ("ge2020",), "date=ge2020"),
        ("date", "", ("lt2021",), "date=lt2021"),
    ]
    assert (query.count, query.sort, query.total, query.summary, query.ignored) == (20, (), "none", "", ())


def test_an_empty_search_means_everything_of_the_type() -> None:
    assert parse("Patient", []).filters == ()


def test_modifiers_are_taken_apart() -> None:
    query = parse("Observation", [("subject:Patient", "1"), ("code:not", "x"), ("value-quantity:missing", "true")])
    assert [clause.modifier for clause in query.filters] == ["Patient", "not", "missing"]


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("a,b", ["a", "b"]),
        (r"a\,b", ["a,b"]),
        (r"a\\,b", [r"a\\", "b"]),
        (r"a\\\,b", [r"a\\,b"]),
        (r"a\|b\$c", [r"a\|b\$c"]),
        (r"a\x", [r"a\x"]),
        ("a\\", ["a\\"]),
        (",", ["", ""]),
        ("", [""]),
    ],
)
def test_commas_separate_values_unless_escaped(written: str, parts: list[str]) -> None:
    assert split(written) == parts


@given(st.lists(st.text(string.printable, min_size=1), min_size=1))
def test_escaped_values_survive_joining(values: list[str]) -> None:
    escaped = [value.replace("\\", "\\\\").replace(",", "\\,") for value in values]
    assert [part.replace("\\\\", "\\") for part in split(",".join(escaped))] == values


def test_an_unknown_parameter_is_named_with_the_nearest_ones() -> None:
    code, message = refused("Patient", ("nmae", "Peter"))
    assert code == "not-supported"
    assert message.startswith(
        "Unknown parameter 'nmae'. Did you mean 'name'? Valid search parameters of Patient: _content, _id, "
    )
    assert ", family, gender, " in message


def test_a_mistyped_result_parameter_is_recognised() -> None:
    assert refused("Patient", ("_cuont", "5"))[1] == "Unknown parameter '_cuont'. Did you mean '_count'?"


def test_a_parameter_of_another_type_is_unknown() -> None:
    assert "Unknown parameter 'birthdate'" in refused("Observation", ("birthdate", "2020"))[1]


def test_parameter_names_are_case_sensitive() -> None:
    assert "Did you mean 'name'?" in refused("Patient", ("NAME", "x"))[1]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "name:exat",
            "x",
            "Unknown modifier ':exat' in 'name:exat'. Did you mean 'exact' or 'text'? Valid modifiers of name (",
        ),
        ("name:", "x", "Unknown modifier ':' in 'name:'."),
        ("birthdate:exact", "2020", "Unknown modifier ':exact' in 'birthdate:exact'."),
        ("gender:contains", "x", "Unknown modifier ':contains'"),
        ("_id:exact", "x", "Unknown modifier ':exact' in '_id:exact'."),
        (
            "birthdate",
            "xx2020",
            "Unknown prefix 'xx' in 'birthdate=xx2020'. Valid prefixes of birthdate (date): ap, eb, eq",
        ),
        ("birthdate", "GE2020", "Unknown prefix 'GE' in 'birthdate=GE2020'. Did you mean 'ge'?"),
        ("_lastUpdated", "after2020", "Unknown prefix 'after'"),
        ("name", "", "The parameter 'name' has an empty value: leave it out, or write 'name:missing=true' to find"),
        ("gender", "male,,female", "The parameter 'gender' has an empty value"),
        (
            "_sort",
            "nam",
            "Cannot sort by 'nam' in _sort. Did you mean 'name'? Valid sort keys of Patient, each with ",
        ),
        ("_sort", "_lastUpdate", "Did you mean '_lastUpdated'?"),
        ("_sort", "", "Cannot sort by ''"),
        ("_count", "many", "_count='many' is no whole number; write the size of a page, such as _count=50."),
        ("_count", "-1", "_count='-1' is no whole number"),
        ("_count", "\u0665", "is no whole number"),
        ("_total", "exact", "Unknown value 'exact' of _total. Valid values of _total: accurate, estimate, none."),
        (
            "_summary",
            "yes",
            "Unknown value 'yes' of _summary. Valid values of _summary: count, data, false, text, true.",
        ),
        (
            "_elements",
            "nam",
            "Unknown element 'nam' in _elements. Did you mean 'name'? Valid elements of Patient: active, ",
        ),
        ("_count:exact", "1", "_count takes no modifier"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(name: str, value: str, message: str) -> None:
    assert message in refused("Patient", (name, value))[1]


@pytest.mark.parametrize(
    ("resource_type", "name", "value"),
    [
        ("Patient", "nmae", "x"),
        ("Patient", "name:exat", "x"),
        ("Patient", "birthdate", "xx2020"),
        ("Patient", "birthdate", "2020-13-45"),
        ("Patient", "birthdate", ""),
        ("Patient", "_sort", "nmae"),
        ("Patient", "_count", "many"),
        ("Patient", "_id", "not an id"),
        ("Observation", "value-quantity", "heavy"),
        ("Observation", "subject", "Practitioner/1"),
    ],
)
def test_lenient_handling_leaves_out_what_strict_handling_refuses(resource_type: str, name: str, value: str) -> None:
    query = parse(resource_type, [(name, value), ("_lastUpdated", "ge2020")], lenient=True)
    assert [clause.text for clause in query.filters] == ["_lastUpdated=ge2020"]
    (left_out,) = query.ignored
    assert name.partition(":")[0] in left_out


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("_query", "current", "The search parameter '_query' of Observation is not supported"),
        ("_containedType", "contained", "_containedType=contained is not supported"),
    ],
)
def test_what_would_change_the_meaning_is_never_left_out(name: str, value: str, message: str, lenient: bool) -> None:
    code, found = refused("Observation", (name, value), lenient=lenient)
    assert code == "not-supported"
    assert message in found


def test_result_parameters() -> None:
    query = parse(
        "Patient",
        [
            ("_count", "50"),
            ("_sort", "-_lastUpdated,_id,_lastUpdated"),
            ("_total", "accurate"),
            ("_elements", "name,Patient.birthDate,name"),
            ("_format", "json"),
            ("_pretty", "true"),
            ("_contained", "false"),
        ],
    )
    assert (query.count, query.total) == (50, "accurate")
    assert [(key.parameter.code, key.descending) for key in query.sort] == [("_lastUpdated", True), ("_id", False)]
    assert query.elements == ("name", "birthDate")
    assert query.filters == ()


@pytest.mark.parametrize("summary", ["true", "text", "data", "count", "false"])
def test_all_five_summaries(summary: str) -> None:
    assert parse("Patient", [("_summary", summary)]).summary == summary


@pytest.mark.parametrize(("written", "count"), [("0", 0), ("1", 1), ("1000", 1000), ("1001", 1000), ("9" * 5000, 1000)])
def test_count_is_capped(written: str, count: int) -> None:
    assert parse("Patient", [("_count", written)]).count == count


def test_contradictions_are_refused() -> None:
    assert "_count is given twice, as '1' and as '2'" in refused("Patient", ("_count", "1"), ("_count", "2"))[1]
    assert "contradict each other" in refused("Patient", ("_summary", "text"), ("_elements", "name"))[1]
    assert parse("Patient", [("_count", "1"), ("_count", "1")]).count == 1


def test_a_cursor_stands_alone() -> None:
    assert "A _cursor stands alone" in refused("Patient", ("_cursor", "x"), lenient=True)[1]


def test_too_much_is_refused() -> None:
    limits = Limits(max_parameters=3, max_values=5, max_length=100)
    for pairs, message in [
        ([("gender", "male")] * 4, "more than 3 parameters"),
        ([("gender", "a,b,c"), ("gender", "a,b,c")], "more than 5 values"),
        ([("gender", "a" * 101)], "longer than 100 characters"),
    ]:
        with pytest.raises(BadRequest, match=message):
            parse("Patient", pairs, limits=limits)


def test_text_that_no_database_could_hold_is_refused() -> None:
    assert "U+0000" in refused("Patient", ("name", "a\0b"), lenient=True)[1]
    assert "not UTF-8" in refused("Patient", ("name", "a\udc80"))[1]


def test_messages_stay_short_whatever_is_sent() -> None:
    _, message = refused("Patient", ("x" * 10_000, "y"))
    assert len(message) < 1_000


@given(
    st.sampled_from(["Patient", "Observation"]),
    st.lists(
        st.tuples(
            st.text(max_size=20)
            | st.sampled_from(["name", "code", "date", "_id", "_sort", "_count", "subject", "_elements"]),
            st.text(max_size=30),
        ),
        max_size=5,
    ),
    st.booleans(),
)
def test_anything_is_either_understood_or_refused(
    resource_type: str, pairs: list[tuple[str, str]], lenient: bool
) -> None:
    try:
        query = parse(resource_type, pairs, lenient=lenient)
    except BadRequest:
        return
    assert len(query.filters) + len(query.ignored) <= len(pairs)


def test_every_searchable_parameter_of_every_type_is_accepted_with_missing() -> None:
    for resource_type in definitions.load().resource_types:
        for parameter in searchable(resource_type):
            if "missing" in modifiers(parameter):
                (clause,) = parse(resource_type, [(f"{parameter.code}:missing", "true")]).filters
                assert clause.parameter is parameter


def test_nearest_costs_a_bounded_time() -> None:
    names = [parameter.code for parameter in searchable("Observation")]
    started = time.perf_counter()
    assert nearest("code" * 100_000, names) == []
    assert time.perf_counter() - started < 0.5


def chain(name: str, value: str, resource_type: str = "Observation") -> Chain:
    (found,) = parse(resource_type, [(name, value)]).filters
    assert isinstance(found, Chain)
    return found


def test_a_chain_leads_to_the_types_that_can_be_searched_so() -> None:
    found = chain("subject:Patient.name:exact", "Ann,Bo")
    assert [name for name, _ in found.targets] == ["Patient"]
    (inner,) = [part for _, part in found.targets]
    assert isinstance(inner, Clause)
    assert (inner.parameter.code, inner.modifier, inner.values) == ("name", "exact", ("Ann", "Bo"))
    assert [name for name, _ in chain("subject.birthdate", "2020").targets] == ["Patient"]
    assert {name for name, _ in chain("subject.identifier", "1").targets} == {"Patient", "Group", "Device", "Location"}


def test_chains_go_to_any_depth_and_through_reverse_chains() -> None:
    found = chain("patient.organization.partof.name", "x")
    for code in ("organization", "partof"):
        ((_, found),) = found.targets  # type: ignore[assignment]
        assert found.parameter.code == code
    reverse = chain("subject:Patient._has:Encounter:subject:status", "planned")
    ((_, inner),) = reverse.targets
    assert isinstance(inner, Has)
    assert inner.parameter.resource_type == "Encounter"
    (nested,) = parse("Patient", [("_has:Encounter:subject:_has:Claim:encounter:provider.name", "x")]).filters
    assert isinstance(nested, Has)
    assert isinstance(nested.filter, Has)
    assert isinstance(nested.filter.filter, Chain)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("code.text", "'code.text' is no chain: 'code' of Observation is of type token"),
        (
            "subject:Patien.name",
            "'subject' in 'subject:Patien.name' does not lead to 'Patien'. Did you mean",
        ),
        ("subject:Patient.nmae", "In the chain 'subject:Patient.nmae': Unknown parameter 'nmae'. Did you mean 'name'"),
        ("subject.nmae", "none of the 4 types that 'subject' leads to can be searched so; name the type, subject:"),
        ("subjetc.name", "Unknown parameter 'subjetc.name'. Did you mean 'subject'?"),
        ("_has:Observation:code", "is no reverse chain: write _has:[type]:[reference]:[parameter]"),
        ("_has:Provenanc:target:agent", "Unknown resource type 'Provenanc' in '_has:Provenanc:target:agent'."),
        ("_has:Provenance:targt:agent", "Unknown parameter '_has:Provenance:targt:agent'. Did you mean"),
        ("_has:Encounter:status:class", "'status' of Encounter in '_has:Encounter:status:class' is of type token"),
        ("_has:Encounter:subject:status", "leads to Group or Patient, not to Observation"),
        ("_list", "'_list=x y': _list takes the id of a List; lists such as $current-allergies are not kept."),
        ("_in", "'_in=x y': _in takes Group/id, List/id or CareTeam/id."),
    ],
)
def test_what_is_wrong_with_a_join_is_named(name: str, message: str) -> None:
    assert message in refused("Observation", (name, "x y"))[1]


def test_a_chain_without_types_has_a_limit() -> None:
    name = ".".join(["focus"] * 4) + "._id"
    code, message = refused("Observation", (name, "1"))
    assert code == "too-costly"
    assert "name the type at each step of a chain" in message


def test_members_of_lists() -> None:
    (found,) = parse("Patient", [("_list", "42")]).filters
    assert isinstance(found, Has)
    assert found.parameter.code == "item"
    (found,) = parse("Patient", [("_in", "Group/1,CareTeam/2")]).filters
    assert isinstance(found, Combination)
    assert found.operator == "or"


def test_includes() -> None:
    query = parse(
        "Observation",
        [
            ("_include", "Observation:subject:Patient"),
            ("_include:iterate", "Patient:organization"),
            ("_revinclude", "Provenance:target"),
            ("_include", "*"),
            ("_revinclude", "DiagnosticReport:*"),
        ],
    )
    shapes = [(one.source, one.target, one.reverse, one.iterate, len(one.parameters)) for one in query.includes]
    assert shapes[:4] == [
        ("Observation", "Patient", False, False, 1),
        ("Patient", "", False, True, 1),
        ("Provenance", "", True, False, 1),
        ("Observation", "", False, False, 0),
    ]  # fmt: skip
    assert shapes[4][:4] == ("DiagnosticReport", "", True, False)
    assert shapes[4][4] > 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("subject", "write _include=[type]:[reference], such as _include=Observation:subject"),
        (
            "Observation:subjetc",
            "Unknown reference 'subjetc' in '_include=Observation:subjetc'. Did you mean",
        ),
        ("Observation:code", "Unknown reference 'code'"),
        ("Observatio:subject", "Unknown resource type 'Observatio' in '_include=Observatio:subject'. Did you mean"),
        ("Observation:subject:Medication", "'subject' in '_include=Observation:subject:Medication' does not lead to"),
        ("Patient:organization", "follows references of Patient, which is not what is searched; with _include:iterate"),
    ],
)
def test_what_is_wrong_with_an_include_is_named(value: str, message: str) -> None:
    assert message in refused("Observation", ("_include", value))[1]


def test_several_types_are_searched_by_what_all_of_them_have() -> None:
    query = parse_types(("Patient", "Encounter"), [("identifier", "1"), ("_sort", "-_lastUpdated")])
    assert [one.resource_type for one in query.selections] == ["Patient", "Encounter"]
    assert [one.parameter.param for part in query.selections for one in part.filters if isinstance(one, Clause)] == [
        parameters("Patient")["identifier"].param, parameters("Encounter")["identifier"].param,
    ]  # fmt: skip
    with pytest.raises(BadRequest, match="Valid search parameters of Encounter"):
        parse_types(("Patient", "Encounter"), [("birthdate", "2020")])
