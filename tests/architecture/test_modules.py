"""House rules that a reader relies on, for every module. docs/architecture.md"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PRODUCT = ("fhir_server", "hl7_gateway")
CODE = (*PRODUCT, "benchmarks", "scripts", "migrations", "tests")

LONG: dict[str, int] = {}
"""Files that may be longer than 500 lines, and how long."""

WITHOUT_LINK = {
    # Migrations tell what they change; the tables stand in docs/architecture.md, which moves on.
    "migrations/",
    "benchmarks/",
}
"""Where a docstring needs no link."""

DOCSTRING = re.compile(r'\s*(?:#[^\n]*\n\s*)*r?"""(.*?)"""', re.DOTALL)
"""That of a module in the one form that the formatter leaves; to parse a thousand modules for it takes seconds."""


def docstring(text: str) -> str:
    """What a module says of itself; "" for nothing."""
    found = DOCSTRING.match(text)
    return found[1] if found else ""


@cache
def _read(directory: str) -> list[tuple[str, str]]:
    paths = sorted((REPOSITORY / directory).rglob("*.py"))
    return [(str(path.relative_to(REPOSITORY)), path.read_text()) for path in paths]


def modules(*directories: str) -> Iterator[tuple[str, str]]:
    """The path and the text of every module that is not empty."""
    for directory in directories:
        yield from ((path, text) for path, text in _read(directory) if text.strip())


def test_no_file_is_too_long() -> None:
    too_long = {path: text.count("\n") for path, text in modules(*CODE) if text.count("\n") > LONG.get(path, 500)}
    assert too_long == {}


def test_the_exceptions_are_still_there() -> None:
    for path in (*LONG, *WITHOUT_LINK):
        assert (REPOSITORY / path).exists(), path


def test_every_module_says_what_it_is_and_where_that_is_specified() -> None:
    """One sentence, and one link: to the specification, or to the page under docs/ that explains a choice of ours."""
    for path, text in modules(*PRODUCT, "benchmarks", "scripts", "migrations"):
        said = docstring(text)
        assert said, f"{path} has no docstring"
        if not path.startswith(tuple(WITHOUT_LINK)):
            assert re.search(r"https?://\S+\.\S+|docs/[\w/-]+\.md", said), f"{path}: no link in its docstring"


def test_pages_that_docstrings_name_exist() -> None:
    for path, text in modules(*PRODUCT, "benchmarks", "tests"):
        for page in re.findall(r"\bdocs/[\w/-]+\.md", docstring(text)):
            assert (REPOSITORY / page).exists(), f"{path} names {page}"


@pytest.mark.parametrize(
    ("path", "text"), list(modules(*PRODUCT)), ids=lambda value: value if value.endswith(".py") else ""
)
def test_nothing_is_printed_and_no_error_swallowed(path: str, text: str) -> None:
    commands = path.startswith("fhir_server/commands/")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert commands, f"{path}:{node.lineno} prints: only commands speak to people, everything else logs"
        if isinstance(node, ast.ExceptHandler):
            named = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"everything"}
            idle = all(isinstance(step, ast.Pass | ast.Continue) for step in node.body)
            broad = named & {"everything", "Exception", "BaseException"}
            assert not (idle and broad), f"{path}:{node.lineno} swallows any error"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "suppress":
            broad = {a.id for a in node.args if isinstance(a, ast.Name)} & {"Exception", "BaseException"}
            assert not broad, f"{path}:{node.lineno} swallows any error"


def test_no_module_holds_what_nobody_could_name() -> None:
    """A module called utils or helpers is where everything ends up that has no place."""
    vague = {"utils", "util", "helpers", "helper", "misc", "common", "tools", "stuff"}
    assert [path for path, _ in modules(*CODE) if Path(path).stem in vague] == []


def test_flask_and_sql_stay_in_their_layers() -> None:
    """What import-linter cannot say: libraries, too, belong to a layer."""
    homes = {
        "flask": ("fhir_server/rest/", "fhir_server/console/", "fhir_server/platform/", "fhir_server/smart/",
                  "fhir_server/app.py"),
        "psycopg": ("fhir_server/store/", "fhir_server/bulk/", "fhir_server/jobs/", "fhir_server/commands/",
                    "fhir_server/first_run.py", "fhir_server/worker.py", "fhir_server/demo/"),
        "sqlalchemy": ("fhir_server/store/", "fhir_server/commands/migrate.py"),
    }  # fmt: skip
    for path, text in modules("fhir_server"):
        if not any(name in text for name in homes):
            continue
        for node in ast.walk(ast.parse(text)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                home = homes.get(name.partition(".")[0])
                assert home is None or path.startswith(home), f"{path}:{node.lineno} imports {name}"
