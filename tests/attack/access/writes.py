"""Writes to what is hidden, and searches by writing: conditions, references to be looked up, patches that test.

https://hl7.org/fhir/R4/http.html#cond-update, https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from tests.attack.access.asking import Ask
from tests.attack.access.universe import Item, id_of

_JSON_PATCH = (("Content_Type", "application/json-patch+json"),)


def writes(hidden: Iterable[Item], own: dict[str, Item]) -> Iterator[Ask]:
    """Every way of writing to each hidden item, with what the attacker has of its type (``own``)."""
    for item in hidden:
        body = own[item.type].body if item.type in own else item.body
        yield from _by_id(item, body)
        yield from _by_condition(item, body)
        yield from _in_bundles(item, body)
        yield Ask("create", "POST", item.type, item.body)


def _by_id(item: Item, body: dict[str, Any]) -> Iterator[Ask]:
    named = {**body, "id": item.id}
    yield Ask("update", "PUT", item.reference, named)
    yield Ask("update", "PUT", item.reference, item.body)
    yield Ask("update", "PUT", item.reference, named, (("If_Match", 'W/"1"'),))
    yield Ask("update", "PUT", item.reference, named, (("If_Match", 'W/"7"'),))
    for path, value in (("/id", item.id), ("/meta/tag/0/code", item.canary)):
        tested = [{"op": "test", "path": path, "value": value}, {"op": "add", "path": "/language", "value": "en"}]
        yield Ask("patch", "PATCH", item.reference, tested, _JSON_PATCH)
    yield Ask("patch", "PATCH", item.reference, _patch(item.type))
    yield Ask("delete", "DELETE", item.reference)
    yield Ask("delete", "DELETE", item.reference, headers=(("If_Match", 'W/"7"'),))


def _by_condition(item: Item, body: dict[str, Any]) -> Iterator[Ask]:
    without = {name: value for name, value in body.items() if name != "id"}
    for query in (f"_id={item.id}", f"_tag=urn:zz|{item.canary}", f"_content={item.canary}"):
        yield Ask("conditional update", "PUT", f"{item.type}?{query}", {**body, "id": item.id})
        yield Ask("conditional update", "PUT", f"{item.type}?{query}", without)
        yield Ask("conditional patch", "PATCH", f"{item.type}?{query}", _patch(item.type))
        yield Ask("conditional delete", "DELETE", f"{item.type}?{query}")
        yield Ask("conditional create", "POST", item.type, without, (("If_None_Exist", query),))


def _in_bundles(item: Item, body: dict[str, Any]) -> Iterator[Ask]:
    tag = f"{item.type}?_tag=urn:zz|{item.canary}"
    looked_up = {
        "resourceType": "Basic",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{id_of('b', 'Patient')}"},
        "author": {"reference": tag},
    }
    requests: list[dict[str, Any]] = [
        {"request": {"method": "GET", "url": item.reference}},
        {"request": {"method": "GET", "url": tag}},
        {"resource": {**body, "id": item.id}, "request": {"method": "PUT", "url": item.reference}},
        {"resource": {**body, "id": item.id}, "request": {"method": "PUT", "url": tag}},
        {"resource": body, "request": {"method": "POST", "url": item.type, "ifNoneExist": tag.partition("?")[2]}},
        {"resource": looked_up, "request": {"method": "POST", "url": "Basic"}},
        {"resource": _patch(item.type), "request": {"method": "PATCH", "url": item.reference}},
        {"request": {"method": "DELETE", "url": item.reference}},
        {"request": {"method": "DELETE", "url": quote(tag, safe="?=|:/")}},
    ]
    for kind in ("batch", "transaction"):
        for one in requests:
            yield Ask(f"write in a {kind}", "POST", "", {"resourceType": "Bundle", "type": kind, "entry": [one]})
    both = [requests[2], {"request": {"method": "GET", "url": item.reference}}]
    yield Ask("write in a transaction", "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": both})


def moves(own: Iterable[Item], hidden: Iterable[Item]) -> Iterator[Ask]:
    """The attacker's own resources moved to the other patient, and new ones that would relate them."""
    for item in own:
        for name, value in item.body.items():
            if isinstance(value, dict) and str(value.get("reference", "")).startswith("Patient/"):
                moved = {"reference": f"Patient/{id_of('a', 'Patient')}"}
                yield Ask("move", "PUT", item.reference, {**item.body, name: moved})
                replaced = [{"op": "replace", "path": f"/{name}/reference", "value": moved["reference"]}]
                yield Ask("move", "PATCH", item.reference, replaced, _JSON_PATCH)
                yield Ask("move", "POST", item.type, {**item.body, name: moved})
    for item in hidden:
        if item.type in ("CareTeam", "Encounter", "Appointment", "ServiceRequest", "Patient", "Consent"):
            text = item.text.replace(id_of("a", "Practitioner"), id_of("b", "Practitioner"))
            yield Ask("move", "POST", item.type, text.encode())
            yield Ask("move", "PUT", item.reference, text.encode())


def _patch(resource_type: str) -> dict[str, Any]:
    """A FHIRPath Patch. https://hl7.org/fhir/R4/fhirpatch.html"""
    parts = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": resource_type},
        {"name": "name", "valueString": "language"},
        {"name": "value", "valueCode": "en"},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
