"""The arguments by which the store's functions write who cares for whom, and what patients consent to.
migrations/versions/0010_care.sql, docs/care.md"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fhir_server.access import care
from fhir_server.access.consents import Rule
from fhir_server.r4 import json
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.wire import Argument

_NEITHER: Sequence[Argument] = (None, None)


def of_one(resource_type: str, rows: IndexRows) -> Sequence[Argument]:
    """The relations and the rules of one resource: NULL for types that are the source of none.

    A resource that is deleted has none any more, whatever its type.
    """
    if resource_type in care.TYPES:
        return (_json(map(_relation, rows.care or ())), None)
    if resource_type == "Consent":
        return (None, _json(_rule(number, *pair) for number, pair in enumerate(rows.consents or ())))
    return _NEITHER


def of_many(keys: Sequence[int], many: Sequence[IndexRows]) -> Sequence[Argument]:
    """The same for resources that are created, each under the key of its source; NULL where there are none at all."""
    relations: list[dict[str, object]] = []
    rules: list[dict[str, object]] = []
    for key, rows in zip(keys, many, strict=True):
        if rows.care:
            relations += [{"k": key, **_relation(one)} for one in rows.care]
        elif rows.consents:
            rules += [{"k": key, **_rule(number, *pair)} for number, pair in enumerate(rows.consents)]
    return (_json(relations) if relations else None, _json(rules) if rules else None)


def _json(rows: Iterable[dict[str, object]]) -> bytes:
    return json.dumps(list(rows))


def _relation(row: tuple[int, int | None, int, int, int]) -> dict[str, object]:
    return dict(zip("npdlh", row, strict=True))


def _rule(number: int, patient: int, rule: Rule) -> dict[str, object]:
    """By the names of the columns, in an order that does not change."""
    row = rule._asdict()
    del row["source"]
    for name in ("types", "tokens", "labels", "actors", "resources"):
        if row[name] is not None:
            row[name] = sorted(row[name])
    return {"patient": patient, "number": number, **row}
