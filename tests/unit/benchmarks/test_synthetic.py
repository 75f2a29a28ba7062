"""The data that benchmarks load: valid, of the size of real resources, with references that lead somewhere."""

from __future__ import annotations

import json as plain_json
from collections import Counter
from random import Random
from statistics import mean

from benchmarks import loading, records
from benchmarks.seeding import Seeded
from benchmarks.synthetic import MAKERS
from fhir_server import validation
from fhir_server.r4 import json


def _whole() -> tuple[list[tuple[str, dict[str, object]]], list[tuple[str, dict[str, object]]]]:
    rng = Random(1)
    staff = records.staff(rng)
    of = {
        kind: [name for name, one in staff if one["resourceType"] == kind] for kind in ("Practitioner", "Organization")
    }
    return staff, records.record(rng, records.Staff(of["Practitioner"], of["Organization"]))


def test_every_resource_is_valid() -> None:
    staff, record = _whole()
    for _, resource in staff + record:
        validation.validate(json.parse(json.dumps(resource)))
    assert {resource["resourceType"] for _, resource in staff + record} == set(MAKERS)


def test_a_record_has_the_size_that_is_said() -> None:
    _, record = _whole()
    assert len(record) == records.RECORD_SIZE
    assert Counter(one["resourceType"] for _, one in record) == Counter({"Patient": 1} | records.COUNTS)
    assert 1200 < mean(len(json.dumps(one)) for _, one in record) < 1900


def test_every_reference_leads_to_the_same_transaction_or_to_staff() -> None:
    staff, record = _whole()
    names = {name for name, _ in staff + record}
    found = [value for _, one in record for value in _references(one)]
    assert len(found) > len(record)
    assert set(found) <= names


def test_identifiers_are_unique() -> None:
    staff, record = _whole()
    values = [identifier["value"] for _, one in staff + record for identifier in one["identifier"]]  # type: ignore[attr-defined]
    assert len(set(values)) == len(values)


def test_a_transaction_posts_each_resource() -> None:
    _, record = _whole()
    bundle = plain_json.loads(records.transaction(record))
    assert bundle["type"] == "transaction"
    assert [entry["request"] for entry in bundle["entry"]] == [
        {"method": "POST", "url": one["resourceType"]} for _, one in record
    ]


def test_lines_to_load_refer_to_each_other_by_their_ids() -> None:
    seeded = Seeded(staff=records.Staff(["Practitioner/p"], ["Organization/o"]))
    lines = loading.ndjson(Random(2), seeded, 2)
    resources = [json.parse(line) for line in lines]
    assert len(resources) == 2 * records.RECORD_SIZE
    names = {f"{one['resourceType']}/{one['id']}" for one in resources} | {"Practitioner/p", "Organization/o"}
    assert len(names) == len(resources) + 2
    for one in resources:
        validation.validate(one)
        assert set(_references(one)) <= names


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if "reference" in value else []
        return own + [found for one in value.values() for found in _references(one)]
    return [found for one in value for found in _references(one)] if isinstance(value, list) else []
