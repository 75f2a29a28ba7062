"""What a page is: its path, who may see it, and the function that answers it. docs/pages.md"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Response

if TYPE_CHECKING:
    from fhir_server.console.visit import Visit

ANYONE = "anyone"
"""Permission of the pages before sign-in."""

SIGNED_IN = "signed-in"
"""Permission of a person's own pages, whatever their roles."""

PASSWORD_GIVEN = "password-given"  # noqa: S105 - a state of the sign-in
"""Permission of the pages that complete a sign-in: the second factor, a new password."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page. ``path`` stands below /t/{slug}; ``permission`` is one of the above or a key of access.roles.

    A page that ``posts`` takes POST as well as GET, and its forms carry the form token. ``foreign`` is for the one page
    that other sites may post to, because it changes nothing. A ``step`` is part of an app's request.
    """

    name: str
    path: str
    permission: str
    view: Callable[[Visit], Response]
    posts: bool = False
    foreign: bool = False
    step: bool = False
