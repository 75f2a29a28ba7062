"""Every page on one screen. docs/pages.md"""

from __future__ import annotations

from fhir_server.console.page import ANYONE, PASSWORD_GIVEN, SIGNED_IN, Page
from fhir_server.console.pages import (
    account,
    authorize,
    choose_patient,
    clients,
    consent,
    enrol,
    home,
    launcher,
    new_password,
    people,
    person,
    recovery_codes,
    resume,
    second_factor,
    sign_in,
    sign_in_provider,
    sign_out,
)
from fhir_server.console.services import LAUNCHER

PAGES = (
    Page("home", "/home", SIGNED_IN, home.view),
    Page("authorize", "/auth/authorize", ANYONE, authorize.view, posts=True, foreign=True),
    Page("resume", "/auth/resume", ANYONE, resume.view),
    Page("sign-in", "/sign-in", ANYONE, sign_in.view, posts=True),
    Page("sign-in-provider", "/sign-in/provider", ANYONE, sign_in_provider.begin),
    Page("sign-in-return", "/sign-in/provider/return", ANYONE, sign_in_provider.finish),
    Page("sign-out", "/sign-out", ANYONE, sign_out.view, posts=True),
    Page("second-factor", "/sign-in/second-factor", PASSWORD_GIVEN, second_factor.view, posts=True),
    Page("enrol", "/account/second-factor", PASSWORD_GIVEN, enrol.view, posts=True),
    Page("recovery-codes", "/account/recovery-codes", SIGNED_IN, recovery_codes.view),
    Page("new-password", "/new-password", PASSWORD_GIVEN, new_password.view, posts=True),
    Page("choose-patient", "/patients/choose", SIGNED_IN, choose_patient.view, posts=True, step=True),
    Page("consent", "/consent", SIGNED_IN, consent.view, posts=True, step=True),
    Page("account", "/account", SIGNED_IN, account.view, posts=True),
    Page("launcher", "/launcher", LAUNCHER, launcher.view, posts=True),
    Page("clients", "/clients", "clients", clients.view, posts=True),
    Page("people", "/people", "people", people.view, posts=True),
    Page("person", "/people/<person>", "people", person.view, posts=True),
)
