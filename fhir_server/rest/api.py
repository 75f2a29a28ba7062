"""FHIR over WSGI: from the environ to the answer's bytes, in one visible place. https://peps.python.org/pep-3333/

FHIR URLs are answered here, before Flask's own dispatch (which costs more than a read does); every other URL is
Flask's.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

from fhir_server import logs
from fhir_server.access.policy import NOTHING
from fhir_server.access.principal import Principal
from fhir_server.audit.event import Event
from fhir_server.audit.trail import Trail
from fhir_server.authn.access_token import Verifier
from fhir_server.authn.limits import Limiter
from fhir_server.errors import FhirError, Forbidden, NotFound, Unauthenticated, Unavailable, UriTooLong
from fhir_server.interactions import masking
from fhir_server.interactions.context import Context, Limits, Phases, Response, Tenant
from fhir_server.rest import metrics, negotiate, outcomes
from fhir_server.rest.auditing import Auditing
from fhir_server.rest.handlers import Handler
from fhir_server.rest.request import Request, path_segments
from fhir_server.rest.routes import Route, match
from fhir_server.rest.throttle import Throttle
from fhir_server.rest.uploads import Uploads
from fhir_server.search.parse import Limits as SearchLimits
from fhir_server.settings import Settings
from fhir_server.store.directory import Entry
from fhir_server.store.store import Store
from fhir_server.tenants.directory import Directory

StartResponse = Callable[[str, list[tuple[str, str]]], Any]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")
_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
# https://www.rfc-editor.org/rfc/rfc9110#field.content-length: 0 would be the length of the 304's representation.
_WITHOUT_LENGTH = frozenset((204, 304))
WELL_KNOWN = "/.well-known/"
"""What stands below a FHIR base URL and is none of FHIR's. https://www.rfc-editor.org/rfc/rfc8615"""

_OF_NO_TENANT = ("/t/", "/assets/", "/healthz", "/readyz", "/metrics", "/platform/")
_PUBLIC = frozenset(("metadata",))
_NOBODY = Principal("", "", "", ())


class FhirApi:
    """Answers the FHIR URLs of every tenant, by path (/t/riverside/fhir) and by subdomain
    (riverside.localhost/fhir)."""

    def __init__(
        self,
        settings: Settings,
        directory: Directory,
        verifier: Verifier,
        store_of: Callable[[Entry], Store],
        trail: Trail,
        limiter: Limiter,
    ) -> None:
        self._settings = settings
        self._auditing = Auditing(trail)
        self._directory = directory
        self._verifier = verifier
        self._store_of = store_of
        self._limits = Limits(SearchLimits(settings.default_count, settings.max_count), settings.max_bundle_entries)
        self._uploads = Uploads(settings.web_threads, settings.max_body_bytes)
        self._throttle = Throttle(limiter, settings.rate_limit)
        self._origins = negotiate.Origins(settings.cors_origins)
        base = settings.public_url
        self._scheme, _, self._netloc = base.partition("://")
        self._host_suffix = "." + self._netloc.lower()

    def address(self, environ: dict[str, Any]) -> tuple[str, str, str] | None:
        """The tenant's slug, its base URL and the path below it, if this URL is one of FHIR's; else None."""
        path: str = environ.get("PATH_INFO", "")
        if path.startswith("/t/"):
            slug, _, rest = path[3:].partition("/")
            if (rest == "fhir" or rest.startswith("fhir/")) and not rest.startswith(WELL_KNOWN, 4):
                return slug, f"{self._settings.public_url}/t/{slug}/fhir", rest[5:]
        elif (path == "/fhir" or path.startswith("/fhir/")) and not path.startswith(WELL_KNOWN, 5):
            named = self._slug_of_host(environ)
            if named is not None:
                return named, f"{self._scheme}://{named}.{self._netloc}/fhir", path[6:]
        return None

    def _slug_of_host(self, environ: dict[str, Any]) -> str | None:
        host: str = environ.get("HTTP_HOST", "").lower()
        return host[: -len(self._host_suffix)] if host.endswith(self._host_suffix) else None

    def by_path(self, environ: dict[str, Any]) -> None:
        """Make a URL that names its tenant by the host name one that names it by path, for what is not FHIR's."""
        path: str = environ.get("PATH_INFO", "")
        slug = self._slug_of_host(environ)
        if slug and "/" not in slug and not path.startswith(_OF_NO_TENANT):
            environ["PATH_INFO"] = f"/t/{slug}{path}"

    def __call__(
        self, environ: dict[str, Any], start_response: StartResponse, address: tuple[str, str, str]
    ) -> Iterable[bytes]:
        """Answer one request. Whatever happens, the answer is FHIR's: a resource, a Bundle or an OperationOutcome."""
        self._uploads.begin()
        try:
            return self._answer(environ, start_response, address)
        finally:
            self._uploads.end()

    def _answer(
        self, environ: dict[str, Any], start_response: StartResponse, address: tuple[str, str, str]
    ) -> Iterable[bytes]:
        phases = Phases()
        request = Request(environ, self._settings.max_body_bytes, self._uploads)
        request_id = _request_id(request)
        route: Route | None = None
        ctx: Context | None = None
        event: Event | None = None
        slug, base_url, path = address
        try:
            if len(path) + len(request.query_string) > self._settings.max_url_bytes:
                raise UriTooLong(
                    f"The URL exceeds {self._settings.max_url_bytes} bytes; send long searches by POST to _search."
                )
            segments = path_segments(path.rstrip("/")) if path.strip("/") else []
            if request.method == "OPTIONS":
                response = Response(204)
            else:
                presentation = negotiate.presentation(request)
                route, handler = match(request.method, segments)
                try:
                    ctx = self._context(request, slug, base_url, route, phases)
                except FhirError as error:
                    self._refused(error, request, request_id, slug, handler, segments)
                    raise
                event = self._auditing.begin(ctx, request, request_id, handler, segments)
                response = negotiate.present(masking.leave_out(ctx, handler(ctx, request, segments)), presentation)
        except Exception as error:  # noqa: BLE001 - a client gets an OperationOutcome whatever happened
            response = negotiate.legible(request, outcomes.respond(error))
        if event is not None and ctx is not None:
            try:
                self._auditing.end(event, request, ctx, response)
            except Unavailable as error:
                # No record, no answer: docs/audit.md
                response = negotiate.legible(request, outcomes.respond(error))
        phases.mark("serialise")
        headers = self._headers(request, response, request_id, base_url, phases)
        body = negotiate.compress(request, response, headers)
        if response.status not in _WITHOUT_LENGTH:
            headers.append(("Content-Length", str(len(body))))
        template = route.template if route is not None else "?"
        metrics.observe(request.method, template, response.status, phases)
        logs.request(
            request_id=request_id,
            # Any other text in its place is the client's, and may be anything.
            tenant=slug if self._directory.knows(slug) else "?",
            method=metrics.known(request.method),
            route=template,
            status=response.status,
            microseconds=phases.total(),
        )
        start_response(_STATUS_LINES.get(response.status, f"{response.status} "), headers)
        return () if request.method == "HEAD" else (body,)

    def _refused(
        self, error: FhirError, request: Request, request_id: str, slug: str, handler: Handler, segments: Sequence[str]
    ) -> None:
        """Record a refusal in the trail of the tenant that was asked. Raises Unavailable."""
        tenant = self._directory.find(slug)
        if tenant is None:
            return
        try:
            principal: Principal | None = self._authenticate(request)
        except Unauthenticated:
            principal = None
        if principal is not None and principal.tenant != slug:
            # Who it was is told to their own clinic, that somebody tried to the one that was asked.
            home = self._directory.find(principal.tenant)
            if home is not None:
                self._auditing.refused(home.id, request, request_id, handler, (), principal, error)
            principal = None
        self._auditing.refused(tenant.id, request, request_id, handler, segments, principal, error)

    def _context(self, request: Request, slug: str, base_url: str, route: Route, phases: Phases) -> Context:
        if route.template in _PUBLIC:
            principal = self._known_or_nobody(request, slug)
        else:
            principal = self._authenticate(request)
            if principal.tenant != slug:
                # The same answer for every other tenant, whether it exists or not.
                raise Forbidden("The access_token was issued for another tenant.")
        tenant = self._directory.find(slug)
        if tenant is None:
            raise NotFound("There is no such tenant at this server.")
        if route.template not in _PUBLIC:
            self._throttle.admit(slug, principal.client_id, tenant.rate_limit)
        phases.mark("authenticate")
        return Context(
            Tenant(tenant.id, slug, tenant.taken),
            principal,
            NOTHING,
            self._store_of(tenant),
            base_url,
            request.prefer(),
            self._limits,
            phases,
        )

    def _known_or_nobody(self, request: Request, slug: str) -> Principal:
        """Who asks for what is told to anybody: an access_token that is not good here is none."""
        if not request.header("AUTHORIZATION"):
            return _NOBODY
        try:
            principal = self._authenticate(request)
        except Unauthenticated:
            return _NOBODY
        return principal if principal.tenant == slug else _NOBODY

    def _authenticate(self, request: Request) -> Principal:
        scheme, _, access_token = request.header("AUTHORIZATION").partition(" ")
        if scheme.lower() != "bearer" or not access_token:
            raise Unauthenticated(
                "An access_token is needed: send the header Authorization: Bearer ...",
                headers=[("WWW-Authenticate", 'Bearer realm="fhir"')],
            )
        return self._verifier.verify(access_token.strip()).principal

    def _headers(
        self, request: Request, response: Response, request_id: str, base_url: str, phases: Phases
    ) -> list[tuple[str, str]]:
        headers = [
            ("X-Request-Id", request_id),
            # Patients' data stays out of every cache on the way; If-None-Match works all the same.
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Server-Timing", ", ".join(f"{k};dur={v / 1000:.2f}" for k, v in phases.microseconds.items())),
        ]
        if response.body is not None:
            headers.append(("Content-Type", response.content_type or negotiate.CONTENT_TYPE))
        headers += negotiate.versioning(response, base_url)
        headers += response.headers
        origin = request.header("ORIGIN")
        if origin:
            headers += self._origins.headers(request.method, origin)
        return headers


def _request_id(request: Request) -> str:
    given = request.header("X_REQUEST_ID")
    return given if given and _REQUEST_ID.fullmatch(given) else f"{_request_prefix()}{next(_requests):08x}"


@cache
def _request_prefix() -> str:
    """Sixteen random digits for this process; with a number behind them they name a request like no other."""
    return os.urandom(8).hex()


_requests = itertools.count()
