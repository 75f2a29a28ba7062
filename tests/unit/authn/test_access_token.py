from __future__ import annotations

import base64
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from fhir_server.authn import access_token
from fhir_server.authn.access_token import LONGEST, Verifier
from fhir_server.errors import Unauthenticated

ISSUER = "http://localhost"
NOW = 1_800_000_000


class Keys:
    """One key that is in no file."""

    def __init__(self) -> None:
        self.signing = ECKey.generate_key("P-256", auto_kid=True)
        self.by_id = {str(self.signing.kid): self.signing}


class Taken:
    """Revocations by value alone; those of the database are tested by themselves."""

    def __init__(self, *values: str) -> None:
        self.values = set(values)

    def revoked(self, *named: object) -> bool:
        return bool(self.values & set(named))

    def forget(self) -> None:
        """Nothing is remembered."""


def _keys() -> Keys:
    return Keys()


KEYS = _keys()


def _issue(keys: Keys = KEYS, **changes: Any) -> str:
    values: dict[str, Any] = {
        "issuer": ISSUER,
        "sub": "sub",
        "client_id": "client",
        "tenant": "riverside",
        "scope": "system/*.cruds",
        "lifetime": 60,
        "now": NOW,
    }
    return access_token.issue(keys, **values | changes)


def _verifier(now: float = NOW, revoked: Taken | None = None, **options: Any) -> Verifier:
    return Verifier(KEYS, ISSUER, revoked or Taken(), clock=lambda: now, **options)


def _sign(claims: dict[str, Any], header: dict[str, Any] | None = None, key: Any = None) -> str:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": KEYS.signing.kid} | (header or {})
    return jwt.encode(header, claims, key or KEYS.signing, algorithms=[header["alg"]])


GOOD: dict[str, Any] = {
    "iss": ISSUER,
    "aud": ISSUER,
    "sub": "s",
    "client_id": "c",
    "tenant": "riverside",
    "scope": "system/*.cruds",
    "iat": NOW,
    "exp": NOW + 60,
    "jti": "j",
}


def _refused(verifier: Verifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        verifier.verify(token)
    (name, challenge) = caught.value.headers[0]
    assert name == "WWW-Authenticate"
    assert challenge.startswith('Bearer error="invalid_token"')
    return str(caught.value)


def test_what_was_issued_is_what_is_read() -> None:
    claims = _verifier().verify(_issue())
    assert (claims.tenant, claims.scope, claims.sub, claims.client_id) == (
        "riverside",
        "system/*.cruds",
        "sub",
        "client",
    )
    assert (claims.iss, claims.aud, claims.iat, claims.exp) == (ISSUER, ISSUER, NOW, NOW + 60)
    assert claims.jti != _verifier().verify(_issue()).jti


def test_good_claims_signed_by_hand_are_accepted() -> None:
    """The refusals below differ from this one in one thing each."""
    assert _verifier().verify(_sign(GOOD)).jti == "j"


def test_expiry_is_respected_on_every_hit() -> None:
    now = [float(NOW)]
    verifier = Verifier(KEYS, ISSUER, Taken(), clock=lambda: now[0])
    token = _issue()
    verifier.verify(token)
    now[0] = NOW + 59.9
    verifier.verify(token)
    now[0] = NOW + 60
    assert "expired" in _refused(verifier, token)
    assert "expired" in _refused(_verifier(NOW + 61), token)


def test_revocation_is_respected_on_every_hit() -> None:
    token = _issue(grant="g", roles=["staff"])
    claims = _verifier().verify(token)
    for value in (claims.jti, "g", "sub", "riverside client"):
        taken = Taken()
        verifier = _verifier(revoked=taken)
        verifier.verify(token)
        taken.values.add(value)
        assert "revoked" in _refused(verifier, token)


@pytest.mark.parametrize("claim", GOOD)
@pytest.mark.parametrize("value", [None, [], {}, True, 1.5])
def test_claim_of_another_type_is_refused(claim: str, value: Any) -> None:
    _refused(_verifier(), _sign(GOOD | {claim: value}))


@pytest.mark.parametrize("claim", GOOD)
def test_missing_claim_is_refused(claim: str) -> None:
    _refused(_verifier(), _sign({name: value for name, value in GOOD.items() if name != claim}))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "http://elsewhere"}, "another server"),
        ({"aud": "http://elsewhere"}, "another server"),
        ({"iat": NOW + 3600}, "not valid yet"),
        ({"nbf": NOW + 3600}, "not valid yet"),
        ({"nbf": "soon"}, "nbf"),
        ({"exp": NOW}, "expired"),
        ({"exp": -1}, "expired"),
    ],
)
def test_wrong_claim_is_refused(changes: dict[str, Any], why: str) -> None:
    assert why in _refused(_verifier(), _sign(GOOD | changes))


def test_key_of_another_server_is_refused() -> None:
    other = _keys()
    _refused(_verifier(), _issue(other))
    # Naming our key does not help, nor does bringing a key along.
    brought = other.signing.as_dict(private=False)
    _refused(_verifier(), _sign(GOOD, {"kid": KEYS.signing.kid, "jwk": brought}, other.signing))
    _refused(_verifier(), _sign(GOOD, {"kid": "../../dev/null"}, other.signing))


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": ""}, {"typ": "id+jwt"}])
def test_other_types_of_token_are_refused(header: dict[str, str]) -> None:
    assert "at+jwt" in _refused(_verifier(), _sign(GOOD, header))


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "HS256", "RS256", "ES384"])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_unsigned_token_is_refused(algorithm: str | None, signature: str) -> None:
    header = {"alg": algorithm, "typ": "at+jwt", "kid": KEYS.signing.kid}
    _refused(_verifier(), f"{_part(header)}.{_part(GOOD)}.{signature}")


@pytest.mark.parametrize(
    "secret", [KEYS.signing.as_pem(private=False), json.dumps(KEYS.signing.as_dict(private=False)).encode()]
)
def test_public_key_is_no_shared_secret(secret: bytes) -> None:
    """Signed by hand, for the library will not do it. https://www.rfc-editor.org/rfc/rfc8725#section-2.1"""
    signed = f"{_part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': KEYS.signing.kid})}.{_part(GOOD)}"
    mark = hmac.digest(secret, signed.encode(), "sha256")
    _refused(_verifier(), f"{signed}.{base64.urlsafe_b64encode(mark).decode().rstrip('=')}")


def test_every_changed_character_is_noticed() -> None:
    token = _issue()
    signed, _, signature = token.rpartition(".")
    for position in range(len(signed)):
        changed = "A" if token[position] != "A" else "B"
        _refused(_verifier(), token[:position] + changed + token[position + 1 :])
    # The last character of a base64url part may carry unused bits; all others count.
    for position in range(len(signature) - 1):
        changed = "A" if signature[position] != "A" else "B"
        _refused(_verifier(), f"{signed}.{signature[:position]}{changed}{signature[position + 1 :]}")


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_refused_and_nothing_else(text: str) -> None:
    _refused(_verifier(), text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
HEADERS = st.fixed_dictionaries(
    {"alg": st.just("ES256") | JSON, "kid": st.just(KEYS.signing.kid) | JSON},
    optional={"typ": JSON, "crit": JSON, "b64": JSON, "jwk": JSON, "x5c": JSON, "zip": JSON, "enc": JSON},
)


@given(HEADERS | JSON, JSON, st.binary(max_size=70))
def test_any_header_is_refused_and_nothing_else(header: Any, claims: Any, signature: bytes) -> None:
    end = base64.urlsafe_b64encode(signature).decode().rstrip("=")
    _refused(_verifier(), f"{_part(header)}.{_part(claims)}.{end}")


def test_deep_nesting_and_length_are_bounded() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 3000).decode().rstrip("=")
    _refused(_verifier(), f"{deep}.{deep[:100]}.AAAA")
    begun = time.perf_counter()
    _refused(_verifier(), "a" * (LONGEST + 1))
    _refused(_verifier(), "." * 10_000_000)
    assert time.perf_counter() - begun < 0.5


def test_cache_is_bounded_and_drops_the_oldest() -> None:
    verifier = _verifier(remembered=3)
    tokens = [_issue() for _ in range(4)]
    for token in tokens[:3]:
        verifier.verify(token)
    verifier.verify(tokens[3])
    reads: list[str] = []
    read = verifier._read
    verifier._read = lambda token: reads.append(token) or read(token)  # type: ignore[method-assign,func-returns-value]
    verifier.verify(tokens[1])
    assert reads == []
    verifier.verify(tokens[0])
    assert reads == [tokens[0]]
    assert len(verifier._verified) == 3


def test_refused_tokens_take_no_place_in_the_cache() -> None:
    verifier = _verifier()
    for token in (_issue(_keys()), _issue(lifetime=-1), "nonsense"):
        _refused(verifier, token)
    assert not verifier._verified


def test_threads_share_a_verifier() -> None:
    verifier = _verifier(remembered=8)
    tokens = [_issue(tenant=f"t{number}") for number in range(32)]
    with ThreadPoolExecutor(8) as pool:
        tenants = list(pool.map(lambda token: verifier.verify(token).tenant, tokens * 30))
    assert tenants == [f"t{number}" for number in range(32)] * 30
    assert len(verifier._verified) <= 8
