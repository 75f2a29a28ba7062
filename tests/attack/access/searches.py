"""Searches by every parameter of every type, with what only a hidden resource has. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from fhir_server.search.registry import Parameter, parameters
from tests.attack.access.asking import Ask
from tests.attack.access.universe import Item
from tests.attack.access.wanted import wanted

MODIFIERS = {
    "string": ("exact", "contains", "text"),
    "token": ("not", "text", "in", "not-in", "above", "below"),
    "reference": ("identifier", "text"),
    "uri": ("above", "below", "contains"),
    "date": (),
    "number": (),
    "quantity": (),
    "composite": (),
    "special": (),
}
PREFIXES = {"date": ("eq", "ne", "gt", "lt", "sa", "eb", "ap"), "number": ("ne", "lt"), "quantity": ("ne", "lt", "ap")}
_SUMMARIES = ("true", "text", "data", "count", "false")
_PLAIN = (
    "", "_count=1", "_count=0", "_total=accurate&_count=1", "_total=estimate", "_total=none", "_elements=id",
    "_contained=both", "_contained=true", "_contained=true&_containedType=contained", "_sort=-_lastUpdated&_count=1",
    "_sort=_id&_count=1", "_lastUpdated=gt2000", "_lastUpdated=lt2000",
    *(f"_summary={one}" for one in _SUMMARIES),
)  # fmt: skip


def encoded(value: str) -> str:
    """A search value in a URL."""
    return quote(value, safe=":/|$,#")


def of_types(items: Iterable[Item]) -> Iterator[Ask]:
    """Each type without any condition, in every way of counting, sorting, paging and leaving out."""
    for name in dict.fromkeys(item.type for item in items):
        for query in _PLAIN:
            yield Ask("search", "GET", f"{name}?{query}".rstrip("?"), pages=True)
        for code in parameters(name):
            yield Ask("sort", "GET", f"{name}?_sort={code}&_count=1", pages=True)
            yield Ask("sort", "GET", f"{name}?_sort=-{code},_id&_count=2&_elements={code}", pages=True)
            yield Ask("search", "GET", f"{name}?{code}:missing=false&_total=accurate")
            yield Ask("search", "GET", f"{name}?{code}:missing=true&_summary=count")
        yield Ask("score", "GET", f"{name}?_content=zz&_sort=-_score")


def of_parameters(items: Iterable[Item]) -> Iterator[Ask]:
    """Each parameter with a value of each item, with each modifier and prefix."""
    for item in items:
        for parameter in parameters(item.type).values():
            for value in wanted(item, parameter) or [item.canary]:
                yield from of_value(item, parameter, value)


def of_value(item: Item, parameter: Parameter, value: str) -> Iterator[Ask]:
    """One parameter with one value, in every way of asking by it."""
    name, code, text = item.type, parameter.code, encoded(value)
    yield Ask("parameter", "GET", f"{name}?{code}={text}")
    yield Ask("parameter", "GET", f"{name}?{code}={text}&_summary=count")
    yield Ask("parameter", "GET", f"{name}?{code}={text}&_count=1&_total=accurate", pages=True)
    for modifier in MODIFIERS[parameter.type]:
        yield Ask("modifier", "GET", f"{name}?{code}:{modifier}={text}&_total=accurate")
    for prefix in PREFIXES.get(parameter.type, ()):
        yield Ask("prefix", "GET", f"{name}?{code}={prefix}{text}&_total=accurate")
    form = f"{code}={quote(value)}".encode()
    yield Ask(
        "search by POST", "POST", f"{name}/_search", form, (("Content_Type", "application/x-www-form-urlencoded"),)
    )
    yield Ask("search by POST", "GET", f"{name}/_search?{code}={text}&_summary=count")
    filtered = quote(f'{code} eq "{value}"')
    yield Ask("filter", "GET", f"{name}?_filter={filtered}&_total=accurate")
    yield Ask("filter", "GET", f"{name}?_filter={quote(f'not ({code} eq {value})')}&_total=accurate")
    if parameter.type == "token":
        yield Ask("modifier", "GET", f"{name}?{code}:of-type=urn:zz|{text}|{text}")


def of_contents(items: Iterable[Item]) -> Iterator[Ask]:
    """What stands inside of hidden resources, and codes that hidden value sets and code systems tell of."""
    known = list(items)
    for item in known:
        for inner in item.body.get("contained", ()):
            for way in ("true", "both"):
                for kind in ("container", "contained"):
                    query = f"_contained={way}&_containedType={kind}"
                    yield Ask("contained", "GET", f"{inner['resourceType']}?name={item.canary}&{query}")
                    yield Ask("contained", "GET", f"{inner['resourceType']}?{query}&_count=2", pages=True)
                    yield Ask("contained", "GET", f"{item.type}?_id={item.id}&{query}")
    for item in known:
        if item.type in ("ValueSet", "CodeSystem", "ConceptMap"):
            for modifier in ("in", "not-in", "above", "below"):
                for value in (item.reference, f"urn:{item.canary}", f"urn:{item.canary}|{item.canary}"):
                    for name in ("Observation", "Condition", "Organization", "Patient"):
                        code = "code" if name in ("Observation", "Condition") else "_tag"
                        yield Ask("value set", "GET", f"{name}?{code}:{modifier}={value}&_total=accurate")


def of_lists(items: Iterable[Item]) -> Iterator[Ask]:
    """Members of hidden lists, groups and teams."""
    for item in items:
        if item.type == "List":
            for name in ("Patient", "Observation", "Condition", "Basic"):
                yield Ask("list", "GET", f"{name}?_list={item.id}&_total=accurate")
                yield Ask("list", "GET", f"{name}?_list=List/{item.id}&_summary=count")
        if item.type in ("Group", "CareTeam", "List"):
            for name in ("Patient", "Practitioner", "Organization"):
                yield Ask("list", "GET", f"{name}?_in={item.reference}&_total=accurate")
