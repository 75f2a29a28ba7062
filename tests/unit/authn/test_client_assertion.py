"""private_key_jwt. https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk

from fhir_server.authn import client_assertion, public_keys
from fhir_server.authn.client_assertion import Assertion, InvalidClient

NOW = 1_800_000_000
TOKEN_URL, ISSUER = "https://fhir.example/t/a/auth/token", "https://fhir.example/t/a/auth"
RSA = rsa.generate_private_key(65537, 2048)
P384 = ec.generate_private_key(ec.SECP384R1())
P256 = ec.generate_private_key(ec.SECP256R1())
STRANGER = ec.generate_private_key(ec.SECP384R1())

Sign = Callable[[bytes], bytes]


def rsa_pkcs1(algorithm: hashes.HashAlgorithm) -> Sign:
    return lambda data: RSA.sign(data, padding.PKCS1v15(), algorithm)


def ecdsa(key: ec.EllipticCurvePrivateKey, algorithm: hashes.HashAlgorithm, size: int) -> Sign:
    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(algorithm)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return sign


RS384, ES384 = rsa_pkcs1(hashes.SHA384()), ecdsa(P384, hashes.SHA384(), 48)
JWKS = {
    "keys": [
        jwk.RSAKey.import_key(RSA.public_key(), {"kid": "r"}).as_dict(),
        jwk.ECKey.import_key(P384.public_key(), {"kid": "e"}).as_dict(),
        jwk.ECKey.import_key(P256.public_key(), {"kid": "p"}).as_dict(),
    ]
}
CLAIMS = {"iss": "app", "sub": "app", "aud": TOKEN_URL, "exp": NOW + 240, "jti": "one"}


def coded(value: object) -> bytes:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def made(claims: object = CLAIMS, sign: Sign = ES384, **header: object) -> str:
    """A JWT by hand, so that nothing keeps it from being wrong."""
    full = {"alg": "ES384", "kid": "e", "typ": "JWT"} | header
    signed = coded({name: value for name, value in full.items() if value is not None}) + b"." + coded(claims)
    return (signed + b"." + coded(sign(signed))).decode()


def lookup(kid: str, alg: str) -> public_keys.PublicKey:
    return public_keys.key_in(JWKS, kid, alg)


def verified(assertion: str, **options: Any) -> Assertion:
    given: dict[str, Any] = {"audience": (TOKEN_URL, ISSUER), "client_id": "app", "key_lookup": lookup, "now": NOW}
    return client_assertion.verify(assertion, **given | options)


def refusal(assertion: str, **options: Any) -> str:
    with pytest.raises(InvalidClient) as caught:
        verified(assertion, **options)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("header", "sign"), [({"alg": "RS384", "kid": "r"}, RS384), ({}, ES384)], ids=["RS384", "ES384"]
)
def test_the_two_algorithms_of_smart_verify(header: dict[str, Any], sign: Sign) -> None:
    assert verified(made(sign=sign, **header)) == Assertion("one", NOW + 240)


@pytest.mark.parametrize(
    "change",
    [
        {"aud": ISSUER},
        {"aud": [TOKEN_URL]},
        {"exp": NOW + 300, "iat": NOW, "nbf": NOW},
        {"exp": NOW + 0.5, "iat": NOW + 30},
        {"jti": "j" * 255},
        {"other": {"a": [1]}},
    ],
)
def test_what_the_specification_allows_is_taken(change: dict[str, Any]) -> None:
    assert verified(made(CLAIMS | change)).exp > NOW


@pytest.mark.parametrize("header", [{"typ": None}, {"typ": "jwt"}, {"typ": "client-authentication+jwt"}, {"other": 1}])
def test_headers_that_mean_nothing_else_are_taken(header: dict[str, Any]) -> None:
    assert verified(made(**header)).jti == "one"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"iss": "other"}, "iss and sub"),
        ({"sub": "other"}, "iss and sub"),
        ({"iss": ["app"]}, "iss and sub"),
        ({"iss": None}, "iss and sub"),
        ({"aud": "https://other.example/token"}, "aud must be " + TOKEN_URL),
        ({"aud": TOKEN_URL + "/"}, "aud must be"),
        ({"aud": [TOKEN_URL, "https://other.example/token"]}, "aud must be"),
        ({"aud": []}, "aud must be"),
        ({"aud": {TOKEN_URL: 1}}, "aud must be"),
        ({"aud": None}, "aud must be"),
        ({"exp": NOW}, "expired"),
        ({"exp": NOW - 1}, "expired"),
        ({"exp": NOW + 331}, "five minutes"),
        ({"exp": NOW + 360, "iat": NOW + 60}, "five minutes"),
        ({"exp": 10**12}, "five minutes"),
        ({"exp": 10**400}, "exp must be a number"),
        ({"exp": float("nan")}, "exp must be a number"),
        ({"exp": float("inf")}, "exp must be a number"),
        ({"exp": -1}, "exp must be a number"),
        ({"exp": str(NOW + 60)}, "exp must be a number"),
        ({"exp": True}, "exp must be a number"),
        ({"exp": None}, "exp must be a number"),
        ({"iat": "now"}, "iat must be a number"),
        ({"iat": NOW + 31}, "clock"),
        ({"nbf": NOW + 31}, "clock"),
        ({"nbf": []}, "nbf must be a number"),
        ({"jti": ""}, "jti"),
        ({"jti": 1}, "jti"),
        ({"jti": "j" * 256}, "jti"),
    ],
)
def test_wrong_claims_are_told(change: dict[str, Any], why: str) -> None:
    assert why in refusal(made(CLAIMS | change))


@pytest.mark.parametrize("name", list(CLAIMS))
def test_no_claim_can_be_left_out(name: str) -> None:
    assert refusal(made({key: value for key, value in CLAIMS.items() if key != name}))


def hmac_with_public_key(data: bytes) -> bytes:
    """The classic confusion: what everybody knows, taken for a shared secret."""
    pem = P384.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hmac.digest(pem, data, hashlib.sha384)


@pytest.mark.parametrize(
    ("header", "sign", "why"),
    [
        ({"alg": "none"}, lambda _: b"", "RS384 or ES384"),
        ({"alg": "None"}, lambda _: b"", "RS384 or ES384"),
        ({"alg": "HS384"}, hmac_with_public_key, "RS384 or ES384"),
        ({"alg": "RS256", "kid": "r"}, rsa_pkcs1(hashes.SHA256()), "RS384 or ES384"),
        ({"alg": "ES256", "kid": "p"}, ecdsa(P256, hashes.SHA256(), 32), "RS384 or ES384"),
        ({"alg": "RS384", "kid": "e"}, RS384, "no RS384 key"),
        ({"alg": "ES384", "kid": "r"}, RS384, "no ES384 key"),
        ({"alg": "ES384", "kid": "p"}, ecdsa(P256, hashes.SHA384(), 32), "no ES384 key"),
        ({}, ecdsa(STRANGER, hashes.SHA384(), 48), "does not verify"),
        ({}, lambda _: b"", "does not verify"),
        ({}, lambda _: bytes(96), "does not verify"),
        ({}, lambda data: P384.sign(data, ec.ECDSA(hashes.SHA384())), "does not verify"),
        ({"alg": "RS384", "kid": "r"}, rsa_pkcs1(hashes.SHA256()), "does not verify"),
        (
            {"jwk": jwk.ECKey.import_key(STRANGER.public_key()).as_dict()},
            ecdsa(STRANGER, hashes.SHA384(), 48),
            "verify",
        ),
        ({"alg": None}, ES384, "verify"),
        ({"alg": ["ES384"]}, ES384, "verify"),
        ({"kid": None}, ES384, "kid"),
        ({"kid": ""}, ES384, "kid"),
        ({"kid": ["e"]}, ES384, "verify"),
        ({"kid": "unknown"}, ES384, "no ES384 key with this kid"),
        ({"typ": "at+jwt"}, ES384, "typ"),
        ({"crit": ["exp"], "exp": 1}, ES384, "verify"),
        ({"crit": ["b64"], "b64": True}, ES384, "crit"),
        ({"jku": "https://stranger.example/jwks"}, ES384, "jwks_uri"),
    ],
)
def test_forged_and_confusing_headers_are_refused(header: dict[str, Any], sign: Sign, why: str) -> None:
    assert why in refusal(made(sign=sign, **header))


def test_jku_must_be_the_url_that_was_registered() -> None:
    url = "https://app.example/" + "long/" * 200 + "jwks"
    assert verified(made(jku=url), jwks_url=url).jti == "one"
    assert "jwks_uri" in refusal(made(jku=url + "?"), jwks_url=url)


def test_nothing_is_looked_up_before_the_algorithm_is_known_to_be_good() -> None:
    asked: list[str] = []

    def asking(kid: str, alg: str) -> public_keys.PublicKey:
        asked.append(kid)
        return lookup(kid, alg)

    for header in ({"alg": "HS384"}, {"alg": "none"}, {"crit": ["b64"], "b64": True}, {"jku": "https://x.example/"}):
        refusal(made(**header), key_lookup=asking)  # type: ignore[arg-type]
    assert asked == []


def test_an_empty_client_id_is_nobody() -> None:
    assert "iss and sub" in refusal(made(CLAIMS | {"iss": "", "sub": ""}), client_id="")


@pytest.mark.parametrize("assertion", ["", ".", "..", "a.b.c", "e30.e30.", "é.a.b", "x" * 8193, made() + ".", made([])])
def test_what_is_no_jwt_is_refused(assertion: str) -> None:
    assert refusal(assertion)
    with pytest.raises(InvalidClient):
        client_assertion.claimed_client_id(assertion)


def test_deep_nesting_is_refused() -> None:
    deep = coded(b"[" * 4000)
    assert refusal(f"{deep.decode()}.{deep.decode()}.AAAA"[:8000])
    with pytest.raises(InvalidClient):
        client_assertion.claimed_client_id(f"{coded({'alg': 'ES384'}).decode()}.{deep.decode()}.AAAA")


def test_a_changed_character_is_noticed_anywhere() -> None:
    good = made()
    for place in range(0, len(good), 7):
        other = "A" if good[place] != "A" else "B"
        changed = good[:place] + other + good[place + 1 :]
        assert refusal(changed)


def test_whose_it_says_it_is_is_read_without_believing_it() -> None:
    assert client_assertion.claimed_client_id(made(sign=lambda _: b"x")) == "app"
    for claims in ({}, {"sub": ""}, {"sub": 1}, {"sub": ["app"]}):
        with pytest.raises(InvalidClient, match="iss and sub"):
            client_assertion.claimed_client_id(made(claims))


@given(
    st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "jti", "iat"]), st.text(min_size=9) | st.integers())
)
def test_no_refusal_repeats_what_was_sent(change: dict[str, Any]) -> None:
    said = ""
    try:
        verified(made(CLAIMS | change, sign=RS384, alg="RS384", kid="r"))
    except InvalidClient as error:
        said = str(error)
    assert not any(str(value) in said for value in change.values() if len(str(value)) > 8)
