"""A search by a hostile or careless client: a page or a 4xx that says what is wrong, in bounded time; never a 5xx.

https://hl7.org/fhir/R4/search.html#errors
"""

from __future__ import annotations

import time
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fhir_server.r4 import definitions
from fhir_server.search.registry import parameters
from tests.factories.hostile import TEXTS
from tests.functional.conftest import Answer, Api

FORM = "application/x-www-form-urlencoded"
TYPES = definitions.load().resource_types
Pairs = list[tuple[str, str]]


def form(api: Api, path: str, pairs: Pairs, **headers: str) -> Answer:
    """A search by POST, whose length no proxy limits."""
    body = urlencode(pairs, errors="surrogatepass").encode()
    return api.post(f"{path}/_search".lstrip("/"), body, Content_Type=FORM, **headers)


def many(name: str, value: str, times: int = 99) -> Pairs:
    """One parameter many times, ``%d`` numbered."""
    return [(name, value.replace("%d", str(number))) for number in range(times)]


DEEP = ".".join(["encounter:Encounter", *["part-of:Encounter"] * 10, "status"])
DEEP_HAS = "_has:Encounter:subject:" + "_has:Encounter:part-of:" * 11 + "status"
LONG = "a" * 15_000

COSTLY: dict[str, tuple[str, Pairs]] = {
    "untyped chain": ("Observation", [("focus.focus.code", "x"), ("_total", "accurate")]),
    "untyped chain of a long text": ("Observation", [("focus.subject.name", LONG)]),
    "deep chain": ("Observation", [(DEEP, "planned"), ("_total", "accurate")]),
    "many deep chains": ("Observation", many(DEEP, "p%d", 50)),
    "deep reverse chain": ("Patient", [(DEEP_HAS, "planned"), ("_total", "accurate")]),
    "many deep reverse chains": ("Patient", many(DEEP_HAS, "p%d", 20)),
    "many reverse chains": ("Patient", [*many("_has:Encounter:subject:status", "p%d"), ("_total", "accurate")]),
    "many chains": ("Observation", [*many("subject:Patient.name", "a%d"), ("_total", "accurate")]),
    "many texts": ("Patient", [*many("name", "a%d"), ("_total", "accurate")]),
    "many tokens": ("Patient", [*many("identifier", "a%d"), ("_total", "accurate")]),
    "many tokens of a type": ("Patient", [*many("identifier:of-type", "urn:a|b|c%d"), ("_total", "accurate")]),
    "many untyped ids": ("Observation", many("focus", "a%d")),
    "canonicals of canonicals": (
        "PlanDefinition",
        many("depends-on:PlanDefinition." * 11 + "name", "a%d", 40),
    ),
    "filter of chains": ("Observation", [("_filter", " and ".join(f"subject.name co a{n}" for n in range(99)))]),
    "filter of reverse chains": (
        "Patient",
        [("_filter", " or ".join(f"_has:Encounter:subject:status eq a{n}" for n in range(99))), ("_total", "accurate")],
    ),
    "nested filter": (
        "Patient",
        [("_filter", "not(" * 18 + " or ".join(f"name co a{n}" for n in range(99)) + ")" * 18)],
    ),
    "all types": ("", [("_type", ",".join(TYPES)), *many("_tag", "a%d", 50)]),
    "members of many lists on all types": ("", [("_type", ",".join(TYPES)), *many("_list", "a%d", 50)]),
    "all types sorted": ("", [("_type", ",".join(TYPES)), ("_sort", "_lastUpdated"), ("_tag", "a")]),
    "many sort keys": ("Observation", [("_sort", ",".join(["-date", "code", "status"] * 40))]),
    "includes of everything": (
        "Observation",
        [("_include:iterate", "*"), ("_revinclude:iterate", "*")] * 40,
    ),
    "many includes": ("Observation", [("_revinclude", f"{name}:{code}") for name, code in [
        (one.resource_type, one.code)
        for name in TYPES for one in parameters(name).values()
        if one.type == "reference" and "Observation" in one.targets
    ][:90]]),
    "lenient chains that lead nowhere": ("Observation", many("focus.patient.nmae%d", "x")),
    "lenient unknown names": ("Patient", [("nmae" * 30 + str(number), "x") for number in range(100)]),
    "many near": ("Location", many("near", "%d|%d|20000|km", 90)),
    "parentheses": ("Patient", [("_filter", "(" * 7_000)]),
    "dots": ("Observation", [("subject" + "." * 15_000, "x")]),
    "colons": ("Observation", [("_has" + ":" * 15_000, "x")]),
}  # fmt: skip


@pytest.mark.parametrize("name", COSTLY)
def test_what_is_costly_ends_soon(api: Api, name: str) -> None:
    path, pairs = COSTLY[name]
    cycle = [{"resourceType": "Encounter", "id": f"e{n}", "status": "planned", "class": {"code": "AMB"},
              "partOf": {"reference": f"Encounter/e{(n + 1) % 30}"}} for n in range(30)]  # fmt: skip
    observation = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"},
                   "encounter": {"reference": "Encounter/e0"}, "focus": [{"reference": "Observation/o"}]}  # fmt: skip
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in [*cycle, observation]
    ]
    assert api.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries}).status == 200
    started = time.monotonic()
    answer = form(api, path, pairs, Prefer="handling=lenient")
    # Seconds where the machine is busy; without limits these took minutes.
    assert time.monotonic() - started < 8
    assert answer.status in (200, 400), answer.data[:500]
    if answer.status == 400:
        [issue] = answer.json["issue"]
        assert issue["code"] in ("too-costly", "too-long", "invalid", "not-supported", "value")
        assert len(issue["diagnostics"]) < 1_000


def test_a_search_that_is_too_large_says_what_would_help(api: Api) -> None:
    answer = form(api, "Observation", COSTLY["many deep chains"][1])
    assert answer.status == 400
    assert answer.json["issue"][0]["code"] == "too-costly"
    assert "fewer conditions" in answer.json["issue"][0]["diagnostics"]


_CODES = sorted({code for name in ("Patient", "Observation", "Location", "ValueSet") for code in parameters(name)})
MODIFIERS = (
    ":", ".", ":missing", ":exact", ":not", ":below", ":above", ":in", ":not-in", ":of-type", ":text", ":contains",
    ":Patient.", ":Patient", ":identifier",
)  # fmt: skip
_NAMES = st.one_of(
    st.sampled_from(_CODES),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(_CODES),
        st.sampled_from(MODIFIERS),
        st.sampled_from(["", "name", "_id", "code", "a", "_has:Observation:subject:code"]),
    ),
    st.sampled_from([
        "_sort", "_count", "_total", "_summary", "_elements", "_include", "_revinclude:iterate", "_filter", "_list",
        "_in", "_has:Observation:patient:code", "_has:Patient:link:name", "_contained", "_query", "_cursor", "_type",
        "_format", "_pretty", "", "near", "_text", "_content", "_security", "_profile:below",
    ]),
    st.text(max_size=30),
)  # fmt: skip
SNIPPETS = [
    *TEXTS, "$1", "$2::int", "$", "\\$", "\\|", "\\,", "\x01", "\ufffd", "\ud800", "\udfff", "lt", "gt1e400", "ap0",
    "1e-400", "-1e308", "9999-12-31", "0001-01-01", "gt0001", "le9999-12-31T23:59:59.999999+14:00", "ap9999",
    "eb0001-01-01",
    "1|||", "|a", "a|", "http://unitsofmeasure.org|mg", "5|http://unitsofmeasure.org|10*400.m", "0|0|0", "90|180|1|m",
    "name eq \"\\u0000\"", "name co a", "not(", "Patient:link", "*", "Observation:*", "true", "-date,code", "Patient/1",
    "http://x/ValueSet/1|2", "urn:oid:1.2.3", "#a", "/", "a/b/c",
]  # fmt: skip
"""Values of searches that have broken servers."""

_SNIPPETS = st.sampled_from(SNIPPETS)
_VALUES = st.one_of(
    _SNIPPETS,
    st.lists(_SNIPPETS, max_size=3).map(",".join),
    st.lists(_SNIPPETS, max_size=3).map("".join),
    st.text(max_size=60),
)


def test_whatever_is_asked_is_answered(api: Api) -> None:
    """Arbitrary names and values, strict and lenient, by GET, POST and HEAD, on one type, all, and a compartment."""
    api.put("Patient/1", {"resourceType": "Patient", "id": "1", "name": [{"family": "A"}], "birthDate": "1970"})
    api.put(
        "Observation/1",
        {"resourceType": "Observation", "id": "1", "status": "final", "code": {"text": "x"},
         "subject": {"reference": "Patient/1"}, "valueQuantity": {"value": 1}, "effectiveDateTime": "2020"},
    )  # fmt: skip
    seen: set[int] = set()

    @hypothesis_settings(max_examples=400, suppress_health_check=list(HealthCheck))
    @given(
        pairs=st.lists(st.tuples(_NAMES, _VALUES), min_size=1, max_size=4),
        path=st.sampled_from(["Patient", "Observation", "", "Patient/1/Observation", "Location", "ValueSet"]),
        how=st.sampled_from(["get", "post", "head"]),
        lenient=st.booleans(),
    )
    def every(pairs: Pairs, path: str, how: str, lenient: bool) -> None:
        headers = {"Prefer": "handling=lenient"} if lenient else {}
        if how == "post":
            answer = form(api, path, pairs, **headers)
        else:
            answer = api(how.upper(), f"{path}?{urlencode(pairs, errors='surrogatepass')}", **headers)
        seen.add(answer.status)
        # 404: a value set that is not known; 406: a _format that there is none of; 414: a URL that is too long.
        assert answer.status in (200, 400, 404, 406, 414), (answer.status, answer.data[:500])
        if how != "head" and answer.status == 200:
            links = {one["relation"]: one["url"] for one in answer.json["link"]} if "link" in answer.json else {}
            assert "self" in links

    every()
    assert {200, 400} <= seen


MARKER = "Zyxwvut-Quetzal"


@pytest.mark.parametrize(
    "pairs",
    [
        [("name", MARKER)],
        [("nmae", MARKER)],
        [("birthdate", MARKER)],
        [("_has:Observation:subject:code", MARKER)],
        [("_filter", f'name co "{MARKER}" or')],
        [("_filter", f'name co "{MARKER}"')],
        [("_sort", MARKER)],
        [(DEEP_HAS, MARKER)] * 3,
        [("general-practitioner:Practitioner.name", MARKER), ("_total", "accurate"), ("_count", "0")],
    ],
)
def test_no_value_of_a_search_is_logged(api: Api, pairs: Pairs, capfd: pytest.CaptureFixture[str]) -> None:
    assert form(api, "Patient", pairs).status in (200, 400)
    api.get(f"Patient?{urlencode(pairs)}")
    printed = capfd.readouterr()
    assert MARKER.lower() not in (printed.out + printed.err).lower()
