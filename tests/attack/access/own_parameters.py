"""Search parameters of a clinic's own, on what only one resource has. docs/search-parameters.md"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg

from fhir_server.bulk.reindexing import opened
from fhir_server.search.registry import Parameter
from tests.attack.access.asking import Ask
from tests.attack.access.clinic import Clinic
from tests.attack.access.searches import encoded, of_value
from tests.attack.access.universe import Item
from tests.attack.access.wanted import wanted

_KINDS = {
    "own-word": ("string", "Observation", "Observation.note.text", ()),
    "own-code": ("token", "Condition", "Condition.stage.summary", ()),
    "own-link": ("reference", "Observation", "Observation.focus", ("Patient", "Basic", "Device")),
    "own-day": ("date", "Observation", "Observation.issued", ()),
    "own-url": ("uri", "Task", "Task.instantiatesUri", ()),
}
PARAMETERS = tuple(
    Parameter(on, code, kind, 0, f"urn:own:{code}", expression, targets, ())
    for code, (kind, on, expression, targets) in _KINDS.items()
)

TYPES = frozenset(
    [
        "Patient",
        "Practitioner",
        "RelatedPerson",
        "Observation",
        "Condition",
        "Task",
        "Encounter",
        "Provenance",
        "Consent",
        "Basic",
        "Device",
    ]
)
"""Types that these searches are about."""


def define(clinic: Clinic) -> None:
    """Have a clinic search by all of them."""
    for one in PARAMETERS:
        body = {
            "resourceType": "SearchParameter",
            "id": one.code,
            "url": one.url,
            "name": "Own",
            "status": "active",
            "description": "Of our own.",
            "code": one.code,
            "base": [one.resource_type],
            "type": one.type,
            "expression": one.expression,
            "target": list(one.targets),
        }
        answer = clinic.admin.put(f"SearchParameter/{one.code}", {name: value for name, value in body.items() if value})
        assert answer.status == 201, answer.data
    assert clinic.database.owner is not None
    query = "SELECT id FROM reindex_run WHERE tenant_id = %s AND finished IS NULL"
    with psycopg.connect(clinic.database.owner, autocommit=True) as connection:
        runs = [str(run) for (run,) in connection.execute(query, [clinic.tenant.id]).fetchall()]
    with opened(clinic.database.app, clinic.settings.public_url) as reindexing:
        for run in runs:
            reindexing.go_on(clinic.tenant.id, run, lambda: False)
    deadline = time.monotonic() + 30
    while any(clinic.admin.get(f"{one.resource_type}?{one.code}=2001").status != 200 for one in PARAMETERS):
        assert time.monotonic() < deadline, "the parameters do not become active"
        time.sleep(0.1)


def asks(items: list[Item]) -> Iterator[Ask]:
    """Searches by them, chained, in reverse, included and sorted."""
    for parameter in PARAMETERS:
        name, code = parameter.resource_type, parameter.code
        for item in items:
            if item.type != name:
                continue
            for value in wanted(item, parameter):
                yield from of_value(item, parameter, value)
                for far in ("Encounter", "Patient"):
                    by = "encounter" if far == "Encounter" else "patient"
                    yield Ask("own parameter", "GET", f"{far}?_has:{name}:{by}:{code}={encoded(value)}&_total=accurate")
                yield Ask("own parameter", "GET", f"Provenance?target:{name}.{code}={encoded(value)}")
        yield Ask("own parameter", "GET", f"{name}?_sort={code}&_count=1", pages=True)
        yield Ask("own parameter", "GET", f"{name}?{code}:missing=false&_summary=count")
        if parameter.type == "reference":
            for target in parameter.targets:
                yield Ask("own parameter", "GET", f"{name}?_include={name}:{code}:{target}")
                yield Ask("own parameter", "GET", f"{target}?_revinclude={name}:{code}&_count=2", pages=True)
                yield Ask("own parameter", "GET", f"{target}?_has:{name}:{code}:_id:missing=false&_summary=count")
                for item in items:
                    if item.type == target:
                        yield Ask("own parameter", "GET", f"{name}?{code}:{target}._tag=urn:zz|{item.canary}")
