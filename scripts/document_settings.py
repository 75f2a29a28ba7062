"""Write docs/settings.md from the declared settings. https://12factor.net/config

Usage: python scripts/document_settings.py
"""

from __future__ import annotations

from pathlib import Path

from fhir_server.settings import documented

DOCUMENT = Path(__file__).resolve().parents[1] / "docs/settings.md"
HEAD = """# Settings

Environment variables, read once when a process starts. A value that cannot be used is refused with a sentence that says
why.

| variable | kind | default | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The page as it must stand in docs/settings.md."""
    rows = (
        f"| `{s.name}` | {s.kind} | {f'`{s.default}`' if s.default else ''} | {s.sentence} |\n" for s in documented()
    )
    return HEAD + "".join(rows)


if __name__ == "__main__":
    DOCUMENT.write_text(page())
