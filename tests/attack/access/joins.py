"""Ways from one resource to another: chains, _has, includes and compartments.

https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#include
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from urllib.parse import quote

from fhir_server.r4 import definitions
from fhir_server.search.registry import Parameter, parameters
from tests.attack.access.asking import Ask
from tests.attack.access.searches import encoded
from tests.attack.access.universe import Item
from tests.attack.access.wanted import wanted

_CHAINED_TYPES = ("string", "token", "date", "reference", "uri", "quantity", "number", "composite")
_FEW = 6


def _references(resource_type: str) -> list[Parameter]:
    return [one for one in parameters(resource_type).values() if one.type == "reference"]


def _targets(parameter: Parameter, known: dict[str, list[Item]], turn: int) -> list[str]:
    """Some of the types that a parameter leads to, others for each parameter where there are many."""
    found = [name for name in parameter.targets or sorted(known) if name in known]
    if len(found) <= _FEW:
        return found
    start = turn % len(found)
    always = [name for name in ("Patient", "Observation") if name in found]
    return list(dict.fromkeys([*always, *(found[start:] + found[:start])[: _FEW - len(always)]]))


def _conditions(items: Sequence[Item], turn: int) -> Iterator[str]:
    """Conditions on the far end of a chain, with what each of some hidden items alone has."""
    item = items[turn % len(items)]
    own = [one for one in parameters(item.type).values() if one.type in _CHAINED_TYPES and one.expression]
    start = turn % len(own)
    for parameter in islice(own[start:] + own[:start], 3):
        for value in wanted(item, parameter)[:1]:
            yield f"{parameter.code}={encoded(value)}"
    yield f"_id={item.id}"


def chains(items: Iterable[Item]) -> Iterator[Ask]:
    """Every reference parameter, followed in both directions to what is hidden at its other end."""
    known: dict[str, list[Item]] = {}
    for item in items:
        known.setdefault(item.type, []).append(item)
    turn = 0
    for name in known:
        for parameter in _references(name):
            for target in _targets(parameter, known, turn):
                turn += 1
                for condition in _conditions(known[target], turn):
                    path = f"{name}?{parameter.code}:{target}.{condition}"
                    yield Ask("chain", "GET", f"{path}&_total=accurate")
                    code, _, value = condition.partition("=")
                    far = quote(f'{parameter.code}:{target}.{code} eq "{value}"')
                    yield Ask("filter", "GET", f"{name}?_filter={far}&_summary=count")
                for condition in _conditions(known[name], turn):
                    yield Ask("_has", "GET", f"{target}?_has:{name}:{parameter.code}:{condition}&_total=accurate")
                yield Ask("chain", "GET", f"{name}?{parameter.code}:{target}._id:missing=false&_summary=count")
                yield Ask("_has", "GET", f"{target}?_has:{name}:{parameter.code}:_id:missing=false&_summary=count")
                yield Ask("_has", "GET", f"{name}?{parameter.code}:{target}._has:{name}:{parameter.code}:_id="
                          f"{known[name][turn % len(known[name])].id}")  # fmt: skip


def includes(items: Iterable[Item]) -> Iterator[Ask]:
    """Every include and revinclude, of later pages too."""
    known = {item.type: [item] for item in items}
    turn = 0
    for name in known:
        yield Ask("include", "GET", f"{name}?_include=*&_revinclude=*&_count=1", pages=True)
        yield Ask("include", "GET", f"{name}?_include:iterate={name}:*")
        for parameter in _references(name):
            yield Ask("include", "GET", f"{name}?_include={name}:{parameter.code}&_count=1", pages=True)
            yield Ask("include", "GET", f"{name}?_include:iterate={name}:{parameter.code}&_elements=id")
            for target in _targets(parameter, known, turn):
                turn += 1
                yield Ask("include", "GET", f"{name}?_include={name}:{parameter.code}:{target}&_total=accurate")
                yield Ask("revinclude", "GET", f"{target}?_revinclude={name}:{parameter.code}&_count=1", pages=True)
                yield Ask("revinclude", "GET", f"{target}?_revinclude:iterate={name}:{parameter.code}:{target}"
                          f"&_revinclude:iterate=Provenance:target&_summary=data")  # fmt: skip


def compartments(items: Iterable[Item]) -> Iterator[Ask]:
    """Every compartment of every owner, by type and as a whole."""
    known = list(items)
    names = list(dict.fromkeys(item.type for item in known))
    for owner in known:
        if owner.type not in definitions.load().compartments:
            continue
        yield Ask("compartment", "GET", f"{owner.reference}/*?_count=5", pages=True)
        yield Ask("compartment", "GET", f"{owner.reference}/*?_summary=count")
        for name in names:
            if name in definitions.load().compartments[owner.type] or name == owner.type:
                yield Ask("compartment", "GET", f"{owner.reference}/{name}?_total=accurate&_count=1", pages=True)
                form = (("Content_Type", "application/x-www-form-urlencoded"),)
                yield Ask("compartment", "POST", f"{owner.reference}/{name}/_search", b"_summary=count", form)
                yield Ask("compartment", "GET", f"{owner.reference}/{name}/_search?_include={name}:*")


def everywhere(items: Iterable[Item]) -> Iterator[Ask]:
    """Searches and history over several types. https://hl7.org/fhir/R4/http.html#search"""
    known = list(items)
    names = list(dict.fromkeys(item.type for item in known))
    for start in range(0, len(names), 10):
        some = ",".join(names[start : start + 10])
        yield Ask("system", "GET", f"?_type={some}&_count=4", pages=True)
        yield Ask("system", "GET", f"?_type={some}&_total=accurate&_sort=-_lastUpdated&_count=3", pages=True)
        yield Ask("system", "GET", f"_search?_type={some}&_summary=count")
    for item in known:
        yield Ask("system", "GET", f"?_id={item.id}&_total=accurate")
        yield Ask("system", "GET", f"?_tag=urn:zz|{item.canary}&_summary=count")
        yield Ask("system", "POST", "_search", f"_content={item.canary}".encode(),
                  (("Content_Type", "application/x-www-form-urlencoded"),))  # fmt: skip
    yield Ask("system", "GET", "?_lastUpdated=gt2000&_count=50", pages=True)
    for base in ("", *(f"{name}/" for name in names)):
        yield Ask("history", "GET", f"{base}_history", pages=True)
        yield Ask("history", "GET", f"{base}_history?_count=1&_since=2000-01-01T00:00:00Z", pages=True)
        yield Ask("history", "GET", f"{base}_history?_count=0")
        yield Ask("history", "GET", f"{base}_history?_at=2100-01-01T00:00:00Z&_count=3", pages=True)
