"""Signing in through an OpenID provider, and providers that lie. https://openid.net/specs/openid-connect-core-1_0.html"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwk

from fhir_server.authn.key_sets import KeySets
from fhir_server.authn.provider_metadata import UpstreamError
from fhir_server.authn.upstream import SIGN_IN_SECONDS, Identity, StateRecord, Upstream, UpstreamProvider
from tests.unit.authn.https_servers import Authority, Names, outbound
from tests.unit.authn.openid_provider import CLIENT_ID, KEY, REDIRECT_URI, SECRET, STRANGER, Change, Provider, running

NAMES = Names(idp_example=["127.0.0.1"], other_example=["127.0.0.1"])


class Clinic:
    """Our side: the clinic's provider as it is set, and the flow."""

    def __init__(self, authority: Authority, provider: Provider) -> None:
        self.clock = time.time
        self.idp = provider
        self.fetching = outbound(authority, NAMES)
        self.renew()

    def renew(self) -> None:
        self.upstream = Upstream(self.fetching, KeySets(self.fetching), clock=lambda: self.clock())
        self.settings = UpstreamProvider(self.idp.issuer, CLIENT_ID, SECRET)

    def sign_in(self) -> Identity:
        url, record = self.upstream.begin(self.settings, REDIRECT_URI)
        return self.upstream.finish(self.settings, record, self.idp.answer(url))

    def refused(self) -> tuple[str, str]:
        with pytest.raises(UpstreamError) as caught:
            self.sign_in()
        return caught.value.reason, str(caught.value)


@pytest.fixture(scope="module")
def served(authority: Authority) -> Iterator[Provider]:
    with running(Provider(), authority.certified("idp.example"), "idp.example") as provider:
        yield provider


@pytest.fixture
def clinic(authority: Authority, served: Provider) -> Clinic:
    fresh = Provider()
    for name in ("client", "codes", "person", "userinfo", "change", "token_change", "signing", "token_status"):
        setattr(served, name, getattr(fresh, name))
    served.document = {
        "issuer": served.issuer,
        "authorization_endpoint": served.issuer + "/authorize?tenant=1",
        "token_endpoint": served.issuer + "/token",
        "jwks_uri": served.issuer + "/jwks",
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    return Clinic(authority, served)


def test_a_person_is_signed_in(clinic: Clinic) -> None:
    assert clinic.sign_in() == Identity(clinic.idp.issuer, "user-7", "mira", "m@example.org", ("pwd", "otp"))


def test_the_secret_may_be_sent_in_the_body(clinic: Clinic) -> None:
    clinic.idp.client.method = "client_secret_post"
    clinic.idp.document["token_endpoint_auth_methods_supported"] = ["client_secret_post", "private_key_jwt"]
    assert clinic.sign_in().username == "mira"


def test_a_wrong_secret_is_told_and_not_repeated(clinic: Clinic) -> None:
    clinic.settings = replace(clinic.settings, client_secret="wrong-secret")
    reason, message = clinic.refused()
    assert (reason, "invalid_client" in message, "wrong-secret" in message) == ("provider", True, False)
    assert "wrong-secret" not in repr(clinic.settings)


def test_the_request_has_state_nonce_and_a_challenge_and_no_secret(clinic: Clinic) -> None:
    url, record = clinic.upstream.begin(clinic.settings, REDIRECT_URI)
    asked = parse_qs(urlsplit(url).query)
    assert url.startswith(clinic.idp.issuer + "/authorize?tenant=1&")
    assert asked["state"] == [record.state]
    assert asked["nonce"] == [record.nonce]
    assert asked["code_challenge_method"] == ["S256"]
    assert (asked["response_type"], asked["scope"], asked["redirect_uri"]) == (
        ["code"], ["openid profile email"], [REDIRECT_URI],
    )  # fmt: skip
    assert record.verifier not in url
    assert SECRET not in url
    assert len({record.state, record.nonce, record.verifier}) == 3
    assert min(len(record.state), len(record.nonce), len(record.verifier)) == 43
    another = clinic.upstream.begin(clinic.settings, REDIRECT_URI)[1]
    assert not {record.state, record.nonce, record.verifier} & {another.state, another.nonce, another.verifier}
    for secret in (record.state, record.nonce, record.verifier):
        assert secret not in repr(record)


def test_what_is_remembered_can_be_kept_as_json(clinic: Clinic) -> None:
    record = clinic.upstream.begin(clinic.settings, REDIRECT_URI)[1]
    assert StateRecord(**json.loads(json.dumps(record.to_json()))) == record


def test_claims_that_are_only_in_userinfo_are_asked_for(clinic: Clinic) -> None:
    clinic.idp.person = {"sub": "user-7"}
    assert clinic.refused()[0] == "claim"
    clinic.idp.document["userinfo_endpoint"] = clinic.idp.issuer + "/userinfo"
    clinic.idp.userinfo = {"sub": "user-7", "preferred_username": "mira", "iss": "x", "amr": ["none"]}
    clinic.renew()
    assert clinic.sign_in() == Identity(clinic.idp.issuer, "user-7", "mira", "", ("pwd", "otp"))
    clinic.idp.userinfo["sub"] = "somebody-else"
    assert clinic.refused()[0] == "mix-up"


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_email_that_is_not_verified_is_nobody_s(clinic: Clinic, verified: object) -> None:
    clinic.idp.person |= {"email_verified": verified}
    assert clinic.sign_in().email == ""
    clinic.settings = replace(clinic.settings, claim="email")
    assert clinic.refused()[0] == "claim"


def test_a_verified_email_can_be_the_username(clinic: Clinic) -> None:
    clinic.settings = replace(clinic.settings, claim="email")
    assert clinic.sign_in().username == "m@example.org"


@pytest.mark.parametrize("value", ["", 1, ["mira"], None, "m\nira", "m" * 256])
def test_a_username_that_is_no_plain_text_is_refused(clinic: Clinic, value: object) -> None:
    clinic.idp.person |= {"preferred_username": value}
    assert clinic.refused()[0] == "claim"


def claims_as(**values: Any) -> Change:
    return lambda header, claims: claims.update(values)


def without(*names: str) -> Change:
    def change(header: dict[str, Any], claims: dict[str, Any]) -> None:
        for name in names:
            del claims[name]

    return change


def header_as(**values: Any) -> Change:
    return lambda header, claims: header.update(values)


LIES: dict[str, Change] = {
    "another nonce": claims_as(nonce="another"),
    "no nonce": without("nonce"),
    "nonce of no text": claims_as(nonce=None),
    "another audience": claims_as(aud="another-client"),
    "another audience, azp ours": claims_as(aud="another-client", azp=CLIENT_ID),
    "no audience": without("aud"),
    "two audiences and no azp": claims_as(aud=[CLIENT_ID, "another-client"]),
    "two audiences, azp another": claims_as(aud=[CLIENT_ID, "another-client"], azp="another-client"),
    "azp another": claims_as(azp="another-client"),
    "another issuer": claims_as(iss="https://other.example"),
    "issuer with a slash": lambda header, claims: claims.update(iss=claims["iss"] + "/"),
    "list of issuers": lambda header, claims: claims.update(iss=[claims["iss"]]),
    "no issuer": without("iss"),
    "expired": claims_as(exp=int(time.time()) - 60),
    "never expires": claims_as(exp=float("nan")),
    "expires at infinity": claims_as(exp=float("inf")),
    "no exp": without("exp"),
    "issued in an hour": claims_as(iat=int(time.time()) + 3600),
    "not before an hour": claims_as(nbf=int(time.time()) + 3600),
    "no iat": without("iat"),
    "no sub": without("sub"),
    "empty sub": claims_as(sub=""),
    "long sub": claims_as(sub="s" * 256),
    "another at_hash": claims_as(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "at_hash of no text": claims_as(at_hash=1),
    "alg none": header_as(alg="none"),
    "unknown kid": header_as(kid="k2"),
    "crit": header_as(crit=["b64"], b64=True),
}


@pytest.mark.parametrize("change", LIES.values(), ids=LIES.keys())
def test_an_id_token_that_lies_signs_nobody_in(clinic: Clinic, change: Change) -> None:
    clinic.idp.change = change
    reason, message = clinic.refused()
    assert reason == "id-token"
    assert "another" not in message


TRUTHS: dict[str, Change] = {
    "one audience": claims_as(aud=CLIENT_ID),
    "two audiences, azp ours": claims_as(aud=[CLIENT_ID, "another-client"], azp=CLIENT_ID),
    "no at_hash": without("at_hash"),
    "no kid, of a set of one": lambda header, claims: header.pop("kid"),  # type: ignore[func-returns-value]
    "a long header": header_as(x5c=["A" * 3000]),
    "times with fractions": claims_as(iat=time.time()),
}


@pytest.mark.parametrize("change", TRUTHS.values(), ids=TRUTHS.keys())
def test_an_id_token_may_say_it_otherwise(clinic: Clinic, change: Change) -> None:
    clinic.idp.change = change
    assert clinic.sign_in().subject == "user-7"


def test_another_s_signature_signs_nobody_in(clinic: Clinic) -> None:
    clinic.idp.signing = STRANGER
    assert clinic.refused()[0] == "id-token"


@pytest.mark.parametrize("secret", [SECRET.encode() * 2, json.dumps(KEY.as_dict(private=False)).encode()])
def test_a_shared_secret_is_no_signature(clinic: Clinic, secret: bytes) -> None:
    clinic.idp.change = header_as(alg="HS256")
    clinic.idp.signing = jwk.OctKey.import_key(secret)
    clinic.idp.document["id_token_signing_alg_values_supported"] = ["HS256", "RS256", "none"]
    assert clinic.refused()[0] == "id-token"


@pytest.mark.parametrize("id_token", [None, 1, "", "a.b.c", "x" * 20_000, "é.é.é", []])
def test_what_is_no_id_token_signs_nobody_in(clinic: Clinic, id_token: object) -> None:
    clinic.idp.token_change = lambda tokens: tokens.update(id_token=id_token)
    assert clinic.refused()[0] in {"provider", "id-token"}


def test_an_at_hash_of_another_access_token_signs_nobody_in(clinic: Clinic) -> None:
    clinic.idp.token_change = lambda tokens: tokens.update(access_token="another")
    assert clinic.refused()[0] == "id-token"
    clinic.idp.token_change = lambda tokens: tokens.pop("access_token")
    assert clinic.refused()[0] == "id-token"


def finish(clinic: Clinic, record: StateRecord, params: dict[str, str]) -> str:
    with pytest.raises(UpstreamError) as caught:
        clinic.upstream.finish(clinic.settings, record, params)
    assert not any(value in str(caught.value) for value in params.values() if value)
    return caught.value.reason


def test_an_answer_is_for_the_browser_that_asked(clinic: Clinic) -> None:
    url, mine = clinic.upstream.begin(clinic.settings, REDIRECT_URI)
    attacker_s_url, _ = clinic.upstream.begin(clinic.settings, REDIRECT_URI)
    answer, attacker_s = clinic.idp.answer(url), clinic.idp.answer(attacker_s_url)
    assert finish(clinic, mine, attacker_s) == "state"
    assert finish(clinic, mine, {"code": answer["code"]}) == "state"
    assert finish(clinic, mine, answer | {"state": ""}) == "state"
    assert finish(clinic, mine, answer | {"state": "é"}) == "state"
    # A code that somebody has slipped in is bound to another challenge, and to another nonce.
    assert finish(clinic, mine, answer | {"code": attacker_s["code"]}) == "code"


def test_an_answer_is_good_once(clinic: Clinic) -> None:
    url, record = clinic.upstream.begin(clinic.settings, REDIRECT_URI)
    answer = clinic.idp.answer(url)
    assert clinic.upstream.finish(clinic.settings, record, answer).username == "mira"
    assert finish(clinic, record, answer) == "code"


def test_an_answer_comes_from_the_provider_that_was_asked(clinic: Clinic) -> None:
    """https://www.rfc-editor.org/rfc/rfc9207"""
    clinic.idp.document["authorization_response_iss_parameter_supported"] = True
    url, record = clinic.upstream.begin(clinic.settings, REDIRECT_URI)
    answer = clinic.idp.answer(url)
    assert finish(clinic, record, answer) == "mix-up"
    assert finish(clinic, record, answer | {"iss": "https://other.example"}) == "mix-up"
    assert finish(clinic, record, {"state": record.state, "error": "access_denied"}) == "mix-up"
    good = answer | {"iss": clinic.idp.issuer}
    assert clinic.upstream.finish(clinic.settings, record, good).username == "mira"


def test_an_issuer_that_need_not_be_named_must_be_right_when_it_is(clinic: Clinic) -> None:
    url, record = clinic.upstream.begin(clinic.settings, REDIRECT_URI)
    assert finish(clinic, record, clinic.idp.answer(url) | {"iss": "https://other.example"}) == "mix-up"


def test_a_sign_in_is_finished_with_the_provider_that_it_was_begun_with(clinic: Clinic) -> None:
    url, record = clinic.upstream.begin(clinic.settings, REDIRECT_URI)
    answer = clinic.idp.answer(url)
    clinic.settings = replace(clinic.settings, issuer="https://other.example")
    assert finish(clinic, record, answer) == "mix-up"


def test_a_sign_in_does_not_last_for_ever(clinic: Clinic) -> None:
    url, record = clinic.upstream.begin(clinic.settings, REDIRECT_URI)
    answer = clinic.idp.answer(url)
    now = time.time()
    clinic.clock = lambda: now + SIGN_IN_SECONDS + 2
    assert finish(clinic, record, answer) == "expired"
    clinic.clock = lambda: now - 60
    assert finish(clinic, record, answer) == "expired"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"error": "access_denied", "error_description": "<script>"}, "denied"),
        ({"error": "login_required", "code": "c"}, "denied"),
        ({}, "code"),
        ({"code": ""}, "code"),
        ({"code": "c" * 4097}, "code"),
        ({"code": "made-up"}, "code"),
    ],
)
def test_an_answer_without_a_good_code_signs_nobody_in(clinic: Clinic, params: dict[str, str], reason: str) -> None:
    record = clinic.upstream.begin(clinic.settings, REDIRECT_URI)[1]
    assert finish(clinic, record, {"state": record.state} | params) == reason


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://idp.example/authorize"},
        {"token_endpoint": "http://127.0.0.1/token"},
        {"token_endpoint": "https://user:secret@idp.example/token"},
        {"token_endpoint": ["https://idp.example/token"]},
        {"jwks_uri": "file:///etc/passwd"},
        {"userinfo_endpoint": 1},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"id_token_signing_alg_values_supported": "RS256"},
        {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
        {"token_endpoint": "https://inner.example/token"},
    ],
)
def test_a_discovery_document_that_cannot_be_used_is_told(clinic: Clinic, change: dict[str, Any]) -> None:
    clinic.idp.document |= change
    reason, message = clinic.refused()
    assert reason == "provider"
    assert message.startswith("The provider")
    assert "secret" not in message.replace("client_secret", "")


def test_a_provider_that_answers_with_an_error_is_told(clinic: Clinic) -> None:
    clinic.idp.token_status = 500
    assert clinic.refused() == ("provider", "The provider refused its token response: no reason given.")


@pytest.mark.parametrize("issuer", ["http://idp.example", "https://nowhere.example", "idp"])
def test_an_issuer_that_is_no_provider_is_told(clinic: Clinic, issuer: str) -> None:
    clinic.settings = replace(clinic.settings, issuer=issuer)
    assert clinic.refused()[0] == "provider"


def test_an_issuer_has_no_query(clinic: Clinic) -> None:
    for issuer in (clinic.idp.issuer + "?x", clinic.idp.issuer + "#x"):
        clinic.settings = replace(clinic.settings, issuer=issuer)
        assert "without query" in clinic.refused()[1]


def test_discovery_is_kept_and_failures_for_a_while_only(clinic: Clinic) -> None:
    clinic.sign_in()
    clinic.idp.document["token_endpoint"] = "https://other.example/token"
    assert clinic.sign_in().username == "mira"
    clinic.renew()
    clinic.idp.document["issuer"] = "https://other.example"
    assert clinic.refused()[0] == "provider"
    clinic.idp.document["issuer"] = clinic.idp.issuer
    assert clinic.refused()[0] == "provider"
