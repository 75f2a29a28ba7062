"""A setting does something and is documented; nothing else is read from the environment. docs/settings.md"""

from __future__ import annotations

import ast
import dataclasses
import re

import pytest

from fhir_server.settings import Settings, documented
from tests.architecture.test_modules import REPOSITORY, modules

PAGE = (REPOSITORY / "docs/settings.md").read_text()
FIELDS = [field.name for field in dataclasses.fields(Settings)]

READ_ELSEWHERE = {
    # Where the counters of several processes meet: prometheus_client reads it itself.
    "PROMETHEUS_MULTIPROC_DIR",
    # Where the operating system finds programs.
    "PATH",
}


@pytest.mark.parametrize("row", documented(), ids=lambda row: row.name)
def test_every_setting_is_documented(row: object) -> None:
    name, sentence = getattr(row, "name", ""), getattr(row, "sentence", "")
    assert f"| `{name}` |" in PAGE
    assert sentence in PAGE


def test_nothing_is_documented_that_there_is_not() -> None:
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)) == {name.upper() for name in FIELDS}


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_used(name: str) -> None:
    """A setting that does nothing is worse than none: whoever sets it relies on it."""
    places = [path for path, text in modules("fhir_server", "hl7_gateway") if uses(path, text, name)]
    assert places, f"{name.upper()} is documented, and nothing reads it"


def uses(path: str, text: str, name: str) -> bool:
    reader = r"\b(?:settings|self|_settings)\." if path == "fhir_server/settings.py" else r"settings\."
    return re.search(reader + name + r"\b", text) is not None


def test_the_environment_is_read_in_one_place() -> None:
    for path, text in modules("fhir_server", "hl7_gateway"):
        if path == "fhir_server/settings.py" or not ("environ" in text or "getenv" in text):
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call | ast.Subscript):
                continue
            words = ast.unparse(node)
            if re.match(r"os\.(getenv\(|environ(\.get\(|\[))", words):
                name = re.search(r"['\"]([A-Z_]+)['\"]", words)
                assert name, f"{path}:{node.lineno} reads the environment"
                known = name[1] in READ_ELSEWHERE or name[1].lower() in FIELDS
                assert known, f"{path}:{node.lineno} reads {name[1]}, which is no setting"
