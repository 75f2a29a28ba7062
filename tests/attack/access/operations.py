"""Every operation at every level, aimed at what is hidden. https://hl7.org/fhir/R4/operations.html"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from fhir_server.operations.operation import Operation
from fhir_server.operations.registry import OPERATIONS
from fhir_server.r4 import definitions
from fhir_server.search.registry import parameters
from tests.attack.access.asking import NOT_COMPARED, Ask
from tests.attack.access.universe import Item
from tests.attack.access.wanted import wanted


def operations(items: Iterable[Item]) -> Iterator[Ask]:
    """Each operation at each of its levels, for every type that has it, by GET and POST."""
    known = list(items)
    for operation in OPERATIONS:
        for number, item in enumerate(known):
            if operation.types and item.type not in operation.types:
                continue
            for base, level in ((f"{item.reference}/", "instance"), (f"{item.type}/", "type"), ("", "system")):
                # At the level of the system the type changes nothing but what is sent.
                if level in operation.levels and (level != "system" or number % 10 == 0):
                    yield from _asks(operation, f"{base}${operation.name}", item)


def _asks(operation: Operation, path: str, item: Item) -> Iterator[Ask]:
    road = f"${operation.name}"
    queries = ["", *_queries(operation, item)]
    if not operation.changes:
        for query in queries:
            yield Ask(road, "GET", f"{path}?{query}".rstrip("?"), pages=True)
    for query in queries:
        pairs = [one.partition("=")[::2] for one in query.split("&") if one]
        given = [{"name": name, "valueString": value} for name, value in pairs]
        yield Ask(road, "POST", path, {"resourceType": "Parameters", "parameter": given} if given else None)
    yield Ask(road, "POST", path, item.body)


def _queries(operation: Operation, item: Item) -> Iterator[str]:
    """What an operation is asked for: what is known of this one, and the names that searches have in any case."""
    match operation.name:
        case "everything":
            yield from (
                "_count=1",
                "_type=Observation,Condition",
                "start=2000-01-01&end=2005-01-01",
                "_since=2000-01-01T00:00:00Z",
            )
        case "lastn":
            for code in ("patient", "subject"):
                yield f"{code}=Patient/{item.owner[0]}0-patient"
                yield f"{code}=Patient/{item.owner[0]}0-patient&max=3&_count=1"
            yield f"code=urn:{item.canary}|{item.canary}"
            yield f"category=urn:{item.canary}|{item.canary}&max=9"
        case "graphql":
            return
        case "access":
            for interaction in ("read", "vread", "update", "delete", "history", "search-type", "create"):
                url = item.type if interaction in ("search-type", "create") else item.reference
                version = "/_history/1" if interaction == "vread" else ""
                yield f"interaction={interaction}&url={url}{version}"
            yield f"interaction=read&url={item.reference}&user=Practitioner/{item.owner[0]}0-practitioner"
            yield f"interaction=read&url={item.reference}&scope=user/*.cruds&patient={item.owner[0]}0-patient"
        case _:
            yield f"patient=Patient/{item.owner[0]}0-patient"
            yield f"_id={item.id}"
            yield f"identifier=urn:zz|{item.canary}"
            yield f"interaction=read&url={item.reference}"


def graphs(items: Iterable[Item]) -> Iterator[Ask]:
    """$graphql: lists, connections, single resources, what references lead to and what refers to a resource.

    https://hl7.org/fhir/R4/graphql.html
    """
    for item in items:
        name = item.type
        yield _graph(f'{{{name}(id: "{item.id}") {{id}}}}')
        yield _graph(f"{{{name}List {{id}}}}")
        yield _graph(
            f'{{{name}Connection(_count: "1") {{count offset pagesize edges {{mode score resource {{id}}}}}}}}'
        )
        for parameter in parameters(name).values():
            for value in wanted(item, parameter)[:1]:
                argument = parameter.code.replace("-", "_")
                yield _graph(f'{{{name}List({argument}: "{value}") {{id}}}}')
                yield _graph(f'{{{name}Connection({argument}: "{value}") {{count}}}}')
            if parameter.type == "reference":
                for target in list(parameter.targets or ("Patient", "Observation"))[:4]:
                    yield _graph(
                        f"{{{target}List {{id {name}List(_reference: {parameter.code.replace('-', '_')}) {{id}}}}}}"
                    )
        for element in definitions.load().types[name].elements.values():
            for json_name, ref in element.json_names().items():
                if ref.code == "Reference":
                    for target in list(ref.targets or ("Patient",))[:4]:
                        yield _graph(
                            f"{{{name}List {{id {json_name} {{reference resource {{... on {target} {{id}}}}}}}}}}"
                        )
        yield _graph("{id}", f"{item.reference}/")
        yield _graph(
            "{id ObservationList(_reference: subject) {id} ConditionList(_reference: patient) {id}}",
            f"{item.reference}/",
        )


def _graph(query: str, base: str = "") -> Ask:
    if len(query) % 2:
        return Ask("$graphql", "GET", f"{base}$graphql?query={quote(query)}")
    return Ask("$graphql", "POST", f"{base}$graphql", {"query": query})


def bundles(asks: Iterable[Ask]) -> Iterator[Ask]:
    """Requests that read, as entries of batches and transactions. https://hl7.org/fhir/R4/http.html#transaction"""
    entries: list[dict[str, Any]] = [
        {"request": {"method": ask.method, "url": ask.path}}
        for ask in asks
        if ask.method in ("GET", "HEAD") and ask.road not in NOT_COMPARED and "AuditEvent" not in ask.path
    ]
    for start in range(0, len(entries), 20):
        for kind in ("batch", "transaction"):
            some = entries[start : start + 20]
            yield Ask(kind, "POST", "", {"resourceType": "Bundle", "type": kind, "entry": some})
    for entry in entries[:40]:
        yield Ask("transaction", "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
