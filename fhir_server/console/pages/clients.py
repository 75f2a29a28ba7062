"""The apps of a clinic: its administrator lets them in and stops them. https://www.rfc-editor.org/rfc/rfc7591"""

from __future__ import annotations

from typing import Any

from flask import Response

from fhir_server.console.visit import Visit
from fhir_server.smart import clients
from fhir_server.smart.client import ASSERTION, NONE
from fhir_server.store.oauth_clients import ACTIVE, DISABLED, PENDING, Client

_DONE = {"approve": "{} may be used now.", "disable": "{} was stopped, and all its access ended."}
_TONES = {PENDING: "warn", ACTIVE: "", DISABLED: "error"}
_STATES = {PENDING: "waiting", ACTIVE: "in use", DISABLED: "stopped"}


def view(visit: Visit) -> Response:
    """GET and POST /t/{slug}/clients"""
    done = ""
    problems: list[tuple[str, str]] = []
    if visit.posted:
        done = _change(visit)
        if not done:
            problems.append(("", "Nothing was changed: the app is not there, or not in that state, any more."))
    known = clients.listed(visit.services.database, visit.tenant.id)
    groups = [
        _group("waiting", "Waiting for approval", "No app waits.", known, PENDING),
        _group("active", "In use", "No app is in use.", known, ACTIVE),
        _group("stopped", "Stopped", "", known, DISABLED),
    ]
    shown = [group for group in groups if group["clients"] or group["empty"]]
    return visit.render("clients.html", problems=problems, done=done, groups=shown)


def _change(visit: Visit) -> str:
    do = visit.value("do", 20)
    client = visit.server.client(visit.value("client", 200))
    if client is None or do not in {action for action, _, _ in _actions(client.row)}:
        return ""
    state = ACTIVE if do == "approve" else DISABLED
    visit.record("client", detail={"did": do, "client": client.client_id})
    clients.set_state(visit.services.database, visit.tenant.id, visit.slug, client.client_id, state, visit.somebody.id)
    return _DONE[do].format(client.row.name)


def _group(identity: str, title: str, empty: str, known: list[Client], state: str) -> dict[str, Any]:
    found = [_shown(client) for client in known if client.state == state]
    return {"id": identity, "title": title, "empty": empty, "clients": found}


def _shown(client: Client) -> dict[str, Any]:
    kinds = {NONE: "in a browser or on a phone, without a secret", ASSERTION: "on a server, with a key"}
    return {
        "client_id": client.id,
        "name": client.name,
        "state": _STATES.get(client.state, client.state),
        "tone": _TONES.get(client.state, ""),
        "kind": kinds.get(client.method, "on a server, with a secret"),
        "scope": client.scope,
        "redirect_uris": client.redirect_uris,
        "launch_url": client.launch_uri,
        "actions": _actions(client),
    }


def _actions(client: Client) -> list[tuple[str, str, str]]:
    if client.state == PENDING:
        return [("approve", "Approve", ""), ("disable", "Refuse", "bad")]
    if client.state == ACTIVE:
        return [("disable", "Stop", "bad")]
    return [("approve", "Approve", "second")]
