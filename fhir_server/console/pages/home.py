"""The start page: what there is for the person. docs/pages.md"""

from __future__ import annotations

from flask import Response

from fhir_server.console.visit import Visit

_TEXTS = {
    "launcher": "Start an app with a patient\u2019s record.",
    "clients": "Approve apps that want to use the clinic\u2019s records, or stop them.",
    "people": "Who can sign in, and with which roles.",
    "account": "Your password, second step, sessions, and the apps that you have given access.",
}


def view(visit: Visit) -> Response:
    """GET /t/{slug}/home"""
    added = {entry.name: entry.text for extension in visit.services.extensions for entry in extension.menu}
    texts = _TEXTS | added
    cards = [(name, label, texts[name]) for name, label in visit.menu]
    name = visit.somebody.name
    return visit.render("home.html", greeting=f"Welcome, {name}" if name else "Welcome", cards=cards)
