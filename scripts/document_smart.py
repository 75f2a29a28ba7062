"""Write the table of a certifying tester's questions in docs/smart.md, from the tests that answer them.

https://github.com/onc-healthit/onc-certification-g10-test-kit
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ("test_smart_acceptance.py", "test_smart_acceptance_scopes.py")
BEGIN, END = "<!-- acceptance: made by scripts/document_smart.py -->", "<!-- end of acceptance -->"
_NAME = re.compile(r"test_((?:\d\d_)+)(.+)")


def rows() -> list[tuple[str, str, str]]:
    """Each test that is named after numbers: the numbers, what is asked, and where it is answered."""
    found = []
    for name in TESTS:
        tree = ast.parse((ROOT / "tests/functional" / name).read_text())
        for node in tree.body:
            match = _NAME.fullmatch(node.name) if isinstance(node, ast.FunctionDef) else None
            if match and isinstance(node, ast.FunctionDef):
                numbers = ", ".join(str(int(number)) for number in match[1].strip("_").split("_"))
                asked = match[2].replace("_", " ")
                told = (ast.get_docstring(node) or "").strip()
                found.append((numbers, f"{asked}: {told}" if told else asked, f"`{node.name}`"))
    return sorted(found, key=lambda row: int(row[0].partition(",")[0]))


def table() -> str:
    """The table in Markdown."""
    lines = ["| no. | what is asked | test |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows()]
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with the table of today."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    """Rewrite the page."""
    path = ROOT / "docs/smart.md"
    path.write_text(page(path.read_text()))
    sys.stdout.write(f"{len(rows())} tests\n")


if __name__ == "__main__":
    main()
