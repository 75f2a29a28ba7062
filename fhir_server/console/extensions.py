"""Pages that other packages add to those of a clinic. docs/pages.md

https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points

from fhir_server.console.page import Page

GROUP = "fhir_server.console"
"""The entry points by which they are found: the server itself imports none of them."""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A page in the menu and on the start page. ``name`` is the page's, and its permission."""

    name: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Extension:
    """Pages of a package. Their templates stand in the folder ``templates`` of the module ``package``."""

    package: str
    pages: Sequence[Page]
    menu: Sequence[MenuEntry]


def installed() -> tuple[Extension, ...]:
    """What the packages add that are installed beside this one, in the order of their names.

    Raises TypeError for what is no Extension, ImportError.
    """
    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        extension = point.load()
        if not isinstance(extension, Extension):
            raise TypeError(f"the entry point {point.name} of {GROUP} must be an Extension")
        found.append(extension)
    return tuple(found)
