"""Setting up a second step of signing in: an authenticator app or a passkey. docs/second-factors.md"""

from __future__ import annotations

import segno
from flask import Response

from fhir_server.console import guard
from fhir_server.console.visit import Visit


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/account/second-factor

    Whoever has one already comes here only after showing it; who has none may after the password alone.
    """
    services, tenant, person = visit.services, visit.tenant.id, visit.somebody
    first = not services.factors.enrolled(tenant, person.id)
    if guard.unfinished(visit) == "second-factor":
        return visit.redirect("second-factor", then="enrol")
    if not visit.posted:
        return _form(visit, first)
    way = visit.value("way", 20)
    if way == "webauthn":
        challenge = str(visit.current.state.get("new_passkey", ""))
        visit.keep(new_passkey=None)
        done = bool(challenge) and services.passkeys.register(
            tenant, person.id, visit.value("credential", 20_000), challenge, "Passkey", services.origins(visit.slug)
        )
        problem = ("", "The passkey could not be set up. Try again, or use an authenticator app.")
    else:
        way = "totp"
        done = services.totp.confirm(tenant, person.id, visit.value("ticket", 64), visit.value("code", 20))
        problem = ("code", "This is not the code that the app shows now. Scan the picture and type the newest one.")
    if not done:
        return _form(visit, first, [problem])
    visit.record("people", detail={"did": "set up a second factor", "kind": way})
    visit.add_method(way)
    if not services.recovery.left(tenant, person.id):
        return visit.redirect("recovery-codes", then=visit.then)
    return visit.onward()


def _form(visit: Visit, first: bool, problems: list[tuple[str, str]] | None = None) -> Response:
    services, tenant, person = visit.services, visit.tenant.id, visit.somebody
    # The same key stays on the page while somebody mistypes its codes.
    begun = services.totp.begun(tenant, person, visit.clinic) or services.totp.begin(tenant, person, visit.clinic)
    options, challenge = services.passkeys.registration_options(tenant, person, visit.clinic)
    visit.keep(new_passkey=challenge)
    return visit.render(
        "enrol.html",
        problems=problems or (),
        first=first,
        passkey=options,
        action="enrol",
        then=visit.then,
        qr=segno.make(begun.uri, error="m").svg_data_uri(scale=4, border=2),
        key=" ".join(begun.secret[start : start + 4] for start in range(0, len(begun.secret), 4)),
        totp_ticket=begun.factor_id,
    )
