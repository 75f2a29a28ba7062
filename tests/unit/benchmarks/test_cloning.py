"""A clone's rows are the very rows that the server would write of the resources that they hold."""

from __future__ import annotations

from collections import Counter
from random import Random

from benchmarks import copying, population
from benchmarks.cloning import Changes, Template
from benchmarks.prepared import Prepared, prepare
from fhir_server import validation
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import definitions, json

HASHER = Hasher(b"clones" * 6)
TYPES = {number: name for name, number in definitions.load().type_ids.items()}
TENANT, UPDATED = 7, 1_700_000_000_000_000


def _clone(template: Template, changes: Changes) -> list[dict[str, list[bytes]]]:
    """The lines of each resource, by table."""
    values = template.values(changes)
    return [
        {table: text.splitlines() for table, text in template.write(number, values, 1000 + number, UPDATED)}
        for number in range(len(template))
    ]


def _columns(rows: dict[str, list[bytes]]) -> dict[str, bytes]:
    (line,) = rows["resource"]
    return dict(zip(copying.COLUMNS["resource"], line.split(b"\t"), strict=True))


def _extracted(columns: dict[str, bytes]) -> tuple[dict[str, object], Prepared]:
    """What a create of the resource in these columns would write."""
    resource: dict[str, object] = {"resourceType": TYPES[int(columns["type_id"])], "id": columns["id"].decode()}
    if columns["meta"] != rb"\N":
        resource["meta"] = json.parse(columns["meta"])
    resource |= json.parse(columns["body"].replace(rb"\\", b"\\"))
    return resource, prepare(resource, HASHER, columns["id"].decode())


def _comparable(rows: dict[str, list[bytes]]) -> tuple[dict[str, object], dict[str, Counter[bytes]]]:
    columns: dict[str, object] = dict(_columns(rows))
    for name in ("tokens", "params"):
        columns[name] = set(bytes(columns[name]).strip(b"{}").split(b","))  # type: ignore[call-overload]
    return columns, {table: Counter(lines) for table, lines in rows.items() if table != "resource"}


def test_a_clone_has_the_rows_that_a_create_of_it_would_write() -> None:
    rng = Random(5)
    template = Template(population.record(rng), HASHER)
    for days in (0, -180, 33):
        for number, rows in enumerate(_clone(template, template.changes(rng, TENANT, days))):
            _, prepared = _extracted(_columns(rows))
            written = {
                table: text.splitlines()
                for table, text in copying.lines(prepared, TENANT, 1000 + number, UPDATED)
                if text
            }
            assert _comparable(rows) == _comparable(written)


def test_clones_share_no_id_no_identifier_and_no_moved_date() -> None:
    rng = Random(6)
    template = Template(population.record(rng), HASHER)
    first, second = (_clone(template, template.changes(rng, TENANT, days)) for days in (1, 2))
    for one, other in zip(first, second, strict=True):
        (mine, _), (theirs, _) = _extracted(_columns(one)), _extracted(_columns(other))
        assert mine["id"] != theirs["id"]
        assert mine["identifier"] != theirs["identifier"]
        assert set(one.get("idx_date", ())).isdisjoint(other.get("idx_date", ()))


def test_what_the_clones_hold_is_valid_and_refers_to_the_clones() -> None:
    rng = Random(7)
    template = Template(population.record(rng), HASHER)
    resources = [_extracted(_columns(rows))[0] for rows in _clone(template, template.changes(rng, TENANT, 9))]
    names = {f"{one['resourceType']}/{one['id']}" for one in resources}
    for resource in resources:
        validation.validate(resource)
        for reference in _references(resource):
            assert reference in names or reference.startswith(("Practitioner/staff-", "Organization/site-"))


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [found for part in value.values() for found in _references(part)]
    return [found for part in value for found in _references(part)] if isinstance(value, list) else []


def test_a_record_has_the_proportions_that_are_said() -> None:
    found = Counter(one["resourceType"] for one in population.record(Random(8)))
    assert found == Counter({"Patient": 1} | population.COUNTS)
    assert found["Observation"] / population.RECORD_SIZE == 0.6
    assert found["Patient"] / population.RECORD_SIZE == 0.02


def test_staff_are_valid() -> None:
    for resource in population.staff(Random(9)):
        validation.validate(json.parse(json.dumps(resource)))


def test_the_second_choice_is_half_as_common_as_the_first() -> None:
    rng, choices = Random(10), population.Zipf(range(50))
    found = Counter(choices.one(rng) for _ in range(20_000))
    assert 1.8 < found[0] / found[1] < 2.2
    assert 2.6 < found[0] / found[2] < 3.4
