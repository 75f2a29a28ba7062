"""Write the table of roles in docs/access.md, from the map itself: fhir_server/access/roles.py.

PYTHONPATH=. python scripts/document_roles.py
"""

from __future__ import annotations

from pathlib import Path

from fhir_server.access.roles import DIRECTORY, EVERY, ROLES, SYSTEM, Grant, Role

PAGE = Path(__file__).parents[1] / "docs" / "access.md"
BEGIN, END = "<!-- roles: made by scripts/document_roles.py -->", "<!-- end of roles -->"


def table() -> str:
    """The table in Markdown: a row for each grant."""
    lines = ["| role | reach | resource types | letters | not shown |", "|---|---|---|---|---|"]
    for role in (*ROLES.values(), SYSTEM):
        lines += [_row(role, grant) for grant in role.grants]
        if role.operations:
            lines.append(f"| {role.name} | clinic | operations | {', '.join(sorted(role.operations))} | |")
    return "\n".join(lines)


def _row(role: Role, grant: Grant) -> str:
    types = "every type" if grant.types == EVERY else _types(grant.types)
    withheld = ", ".join(sorted({label.rpartition("|")[2] for label in grant.withheld}))
    in_part = f"all but what {grant.elements!r} shows" if grant.elements else ""
    counted = "counts only" if grant.reach == "counts" else ""
    hidden = "; ".join(filter(None, [in_part, counted, f"labelled {withheld}" if withheld else ""]))
    return f"| {role.name} | {grant.reach} | {types} | {grant.letters} | {hidden} |"


def _types(types: frozenset[str]) -> str:
    named = sorted(types)
    if types >= DIRECTORY:
        named = ["*directory*", *sorted(types - DIRECTORY)]
    return ", ".join(named)


def written(page: str) -> str:
    """The page with the table of today."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
