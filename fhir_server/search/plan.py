"""A plan of PostgreSQL's without the values of the search. https://www.postgresql.org/docs/current/using-explain.html

Conditions in a plan hold the literals that were searched for, or their hashes: patients' names among them. What is
given on is a list of what is known to be free of them, and conditions whose literals are replaced by "?".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_KEPT = (
    "Node Type", "Strategy", "Join Type", "Scan Direction", "Parent Relationship", "Relation Name", "Index Name",
    "Alias", "Plan Rows", "Plan Width", "Startup Cost", "Total Cost", "Actual Rows", "Actual Loops",
    "Actual Startup Time", "Actual Total Time", "Rows Removed by Filter", "Rows Removed by Index Recheck",
    "Heap Fetches", "Sort Method", "Sort Space Used", "Shared Hit Blocks", "Shared Read Blocks", "Temp Read Blocks",
    "Temp Written Blocks",
)  # fmt: skip
_CONDITIONS = (
    "Index Cond", "Recheck Cond", "Filter", "Join Filter", "Hash Cond", "Merge Cond", "One-Time Filter", "Order By",
    "TID Cond",
)  # fmt: skip
_LISTS = ("Sort Key", "Presorted Key", "Group Key")

_LITERAL = re.compile(
    # A string, with the type that it is cast to; a number that is no part of a name; truth values are harmless.
    r"""(?<![\w$])[EBX]?'(?:[^']|'')*'|(?<![\w$"])-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w$"])"""
)


def redacted(condition: str) -> str:
    """A condition as EXPLAIN prints it, with "?" for each literal."""
    return _LITERAL.sub("?", condition)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan tells: its ``tree`` without literals, the ``indexes`` used, the ``tables`` read from end to end, the
    ``rows`` expected and the ``cost`` in the planner's units."""

    tree: dict[str, Any]
    indexes: tuple[str, ...]
    tables: tuple[str, ...]
    rows: int
    cost: float


def plan(explained: list[dict[str, Any]]) -> Plan:
    """The plan in the output of EXPLAIN (FORMAT JSON).

    https://www.postgresql.org/docs/current/sql-explain.html
    """
    top = explained[0]
    tree = _node(top["Plan"])
    for name in ("Planning Time", "Execution Time"):
        if name in top:
            tree[name] = top[name]
    nodes = list(_nodes(tree))
    indexes = dict.fromkeys(node["Index Name"] for node in nodes if "Index Name" in node)
    tables = dict.fromkeys(node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan")
    return Plan(tree, tuple(indexes), tuple(tables), int(tree["Plan Rows"]), float(tree["Total Cost"]))


def _node(node: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: node[name] for name in _KEPT if name in node}
    found |= {name: redacted(node[name]) for name in _CONDITIONS if name in node}
    found |= {name: [redacted(key) for key in node[name]] for name in _LISTS if name in node}
    if "Plans" in node:
        found["Plans"] = [_node(inner) for inner in node["Plans"]]
    return found


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from _nodes(inner)
