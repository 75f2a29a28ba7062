"""Signing in at the clinic's own OpenID provider; what that may answer is in tests/unit/authn/test_upstream.py."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from fhir_server.app import FhirServer
from fhir_server.authn import clinic_settings
from fhir_server.authn.people import People
from fhir_server.authn.provider_metadata import UpstreamError
from fhir_server.authn.upstream import Identity, StateRecord, Upstream, UpstreamProvider
from fhir_server.store.tenants import Tenant
from tests.functional.smart_flow import QUICK, Clinic, Walk

ISSUER = "https://id.example.org"


@pytest.fixture
def clinic(app: FhirServer, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """A clinic with a provider, whose answers are those of the test."""

    def begin(_: Upstream, provider: UpstreamProvider, redirect_uri: str) -> tuple[str, StateRecord]:
        assert provider.client_secret == "hush"
        record = StateRecord(provider.issuer, provider.client_id, redirect_uri, "state", "nonce", "v", int(time.time()))
        return f"{ISSUER}/authorize?state=state", record

    def finish(_: Upstream, provider: UpstreamProvider, record: StateRecord, given: Mapping[str, str]) -> Identity:
        if given.get("state") != record.state:
            raise UpstreamError("state", "This answer belongs to no sign-in of this browser; begin anew.")
        return Identity(ISSUER, given["code"], given["code"], "", tuple(given.get("amr", "").split()))

    monkeypatch.setattr(Upstream, "begin", begin)
    monkeypatch.setattr(Upstream, "finish", finish)
    made = Clinic(app, tenant)
    upstream = {"issuer": ISSUER, "client_id": "clinic", "client_secret": "hush"}
    clinic_settings.write(app.database, tenant.id, {"upstream": upstream}, app.pages.sealer)
    return made


def sign_in(clinic: Clinic, username: str, amr: str = "", state: str = "state", path: str = "account") -> Walk:
    """The way through the provider, for a person whom it knows by this name."""
    walk = Walk(clinic.app.test_client(), clinic)
    page = walk.open(clinic.url(path))
    assert "Sign in with" in page.text
    assert walk.open(clinic.url("sign-in/provider?then=account")).headers["Location"].startswith(ISSUER)
    walk.open(clinic.url("sign-in/provider/return"), code=username, state=state, amr=amr)
    return walk


def text(walk: Walk) -> str:
    """The page that the walk has come to."""
    assert walk.page is not None
    return walk.page.text


def test_a_person_of_that_name_is_known_by_their_account_from_then_on(clinic: Clinic) -> None:
    person = clinic.person("staff", username="ada")
    assert "<h1>My account</h1>" in text(sign_in(clinic, "ada", "pwd mfa"))
    people = People(clinic.app.database, QUICK)
    linked = people.find(clinic.tenant.id, person.id)
    assert linked is not None
    assert linked.upstream == f"{ISSUER} ada"
    assert "<h1>My account</h1>" in text(sign_in(clinic, "ada", "otp"))


def test_without_a_second_factor_there_our_own_is_asked_for(clinic: Clinic) -> None:
    clinic.person("staff", username="ada")
    assert "Set up a second step" in text(sign_in(clinic, "ada", "pwd"))


def test_nobody_is_let_in_whom_the_clinic_has_not_added(clinic: Clinic) -> None:
    assert "You do not have an account here" in text(sign_in(clinic, "stranger", "mfa"))


def test_an_account_is_not_taken_over(clinic: Clinic) -> None:
    person = clinic.person("staff", username="ada")
    People(clinic.app.database, QUICK).change(clinic.tenant.id, person.id, upstream=f"{ISSUER} another-subject")
    assert "You do not have an account here" in text(sign_in(clinic, "ada", "mfa"))


def test_who_is_shut_out_stays_out(clinic: Clinic) -> None:
    person = clinic.person("staff", username="ada")
    sign_in(clinic, "ada", "mfa")
    People(clinic.app.database, QUICK).change(clinic.tenant.id, person.id, disabled=True)
    assert "You do not have an account here" in text(sign_in(clinic, "ada", "mfa"))


def test_an_answer_to_no_question_of_this_browser(clinic: Clinic) -> None:
    clinic.person("staff", username="ada")
    walk = Walk(clinic.app.test_client(), clinic)
    walk.open(clinic.url("sign-in/provider/return"), code="ada", state="state")
    assert "Please sign in again" in text(walk)
    assert "Signing in did not work" in text(sign_in(clinic, "ada", "mfa", state="another"))


def test_an_answer_is_taken_once(clinic: Clinic) -> None:
    clinic.person("staff", username="ada")
    walk = sign_in(clinic, "ada", "mfa")
    walk.open(clinic.url("sign-in/provider/return"), code="ada", state="state")
    assert "Please sign in again" in text(walk)


def test_a_clinic_without_a_provider(app: FhirServer, tenant: Tenant) -> None:
    clinic = Clinic(app, tenant)
    walk = Walk(app.test_client(), clinic)
    assert "Sign in with" not in walk.open(clinic.url("sign-in")).text
    assert walk.open(clinic.url("sign-in/provider")).request.path == clinic.url("sign-in")
