"""Documents that are generated say what the code says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from fhir_server.rest.routes import ROUTES

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def test_settings() -> None:
    spec = importlib.util.spec_from_file_location("document_settings", REPOSITORY / "scripts/document_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.DOCUMENT.read_text() == module.page(), "run scripts/document_settings.py"


def test_every_route_stands_in_the_rest_page() -> None:
    page = (REPOSITORY / "docs/rest.md").read_text()
    for route in ROUTES:
        path = "[base]/" + route.template.replace("type", "[type]").replace("id/", "[id]/").replace(
            "$operation", "$name"
        )
        path = re.sub(r"/id$", "/[id]", path).replace("/vid", "/[vid]").rstrip("/")
        for method in route.methods:
            assert f"`{method} {path}`" in page, f"{method} {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_each_page_is_linked_from_readme_or_from_another_page() -> None:
    linked = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)", page.read_text())
        if "://" not in target
    }
    for page in PAGES[1:]:
        assert page.resolve() in linked or page.parent.resolve() in linked, page.name
