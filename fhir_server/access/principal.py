"""Who is asking, once credentials have been verified. https://www.rfc-editor.org/rfc/rfc9068"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.access.scopes import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """The bearer of a verified access_token.

    ``tenant`` is the slug of the one tenant that the access_token was issued for; ``subject`` and ``client_id`` are its
    claims of that name; ``scopes`` the clinical scopes it carries.
    """

    tenant: str
    subject: str
    client_id: str
    scopes: tuple[Scope, ...]
