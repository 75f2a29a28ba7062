"""From a page's URL to its answer: the clinic, the session, the form token and the permission are looked at here, once.
https://flask.palletsprojects.com/en/stable/blueprints/"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from flask import Blueprint, Response, request, send_from_directory
from markupsafe import escape

from fhir_server.authn import clinic_settings
from fhir_server.console import guard
from fhir_server.console.cookies import Jar, new_value
from fhir_server.console.forgery import genuine
from fhir_server.console.headers import page_headers
from fhir_server.console.page import Page
from fhir_server.console.services import STATIC, Services
from fhir_server.console.visit import Visit
from fhir_server.errors import FhirError
from fhir_server.smart import granting
from fhir_server.smart.errors import PageError, RedirectError

LONGEST_FORM = 256 * 1024

_HEADINGS = {
    400: "This cannot be done",
    403: "You do not have access to this",
    404: "There is nothing here",
    429: "Too many attempts",
    503: "Not available just now",
}


def console(services: Services, pages: Sequence[Page]) -> Blueprint:
    """The routes of all pages, below /t/{slug}, those of extensions among them, and of the files that they use."""
    blueprint = Blueprint("console", __name__, template_folder="templates")
    pages = (*pages, *(page for extension in services.extensions for page in extension.pages))
    paths = {page.name: page.path for page in pages}
    for page in pages:
        methods = ["GET", "POST"] if page.posts else ["GET"]
        view = partial(_answer, services, paths, page)
        blueprint.add_url_rule(f"/t/<slug>{page.path}", page.name, view, methods=methods)

    for extension in services.extensions:
        # Nothing but its templates, which Flask looks for in every blueprint.
        templates = Blueprint(extension.package.replace(".", "-"), extension.package, template_folder="templates")
        blueprint.register_blueprint(templates)

    @blueprint.get("/assets/<path:name>")
    def assets(name: str) -> Response:
        response = send_from_directory(STATIC, name, max_age=31_536_000)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response

    return blueprint


def _answer(services: Services, paths: dict[str, str], page: Page, slug: str, **values: str) -> Response:
    request.max_content_length = LONGEST_FORM
    try:
        tenant = services.directory.find(slug)
        if tenant is None:
            return _plain(services, 404, "There is no such clinic at this server.")
        settings = clinic_settings.read(services.database, tenant.id)
        jar = Jar(slug, https=services.https)
        visit = Visit(services, paths, page.name, tenant, slug, request, jar, "", settings)
        visit.values = values
        cookie = jar.session(request)
        guard.identify(visit, cookie)
        fresh = "" if visit.session is not None or jar.visitor(request) else new_value()
        visit.cookie = cookie if visit.session is not None else jar.visitor(request) or fresh
        response = _guarded(visit, page)
    except FhirError as error:
        return _plain(services, error.status, error.issues[0].diagnostics)
    if visit.renewed:
        jar.set_session(response, visit.renewed)
    elif visit.ended or (cookie and visit.session is None):
        jar.clear_session(response)
    if fresh and not visit.renewed:
        jar.set_visitor(response, fresh)
    for name, value in page_headers(https=services.https, form_targets=visit.form_targets):
        response.headers.setdefault(name, value)
    return response


def _guarded(visit: Visit, page: Page) -> Response:
    if not page.foreign:
        handle = visit.request.args.get("request", "")
        if handle:
            visit.pending = visit.services.smart.pending.find(visit.tenant.id, handle)
            if visit.pending is None:
                return _over(visit)
        if visit.posted and not genuine(visit.request, visit.cookie, visit.services.origins(visit.slug)):
            return visit.problem(
                403,
                "Please try that again",
                "The form was open for too long, or it did not come from this page. Nothing was changed.",
            )
    refusal = guard.refusal(visit, page)
    if refusal is not None:
        return refusal
    if page.step and visit.pending is None:
        return _over(visit)
    try:
        return page.view(visit)
    except PageError as error:
        return visit.problem(400, "This app cannot be let in", str(error), hint="Whoever runs the app can repair this.")
    except RedirectError as error:
        return _told(visit, error)
    except FhirError as error:
        response = visit.problem(error.status, _HEADINGS.get(error.status, _HEADINGS[400]), error.issues[0].diagnostics)
        response.headers.extend(error.headers)
        return response


def _over(visit: Visit) -> Response:
    return visit.problem(
        410,
        "This request is over",
        "It was answered already, or it has waited for too long. Start again from the app.",
    )


def _told(visit: Visit, error: RedirectError) -> Response:
    if visit.pending is not None:
        return visit.refuse(error.error, error.description)
    # The request could not even be kept: nobody has filled in a form of ours yet.
    return Response("", 303, {"Location": granting.refused(visit.server.places, error)}, mimetype="text/plain")


def _plain(services: Services, status: int, sentence: str) -> Response:
    """A page for those for whom there is no clinic to speak for."""
    heading = _HEADINGS.get(status, _HEADINGS[400])
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(heading)}</title><link rel="stylesheet" href="/assets/console.css">'
        f'<main class="narrow"><div class="card"><h1>{escape(heading)}</h1>'
        f"<p>{escape(sentence)}</p></div></main></html>"
    )
    response = Response(text, status, mimetype="text/html")
    for name, value in page_headers(https=services.https):
        response.headers[name] = value
    return response
