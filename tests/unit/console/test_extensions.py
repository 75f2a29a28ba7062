"""Pages that other packages add."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from fhir_server.console import extensions
from fhir_server.console.extensions import GROUP, installed


def test_the_gateways_pages_are_found() -> None:
    found = {page.name: page.permission for extension in installed() for page in extension.pages}
    assert found["messages"] == "messages"
    assert found["feeds"] == "feeds"


def test_each_entry_of_a_menu_is_a_page_of_that_permission() -> None:
    for extension in installed():
        permissions = {page.name: page.permission for page in extension.pages}
        for entry in extension.menu:
            assert permissions[entry.name] == entry.name


def test_what_is_no_extension_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = EntryPoints([EntryPoint("odd", "fhir_server.console.page:ANYONE", GROUP)])
    monkeypatch.setattr(extensions, "entry_points", lambda group: wrong.select(group=group))
    with pytest.raises(TypeError, match="odd"):
        installed()
