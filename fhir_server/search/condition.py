"""What one filter of a search is in SQL: what a type's where() gives to the compiler. docs/architecture.md, "Rows" """

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SEEDS = "\x01"
"""Stands in `Condition.follow` for the table of the seeds; no SQL holds such a character."""

Probe = Callable[[str], str]
"""From the SQL of a rid to the condition that the resource of this rid matches."""

Among = Callable[[str, str], str]
"""The same by a table of seeds, whose name is the second argument."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How the resources that one filter matches are found, and how one of them is tested; a form at least is given.

    ``rids`` is a subquery for the ``rid`` of each resource that matches, out of index tables under any alias but
    "r": ``SELECT i.rid FROM idx_token i WHERE i.tenant_id = $1 AND i.hash = $2::bigint``. Index rows belong to
    resources that exist and are of the parameter's type, so the compiler can start from it without touching the
    resources. What is to find rows in it are leakproof operators (comparisons of int, bigint, float8 and text "C"), or
    row level security keeps the index from being used. ``unique`` says that no rid comes twice and that an index gives
    them in their order: one hash, or one key.

    ``row`` is the same condition on the resource's own row ``r``, where that needs no index table:
    ``$2::bigint = ANY (r.tokens)``, ``NOT ($3::int = ANY (r.params))``, ``r.key = ANY ($2::bigint[])``.

    ``hashes`` is the placeholder of the array of which the rows of idx_token have one, where ``rids`` says no more.

    ``probe`` tests one rid; without it that is ``rids`` with the rid given. ``stream`` gives the same as ``rids``, some
    of them perhaps several times, in a form of which the first few cost little however many there are. A join may say
    what it starts from: ``seed``, a stream of one column that is worth counting first, and ``follow``, the rids that
    the table `SEEDS` of such ``key`` s leads to. ``among`` tests one rid by the table of all seeds, which is cheaper
    than ``probe`` where there are some hundreds of them.
    """

    rids: str = ""
    row: str = ""
    unique: bool = False
    probe: Probe | None = None
    stream: str = ""
    seed: str = ""
    follow: str = ""
    among: Among | None = None
    hashes: str = ""

    @property
    def seeds(self) -> str:
        """The stream that is worth counting first."""
        return self.seed or self.stream or self.rids

    def led_to(self, seeds: str) -> str:
        """The rids that the rows of a table of ``seeds`` lead to."""
        return self.follow.replace(SEEDS, seeds) if self.follow else f"SELECT m.key AS rid FROM {seeds} m"

    def test(self, rid: str, tenant: str) -> str:
        """The condition that the resource of one rid matches, by look-ups of this rid alone.

        ``rid`` is SQL, ``tenant`` the placeholder of the tenant. OFFSET 0 keeps it a look-up for each row where the
        planner, for it misjudges a join, would read all that ``rids`` gives. Raises ValueError for a rid under the name
        that the tables of conditions have: it would be compared with itself.
        """
        if rid.startswith("i."):
            raise ValueError(f"{rid} is a name that conditions use themselves")
        if self.probe is not None:
            return self.probe(rid)
        if self.rids:
            return f"EXISTS (SELECT FROM ({self.rids}) i WHERE i.rid = {rid} OFFSET 0)"
        # What stands for the rid may be named as what it is compared with: it is read where that cannot be seen.
        return (
            f"EXISTS (SELECT FROM (SELECT {rid} AS rid) w CROSS JOIN LATERAL (SELECT FROM resource r "
            f"WHERE r.tenant_id = {tenant} AND r.rid = w.rid AND {self.row} OFFSET 0) r OFFSET 0)"
        )

    @property
    def names_patient(self) -> bool:
        """Whether the row form compares the patient that the row belongs to, by which an index finds it."""
        return self.row.startswith("r.patient ")


@dataclass(frozen=True, slots=True)
class Panel:
    """The patients whom all rows are about that the caller may see, in a search of one type.

    ``patients`` is a subquery of their keys ``key``, some of them several times; ``start`` is the condition to start
    from them. ``let`` is the condition on the row ``r`` that lets it through, and ``alone`` says that being about one
    of them is all that it asks.
    """

    patients: str
    start: Condition
    let: str
    alone: bool


NOTHING = Condition(row="false")
"""What no resource meets."""
