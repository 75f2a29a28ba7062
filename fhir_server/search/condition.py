"""What one clause of a search is in SQL: what each type's where() gives to compile.py. docs/architecture.md, "Rows" """

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """How the resources that one clause matches are found; at least one of the two forms is given.

    ``rids`` is a subquery for the ``rid`` of each resource that matches, out of one index table under any alias but
    "r": ``SELECT i.rid FROM idx_token i WHERE i.tenant_id = $1 AND i.hash = $2::bigint``. Index rows belong to
    resources that exist and are of the parameter's type, so compile.py can drive from it without touching the
    resources. What is to find rows in it are leakproof operators (comparisons of int, bigint, float8 and text "C"), or
    row level security keeps the index from being used. ``unique`` says that no rid comes twice: one hash, or one key.

    ``hashes`` is the placeholder of the array of which the rows of idx_token have one, where ``rids`` says no more.

    ``row`` is the same condition on the resource's own row ``r``, where that needs no index table:
    ``$2::bigint = ANY (r.tokens)``, ``NOT ($3::int = ANY (r.params))``, ``r.key = ANY ($2::bigint[])``.
    """

    rids: str = ""
    row: str = ""
    unique: bool = False
    hashes: str = ""

    def both(self, other: Condition) -> Condition:
        """The resources of which one index row meets both, for two unique conditions on one parameter."""
        _, _, conditions = other.rids.partition(" WHERE ")
        row = f"({self.row} AND {other.row})" if self.row and other.row else ""
        return Condition(f"{self.rids} AND {conditions}", row, unique=True)

    @property
    def names_patient(self) -> bool:
        """Whether the row form compares the patient that the row belongs to, by which an index finds it."""
        return self.row.startswith("r.patient ")
