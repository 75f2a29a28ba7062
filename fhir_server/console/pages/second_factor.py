"""The second step of signing in. https://pages.nist.gov/800-63-4/sp800-63b.html"""

from __future__ import annotations

from flask import Response

from fhir_server.audit import event as events
from fhir_server.console.visit import Visit
from fhir_server.store.second_factors import RECOVERY, TOTP, WEBAUTHN

_WRONG = {
    TOTP: ("code", "This code is not right, or it was used before. Wait for the next one."),
    RECOVERY: ("recovery", "This is none of your recovery codes, or it was used before."),
    WEBAUTHN: ("", "The passkey was not accepted. Try again, or use another way."),
}


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/sign-in/second-factor"""
    services, tenant, person = visit.services, visit.tenant.id, visit.somebody
    enrolled = services.factors.enrolled(tenant, person.id)
    if not enrolled or set(visit.current.methods) & {TOTP, RECOVERY, WEBAUTHN}:
        return visit.onward()
    ways = {one.kind for one in enrolled}
    if services.recovery.left(tenant, person.id):
        ways.add(RECOVERY)
    if not visit.posted:
        return _form(visit, ways)
    way = visit.value("way", 20)
    if way not in ways:
        return _form(visit, ways, [("", "Choose one of the ways below.")])
    wait = services.factors.wait(tenant, person.id)
    if not wait and _right(visit, way):
        services.factors.succeeded(tenant, person.id)
        visit.add_method(way)
        visit.record("login", detail={"methods": [*visit.current.methods]})
        return visit.onward()
    if not wait:
        wait = services.factors.failed(tenant, person.id)
        visit.record("login", outcome=events.REFUSED, status=403, reason="second factor", detail={"method": way})
    if wait:
        text = f"There were too many attempts. Try again in {wait} seconds."
        response = _form(visit, ways, [("", text)], 429)
        response.headers["Retry-After"] = str(wait)
        return response
    return _form(visit, ways, [_WRONG[way]], recovery_open=way == RECOVERY)


def _right(visit: Visit, way: str) -> bool:
    services, tenant, person = visit.services, visit.tenant.id, visit.somebody
    match way:
        case "totp":
            return services.totp.verify(tenant, person.id, visit.value("code", 20))
        case "recovery":
            return services.recovery.use(tenant, person.id, visit.value("recovery", 100))
        case _:
            challenge = str(visit.current.state.get("passkey", ""))
            visit.keep(passkey=None)
            return bool(challenge) and services.passkeys.authenticate(
                tenant, person.id, visit.value("credential", 20_000), challenge, services.origins(visit.slug)
            )


def _form(
    visit: Visit,
    ways: set[str],
    problems: list[tuple[str, str]] | None = None,
    status: int = 200,
    *,
    recovery_open: bool = False,
) -> Response:
    options = ""
    if WEBAUTHN in ways:
        options, challenge = visit.services.passkeys.authentication_options(visit.tenant.id, visit.somebody.id)
        visit.keep(passkey=challenge)
    return visit.render(
        "second_factor.html",
        status,
        problems or (),
        ways=ways,
        passkey=options,
        recovery_open=recovery_open,
        then=visit.then,
    )
