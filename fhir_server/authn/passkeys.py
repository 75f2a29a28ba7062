"""Passkeys and security keys. https://www.w3.org/TR/webauthn-3/"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from fhir_server.audit.event import now
from fhir_server.authn.people import Person
from fhir_server.r4 import json
from fhir_server.store import second_factors as rows
from fhir_server.store.second_factors import WEBAUTHN, Row
from fhir_server.store.session import Connection, Database

LONGEST_ANSWER = 20_000
LONGEST_ID = 1400
"""Characters of base64url: an id has at most 1,023 bytes. https://www.w3.org/TR/webauthn-3/#credential-id"""

_WRONG = (WebAuthnException, ValueError, TypeError, KeyError)
"""What the library raises for answers that are not right, or no answers at all."""


class Passkeys:
    """The passkeys of all clinics. They are bound to the server's host, and here to one person of one clinic each.

    Clinics may share the host, so that a browser may offer a passkey of another clinic: it is not the person's there.
    """

    def __init__(self, database: Database, public_url: str) -> None:
        self._database = database
        self._rp_id = urlsplit(public_url).hostname or "localhost"

    def registration_options(self, tenant_id: int, person: Person, clinic: str) -> tuple[str, str]:
        """What the browser is asked for a new passkey, as JSON, and the challenge to remember. Raises Unavailable.

        https://www.w3.org/TR/webauthn-3/#dictdef-publickeycredentialcreationoptions
        """
        options = generate_registration_options(
            rp_id=self._rp_id,
            rp_name=clinic,
            user_name=person.username,
            user_display_name=person.name,
            user_id=person.id.encode(),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.DISCOURAGED,
                user_verification=UserVerificationRequirement.PREFERRED,
            ),
            exclude_credentials=self._descriptors(tenant_id, person.id),
        )
        return options_to_json(options), bytes_to_base64url(options.challenge)

    def register(
        self, tenant_id: int, person_id: str, answer: str, challenge: str, name: str, origins: Collection[str]
    ) -> bool:
        """Keep the passkey that the browser has made; False where the answer is not right. Raises Unavailable."""
        if len(answer) > LONGEST_ANSWER:
            return False
        try:
            verified = verify_registration_response(
                credential=answer,
                expected_challenge=base64url_to_bytes(challenge),
                expected_rp_id=self._rp_id,
                expected_origin=list(origins),
            )
        except _WRONG:
            return False
        credential_id = bytes_to_base64url(verified.credential_id)
        if len(credential_id) > LONGEST_ID:
            return False
        row = Row(
            credential_id,
            WEBAUTHN,
            name,
            verified.credential_public_key,
            verified.sign_count,
            created=now(),
        )
        return self._database.transaction(tenant_id, lambda c: rows.add(c, tenant_id, person_id, row))

    def authentication_options(self, tenant_id: int, person_id: str) -> tuple[str, str]:
        """What the browser is asked for, as JSON, and the challenge to remember. Raises Unavailable.

        https://www.w3.org/TR/webauthn-3/#dictdef-publickeycredentialrequestoptions
        """
        options = generate_authentication_options(
            rp_id=self._rp_id,
            allow_credentials=self._descriptors(tenant_id, person_id),
            user_verification=UserVerificationRequirement.PREFERRED,
        )
        return options_to_json(options), bytes_to_base64url(options.challenge)

    def authenticate(
        self, tenant_id: int, person_id: str, answer: str, challenge: str, origins: Collection[str]
    ) -> bool:
        """Whether the person has shown one of their passkeys just now. Raises Unavailable.

        A counter that does not grow means that the passkey was copied, unless it has none at all.
        https://www.w3.org/TR/webauthn-3/#sctn-sign-counter
        """
        if len(answer) > LONGEST_ANSWER:
            return False
        try:
            named = json.parse(answer.encode())["id"]
        except _WRONG:
            return False

        def look(connection: Connection) -> bool:
            found = rows.of_person(connection, tenant_id, person_id)
            row = next((one for one in found if one.kind == WEBAUTHN and one.id == named), None)
            if row is None:
                return False
            try:
                verified = verify_authentication_response(
                    credential=answer,
                    expected_challenge=base64url_to_bytes(challenge),
                    expected_rp_id=self._rp_id,
                    expected_origin=list(origins),
                    credential_public_key=row.secret,
                    credential_current_sign_count=row.counter,
                )
            except _WRONG:
                return False
            if verified.new_sign_count:
                # Of two answers with the same counter one is a copy's.
                return rows.use(connection, tenant_id, person_id, row.id, verified.new_sign_count, now())
            rows.note_use(connection, tenant_id, person_id, row.id, now())
            return True

        return self._database.transaction(tenant_id, look)

    def _descriptors(self, tenant_id: int, person_id: str) -> list[PublicKeyCredentialDescriptor]:
        found = self._database.transaction(tenant_id, lambda c: rows.of_person(c, tenant_id, person_id))
        return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.id)) for one in found if one.kind == WEBAUTHN]
