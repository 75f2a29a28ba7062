"""Which keys of a JWK Set are taken. https://www.rfc-editor.org/rfc/rfc7517"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk

from fhir_server.authn import public_keys
from fhir_server.authn.public_keys import BadKeySet, NoKey

RSA = jwk.RSAKey.generate_key(2048, {"kid": "r"}).as_dict(private=False)
P256 = jwk.ECKey.generate_key("P-256", {"kid": "a"}).as_dict(private=False)
P384 = jwk.ECKey.generate_key("P-384", {"kid": "b"}).as_dict(private=False)
PRIVATE = jwk.ECKey.generate_key("P-384", {"kid": "b"}).as_dict(private=True)
WEAK = {"kty": "RSA", "kid": "w", "e": "AQAB", "n": "v" * 171}


def test_each_kind_of_key_verifies_its_algorithms_only() -> None:
    entries = public_keys.read({"keys": [RSA, P256, P384]}, strict=True)
    assert [entry.kid for entry in entries] == ["r", "a", "b"]
    assert public_keys.pick(entries, "b", "ES384") is entries[2].key
    assert public_keys.pick(entries, "a", "ES384") is None
    assert public_keys.pick(entries, "r", "ES384") is None
    for algorithm in ("RS256", "RS384"):
        assert public_keys.pick(entries, "r", algorithm) is entries[0].key
    for algorithm in ("none", "HS256", "HS384", "ES512", "EdDSA", ""):
        assert not any(public_keys.pick(entries, kid, algorithm) for kid in ("r", "a", "b"))
    assert not any(entry.key.is_private for entry in entries)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kty": "oct", "k": "c2VjcmV0"}, "private or secret"),
        ({"kty": "oct"}, "kty must be"),
        ({"kty": "OKP", "crv": "Ed25519"}, "kty must be"),
        ({"kty": None}, "kty must be"),
        ({"crv": "P-521"}, "kty must be"),
        ({"crv": "secp256k1"}, "kty must be"),
        ({"crv": ["P-384"]}, "kty must be"),
        ({"x": None}, "needs x and y"),
        ({"x": P384["y"], "y": P384["x"]}, "numbers"),
        ({"x": "x"}, "numbers"),
        ({"x": "x" * 100_000}, "needs x and y"),
        ({"use": "enc"}, "use must be"),
        ({"use": 1}, "use must be"),
        ({"key_ops": ["sign"]}, "key_ops"),
        ({"key_ops": "verify"}, "key_ops"),
        ({"alg": "ES256"}, "alg does not fit"),
        ({"alg": "none"}, "alg does not fit"),
        ({"alg": ["ES384"]}, "alg does not fit"),
        ({"kid": 1}, "kid must be"),
        ({"kid": "k" * 256}, "kid must be"),
        ({"d": PRIVATE["d"]}, "private or secret"),
        (RSA | {"n": WEAK["n"]}, "2048 bits"),
        (RSA | {"e": "AQ"}, "numbers"),
        (RSA | {"e": "A" * 400}, "exponent"),
        (RSA | {"n": "_" * 100_000}, "needs n and e"),
        (RSA | {"n": "_" * 1400}, "8192 bits"),
        (RSA | {"n": None}, "needs n and e"),
    ],
)
def test_what_cannot_verify_is_passed_over_and_told_when_asked(change: dict[str, Any], why: str) -> None:
    jwks = {"keys": [P384 | change, P256]}
    assert [entry.kid for entry in public_keys.read(jwks)] == ["a"]
    with pytest.raises(BadKeySet, match=why) as caught:
        public_keys.read(jwks, strict=True)
    assert str(caught.value).startswith("keys[0]: ")
    assert P384["x"] not in str(caught.value)


@pytest.mark.parametrize("alg", ["RS384", "RS256", "PS256"])
def test_a_key_for_one_algorithm_is_for_no_other(alg: str) -> None:
    (entry,) = public_keys.read({"keys": [RSA | {"alg": alg, "use": "sig", "key_ops": ["verify"]}]})
    assert entry.algorithms == {alg}


@pytest.mark.parametrize(
    "value", [None, [], "x", {}, {"keys": None}, {"keys": {}}, {"keys": "x"}, {"keys": [P384] * 101}]
)
def test_what_is_no_key_set_is_refused(value: object) -> None:
    with pytest.raises(BadKeySet):
        public_keys.read(value)


@pytest.mark.parametrize("keys", [[], [{k: v for k, v in P384.items() if k != "kid"}]])
def test_a_registered_set_needs_keys_with_names(keys: list[dict[str, Any]]) -> None:
    assert len(public_keys.read({"keys": keys})) == len(keys)
    with pytest.raises(BadKeySet, match="each key a kid"):
        public_keys.read({"keys": keys}, strict=True)


def test_two_keys_that_fit_are_ambiguous() -> None:
    twins = {
        "keys": [P384, PRIVATE | {"d": None}, jwk.ECKey.generate_key("P-384", {"kid": "b"}).as_dict(private=False)]
    }
    with pytest.raises(NoKey, match="kid of its own"):
        public_keys.key_in(twins, "b", "ES384")
    # RFC 7517: the same kid for another kind of key is no clash.
    assert public_keys.key_in({"keys": [P384, RSA | {"kid": "b"}]}, "b", "RS384").key_type == "RSA"


def test_without_a_kid_the_only_key_is_meant() -> None:
    assert public_keys.key_in({"keys": [P384, RSA]}, "", "ES384").key_type == "EC"
    with pytest.raises(NoKey, match="no ES384 key"):
        public_keys.key_in({"keys": [P384]}, "other", "ES384")
    with pytest.raises(NoKey, match="JWK Set"):
        public_keys.key_in({}, "b", "ES384")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
FIELDS = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops", "k", "d", "x5c"])
WORDS = JSON | st.sampled_from(["RSA", "EC", "oct", "P-256", "P-384", "sig", "AQAB", RSA["n"], P256["x"], P384["y"]])


@given(st.lists(st.dictionaries(FIELDS, WORDS, max_size=6) | JSON, max_size=3))
def test_any_set_is_read_or_refused_and_nothing_else(keys: list[Any]) -> None:
    for entry in public_keys.read({"keys": keys}):
        assert not entry.key.is_private
    with contextlib.suppress(BadKeySet):
        assert public_keys.read({"keys": keys}, strict=True)
