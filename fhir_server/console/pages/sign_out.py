"""Signing out, by a form: a link or an image of another site must not do it. docs/pages.md"""

from __future__ import annotations

from flask import Response

from fhir_server.console.visit import Visit


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/sign-out"""
    if visit.session is None:
        return visit.render("sign_out.html", out=True)
    if not visit.posted:
        return visit.render("sign_out.html", out=False)
    visit.record("logout", detail={"session": visit.session.id})
    visit.end_session()
    response = visit.redirect("sign-out")
    visit.jar.clear_visitor(response)
    return response
