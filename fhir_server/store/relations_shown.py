"""By what somebody is related to the patients of one resource: for those who ask why. docs/access.md, "Why?" """

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from fhir_server.store.reading import now
from fhir_server.store.resources import TYPE_NAMES


@dataclass(frozen=True, slots=True)
class Shown:
    """One relation of now: its kind (access/relations.py), until when, and where it comes from.

    ``source`` is the resource that says so ("Encounter/1"), "" where people have stated it; then ``number`` is that of
    the assignment or of the alert.
    """

    kind: int
    until: int
    source: str
    number: int


def relations(
    connection: psycopg.Connection, tenant_id: int, persons: Sequence[int], patients: Sequence[int]
) -> list[Shown]:
    """The relations between people and patients, by their keys, in a transaction of the tenant."""
    at = now()
    rows = connection.execute(
        "SELECT c.kind, c.high, c.source, r.type_id, r.id FROM care_relation c"
        " LEFT JOIN resource r ON r.tenant_id = c.tenant_id AND r.rid = c.source"
        " WHERE c.tenant_id = %s AND c.person = ANY(%s) AND c.patient = ANY(%s) AND c.low <= %s AND c.high > %s"
        " ORDER BY c.kind, c.source LIMIT 50",
        [tenant_id, list(persons), list(patients), at, at],
    )
    return [
        Shown(kind, high, f"{TYPE_NAMES[type_id]}/{name}" if type_id is not None else "", max(-source, 0))
        for kind, high, source, type_id, name in rows
    ]
