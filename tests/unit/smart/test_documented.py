"""docs/smart.md tells of the tests that there are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_has_the_table_of_today() -> None:
    spec = importlib.util.spec_from_file_location("document_smart", ROOT / "scripts/document_smart.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = (ROOT / "docs/smart.md").read_text()
    assert script.page(text) == text, "run scripts/document_smart.py"
    numbers = {int(number) for row in script.rows() for number in row[0].split(", ")}
    assert set(range(12, 41)) <= numbers
