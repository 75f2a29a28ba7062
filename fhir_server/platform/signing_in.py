"""Sessions of the platform's people: password and authenticator app, no exception. docs/platform.md"""

from __future__ import annotations

from typing import Any

from flask import g, request
from flask_smorest import Blueprint

from fhir_server.authn import passwords
from fhir_server.authn.people import PLATFORM, PLATFORM_ROLE, Person
from fhir_server.errors import BadRequest, Forbidden, TooManyRequests, Unauthenticated
from fhir_server.platform.guard import caller
from fhir_server.platform.schemas import CodeSchema, EnrolmentSchema, PasswordSchema, SessionSchema, SignInSchema
from fhir_server.platform.services import CODE, PASSWORD, SESSIONS, Platform

_NAME = "platform"
_WRONG = "That is not right: the username, the password or the code."


def add(blueprint: Blueprint, platform: Platform) -> None:
    """The routes of signing in and out."""

    @blueprint.route("/sessions", methods=["POST"])
    @blueprint.arguments(SignInSchema)
    @blueprint.response(201, SessionSchema)
    def sign_in(given: dict[str, Any]) -> dict[str, Any]:
        """Sign in. Whoever has no authenticator app yet gets a session that is good for setting one up, and no more."""
        g.kind = "login"
        person = _known(platform, given["username"], given["password"])
        g.subject = person.id
        methods: tuple[str, ...] = (PASSWORD,)
        if platform.factors.enrolled(PLATFORM, person.id):
            _shown(platform, person, given["code"])
            methods = (PASSWORD, CODE)
        bearer = platform.sessions.create(
            PLATFORM, person.id, methods, request.remote_addr or "", request.headers.get("User-Agent", ""), SESSIONS
        )
        return _session(bearer, person, methods)

    @blueprint.route("/sessions/current", methods=["DELETE"])
    @blueprint.response(204)
    def sign_out() -> None:
        """End this session."""
        g.kind = "logout"
        who = caller()
        platform.sessions.revoke(PLATFORM, who.person.id, who.session.id)

    @blueprint.route("/password", methods=["PUT"])
    @blueprint.arguments(PasswordSchema)
    @blueprint.response(204)
    def change_password(given: dict[str, Any]) -> None:
        """Choose another password; every session of yours ends."""
        person = caller().person
        g.kind = "people"
        _known(platform, person.username, given["current"])
        weak = passwords.weakness(given["new"], person.username, person.name, _NAME)
        if weak or given["new"] == given["current"]:
            raise BadRequest(weak or "The new password must be another one.")
        platform.people.set_password(PLATFORM, person.id, given["new"])

    @blueprint.route("/second-factors", methods=["POST"])
    @blueprint.response(201, EnrolmentSchema)
    def begin_second_factor() -> dict[str, str]:
        """Begin to set up an authenticator app; a code of it has to be confirmed."""
        _may_enrol(platform)
        begun = platform.totp.begin(PLATFORM, caller().person, _NAME)
        return {"id": begun.factor_id, "secret": begun.secret, "uri": begun.uri}

    @blueprint.route("/second-factors/<factor_id>/confirmation", methods=["POST"])
    @blueprint.arguments(CodeSchema)
    @blueprint.response(201, SessionSchema)
    def confirm_second_factor(given: dict[str, Any], factor_id: str) -> dict[str, Any]:
        """Confirm it by a code; the session is complete then, under a new name."""
        _may_enrol(platform)
        g.kind = "people"
        who = caller()
        _wait(platform.factors.wait(PLATFORM, who.person.id))
        if not platform.totp.confirm(PLATFORM, who.person.id, factor_id, given["code"]):
            _wait(platform.factors.failed(PLATFORM, who.person.id))
            raise BadRequest("That is no code of the app that was begun.")
        bearer = platform.sessions.add_method(PLATFORM, who.bearer, CODE)
        return _session(bearer, who.person, (PASSWORD, CODE))


def _known(platform: Platform, username: str, password: str) -> Person:
    """Who that is. Raises Unauthenticated, TooManyRequests, alike for names that nobody has."""
    outcome = platform.sign_in.password(PLATFORM, username, password, request.remote_addr or "")
    if outcome.person is None or PLATFORM_ROLE not in outcome.person.roles:
        g.reason = outcome.reason
        _wait(outcome.wait_seconds)
        raise Unauthenticated(_WRONG)
    return outcome.person


def _shown(platform: Platform, person: Person, code: str) -> None:
    """Whether the code is of the person's app. Raises Unauthenticated, TooManyRequests."""
    wait = platform.factors.wait(PLATFORM, person.id)
    if wait or not platform.totp.verify(PLATFORM, person.id, code):
        g.reason = "second factor"
        _wait(wait or platform.factors.failed(PLATFORM, person.id))
        raise Unauthenticated(_WRONG)
    platform.factors.succeeded(PLATFORM, person.id)


def _wait(seconds: int) -> None:
    if seconds:
        raise TooManyRequests(f"Too many attempts: wait {seconds} s.", headers=[("Retry-After", str(seconds))])


def _may_enrol(platform: Platform) -> None:
    """The first app is set up with the password alone, another one by whoever has shown the first."""
    who = caller()
    if who.person.must_change_password:
        raise Forbidden("Choose a password of your own first: PUT /platform/api/password.")
    if not who.complete and platform.factors.enrolled(PLATFORM, who.person.id):
        raise Forbidden("There is an authenticator app already: sign in with a code of it.")


def _session(bearer: str, person: Person, methods: tuple[str, ...]) -> dict[str, Any]:
    needs = ["password"] if person.must_change_password else []
    if CODE not in methods:
        needs.append("second-factor")
    return {"access_token": bearer, "token_type": "Bearer", "needs": needs}
