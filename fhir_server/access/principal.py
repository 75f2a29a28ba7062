"""Who is asking, once credentials have been verified. https://www.rfc-editor.org/rfc/rfc9068"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.access.scopes import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """The bearer of a verified access_token.

    ``tenant`` is the slug of the one tenant that the access_token was issued for; ``subject`` and ``client_id`` are its
    claims of that name; ``scopes`` the clinical scopes it carries. ``roles`` are those of the person, () where a client
    acts by itself; ``fhir_user`` is who the person is in FHIR ("Practitioner/123", "" for nobody). ``patient`` and
    ``encounter`` are the ids of the launch context, ``grant`` the grant that the access_token belongs to.

    https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
    """

    tenant: str
    subject: str
    client_id: str
    scopes: tuple[Scope, ...]
    roles: tuple[str, ...] = ()
    fhir_user: str = ""
    patient: str = ""
    encounter: str = ""
    grant: str = ""
