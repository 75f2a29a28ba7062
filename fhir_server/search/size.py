"""How long the SQL of one search may be. https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT

A chain without types, a search on all types and a reverse chain in a reverse chain are short to write and long in SQL.
PostgreSQL plans a statement in a time that grows faster than its length, and reads it without looking at the time
limit, so that the length is what bounds the cost before anything runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.errors import BadRequest

LONGEST = 400_000
"""Characters of one statement, before its values stand in it. So many take one to two seconds to plan, a million 15 or
more (PostgreSQL 18, two cores)."""

_MOST_BUILT = 10 * LONGEST


@dataclass(slots=True)
class Budget:
    """Counts the SQL of the conditions of one search while they are built out of each other."""

    built: int = 0

    def spend(self, *texts: str) -> None:
        """Raises BadRequest where one text or all of them together become too long."""
        lengths = [len(text) for text in texts]
        self.built += sum(lengths)
        if max(lengths) > LONGEST or self.built > _MOST_BUILT:
            raise _too_long()


def within(sql: str) -> str:
    """The statement itself. Raises BadRequest for one that would take too long to plan."""
    if len(sql) > LONGEST:
        raise _too_long()
    return sql


def _too_long() -> BadRequest:
    return BadRequest(
        "The search is too large to be planned: use fewer conditions, shorter chains that name the type at each step "
        "(subject:Patient.name), or fewer types: without _type all are searched, _type=Patient,Encounter names some, "
        "and Patient/[id]/* searches what belongs to one patient.",
        code="too-costly",
    )
