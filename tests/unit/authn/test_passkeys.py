"""Passkeys, with an authenticator made of a few lines. https://www.w3.org/TR/webauthn-3/"""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from fhir_server.authn.passkeys import Passkeys
from fhir_server.authn.people import People, Person
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from tests.unit.authn.test_people import QUICK

ORIGINS = ("https://fhir.example.org", "https://riverside.fhir.example.org")
OTHER = 999_999_999


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Authenticator:
    """A security key. https://www.w3.org/TR/webauthn-3/#sctn-authenticator-data"""

    def __init__(self, rp_id: str = "fhir.example.org") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(16)
        self.rp_id = rp_id
        self.counter = 0

    def _data(self, flags: int, attested: bytes = b"") -> bytes:
        self.counter += 1
        return sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4) + attested

    def _client_data(self, kind: str, options: str, origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": json.loads(options)["challenge"], "origin": origin}).encode()

    def _answer(self, response: dict[str, bytes]) -> str:
        values = {name: b64(value) for name, value in response.items()}
        return json.dumps(
            {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "response": values,
             "clientExtensionResults": {}}
        )  # fmt: skip

    def create(self, options: str, origin: str = ORIGINS[0], flags: int = 0x45) -> str:
        """What navigator.credentials.create gives."""
        point = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)}
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + cbor2.dumps(cose)
        statement = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": self._data(flags, attested)})
        client = self._client_data("webauthn.create", options, origin)
        return self._answer({"clientDataJSON": client, "attestationObject": statement})

    def get(self, options: str, origin: str = ORIGINS[0], flags: int = 0x05) -> str:
        """What navigator.credentials.get gives."""
        data, client = self._data(flags), self._client_data("webauthn.get", options, origin)
        signature = self.key.sign(data + sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer({"clientDataJSON": client, "authenticatorData": data, "signature": signature})


@pytest.fixture
def passkeys(app_database: Database) -> Passkeys:
    return Passkeys(app_database, ORIGINS[0])


@pytest.fixture
def person(app_database: Database, tenant: Tenant) -> Person:
    return People(app_database, QUICK).create(tenant.id, username="ada", roles=["staff"])


@pytest.fixture
def key(passkeys: Passkeys, tenant: Tenant, person: Person) -> Authenticator:
    """A security key that was set up."""
    made = Authenticator()
    options, challenge = passkeys.registration_options(tenant.id, person, "Clinic")
    assert passkeys.register(tenant.id, person.id, made.create(options), challenge, "Key", ORIGINS)
    return made


def asked(passkeys: Passkeys, tenant: Tenant, person: Person) -> tuple[str, str]:
    return passkeys.authentication_options(tenant.id, person.id)


def test_options_say_who_and_which(passkeys: Passkeys, tenant: Tenant, person: Person, key: Authenticator) -> None:
    options = json.loads(asked(passkeys, tenant, person)[0])
    assert [one["id"] for one in options["allowCredentials"]] == [b64(key.id)]
    assert options["rpId"] == "fhir.example.org"
    new = json.loads(passkeys.registration_options(tenant.id, person, "Clinic")[0])
    assert [one["id"] for one in new["excludeCredentials"]] == [b64(key.id)]
    assert urlsafe_b64decode(new["user"]["id"] + "==").decode() == person.id


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_passkey_lets_its_person_in(
    passkeys: Passkeys, tenant: Tenant, person: Person, key: Authenticator, origin: str
) -> None:
    options, challenge = asked(passkeys, tenant, person)
    assert passkeys.authenticate(tenant.id, person.id, key.get(options, origin), challenge, ORIGINS)


def test_nothing_else_does(passkeys: Passkeys, tenant: Tenant, person: Person, key: Authenticator) -> None:
    options, challenge = asked(passkeys, tenant, person)

    def accepted(
        answer: str, challenge: str = challenge, person_id: str = person.id, tenant_id: int = tenant.id
    ) -> bool:
        return passkeys.authenticate(tenant_id, person_id, answer, challenge, ORIGINS)

    assert not accepted(key.get(options, "https://evil.example.org")), "another origin"
    assert not accepted(key.get(options, "http://fhir.example.org")), "the same host without TLS"
    assert not accepted(key.get(options), b64(secrets.token_bytes(32))), "another challenge"
    assert not accepted(key.get(options), person_id="somebody else")
    assert not accepted(key.get(options), tenant_id=OTHER)
    assert not accepted(key.get(options, flags=0x00)), "nobody was there"
    assert not accepted(Authenticator().get(options)), "a key that nobody has set up"
    stranger = Authenticator()
    stranger.id = key.id
    assert not accepted(stranger.get(options)), "another key under its name"
    elsewhere = Authenticator("evil.example.org")
    elsewhere.id, elsewhere.key, elsewhere.counter = key.id, key.key, key.counter
    assert not accepted(elsewhere.get(options)), "made for another host"
    answer: dict[str, Any] = json.loads(key.get(options))
    answer["response"]["signature"] = b64(b"\x30\x00")
    assert not accepted(json.dumps(answer))
    assert accepted(key.get(options)), "the refusals above differ from this in one thing each"


@pytest.mark.parametrize("answer", ["", "null", "[]", "{}", '{"id": 1}', '{"id": "a"}', "nonsense", "a" * 30_000])
@pytest.mark.usefixtures("key")
def test_garbage(passkeys: Passkeys, tenant: Tenant, person: Person, answer: str) -> None:
    _, challenge = asked(passkeys, tenant, person)
    assert not passkeys.authenticate(tenant.id, person.id, answer, challenge, ORIGINS)
    assert not passkeys.register(tenant.id, person.id, answer, challenge, "Key", ORIGINS)


def test_a_copy_is_found_out_by_its_counter(
    passkeys: Passkeys, tenant: Tenant, person: Person, key: Authenticator
) -> None:
    copy = Authenticator()
    copy.id, copy.key, copy.counter = key.id, key.key, key.counter
    for one, expected in ((key, True), (copy, False), (key, True)):
        options, challenge = asked(passkeys, tenant, person)
        assert passkeys.authenticate(tenant.id, person.id, one.get(options), challenge, ORIGINS) is expected


def test_an_answer_works_once(passkeys: Passkeys, tenant: Tenant, person: Person, key: Authenticator) -> None:
    options, challenge = asked(passkeys, tenant, person)
    answer = key.get(options)
    assert passkeys.authenticate(tenant.id, person.id, answer, challenge, ORIGINS)
    assert not passkeys.authenticate(tenant.id, person.id, answer, challenge, ORIGINS)


def test_what_is_set_up_wrongly_is_not_kept(passkeys: Passkeys, tenant: Tenant, person: Person) -> None:
    options, challenge = passkeys.registration_options(tenant.id, person, "Clinic")

    def kept(answer: str, challenge: str = challenge) -> bool:
        return passkeys.register(tenant.id, person.id, answer, challenge, "Key", ORIGINS)

    assert not kept(Authenticator().create(options, "https://evil.example.org"))
    assert not kept(Authenticator().create(options), b64(secrets.token_bytes(32)))
    assert not kept(Authenticator("evil.example.org").create(options))
    assert not kept(Authenticator().create(options, flags=0x44)), "nobody was there"
    assert not kept(Authenticator().get(options))
    one = Authenticator()
    assert kept(one.create(options))
    assert not kept(one.create(options)), "it is there already"
