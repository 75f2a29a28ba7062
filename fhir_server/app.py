"""The composition root: every part of the web application is made and wired here, nowhere else. docs/architecture.md"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from fhir_server.audit.trail import Trail
from fhir_server.authn import keys, passwords
from fhir_server.authn.access_token import Verifier
from fhir_server.authn.key_sets import KeySets
from fhir_server.authn.limits import Limiter
from fhir_server.authn.outbound import Outbound
from fhir_server.authn.passkeys import Passkeys
from fhir_server.authn.people import People
from fhir_server.authn.recovery_codes import RecoveryCodes
from fhir_server.authn.second_factors import SecondFactors
from fhir_server.authn.sessions import Sessions
from fhir_server.authn.sign_in import SignIn
from fhir_server.authn.totp import Totp
from fhir_server.authn.upstream import Upstream
from fhir_server.console import extensions
from fhir_server.console.blueprint import console
from fhir_server.console.pages.registry import PAGES
from fhir_server.console.services import Services
from fhir_server.crypto.hashing import Hasher
from fhir_server.crypto.sealing import Sealer
from fhir_server.platform.blueprint import register as register_platform
from fhir_server.platform.services import Platform
from fhir_server.rest import negotiate, outcomes
from fhir_server.rest.api import FhirApi, StartResponse
from fhir_server.rest.client_address import Proxies
from fhir_server.rest.doors import knock
from fhir_server.rest.probes import probes
from fhir_server.settings import ConfigurationError, Settings
from fhir_server.smart.blueprint import smart
from fhir_server.smart.launches import Launches
from fhir_server.smart.pending import Pending
from fhir_server.smart.services import Smart
from fhir_server.store import directory
from fhir_server.store.directory import Entry
from fhir_server.store.redis_server import RedisServer
from fhir_server.store.revocation_watch import Revocations
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.tenants.directory import Directory


class FhirServer(Flask):
    """The Flask application. FHIR URLs are answered by ``api`` before Flask's dispatch, every other one by Flask."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        api: FhirApi,
        trail: Trail,
        pages: Services,
        limiter: Limiter,
    ) -> None:
        super().__init__("fhir_server", static_folder=None)
        self.settings = settings
        self.database = database
        self.api = api
        self.trail = trail
        self.pages = pages
        platform = Platform(
            settings,
            database,
            trail,
            pages.store_of,
            pages.smart.keys,
            pages.people,
            pages.sign_in,
            pages.sessions,
            pages.factors,
            pages.totp,
        )
        self._proxies = Proxies(settings.trusted_proxies)
        self.before_request(knock(limiter, settings.address_limit, settings.cors_origins))
        self.register_blueprint(probes(settings, database))
        self.register_blueprint(smart(pages.smart))
        self.register_blueprint(console(pages, PAGES))
        register_platform(self, platform)
        self.register_error_handler(HTTPException, self._refused)

    def _refused(self, error: HTTPException) -> Response:
        """Flask's own refusals in FHIR's words, for clients that have mistaken the base URL."""
        headers = [(name, value) for name, value in error.get_headers() if name.lower() == "allow"]
        body = outcomes.elsewhere(error.code or 500, self.settings.public_url)
        return Response(body, error.code or 500, headers, content_type=negotiate.CONTENT_TYPE)

    def wsgi_app(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """WSGI's entry. https://flask.palletsprojects.com/en/stable/api/#flask.Flask.wsgi_app"""
        self._proxies.settle(environ)
        address = self.api.address(environ)
        if address is not None:
            return self.api(environ, start_response, address)
        self.api.by_path(environ)
        return super().wsgi_app(environ, start_response)  # type: ignore[arg-type]


def create_app(settings: Settings) -> FhirServer:
    """The web application over the database that the settings name. Raises ConfigurationError, Unavailable."""
    if settings.app_database_url is None:
        from fhir_server.store.database_urls import database_urls

        urls = database_urls(settings)
        if urls is None:
            raise ConfigurationError("APP_DATABASE_URL or DATABASE_URL must be set, or run `fhir-server up`.")
        app_url = urls.app
    else:
        app_url = settings.app_database_url
    database = Database(app_url, settings.pool_size, settings.statement_timeout_ms)
    database.open()
    hasher = Hasher(directory.hash_key(database))
    trail = Trail(settings.spool_directory, database, hasher)
    trail.start()

    def store_of(tenant: Entry) -> Store:
        return Store(
            database,
            hasher,
            tenant.id,
            search_timeout_ms=tenant.search_timeout_ms or settings.search_timeout_ms,
            full_text=settings.full_text,
        )

    signing_keys = keys.load_or_create(settings.key_file)
    redis = RedisServer(settings.redis_url) if settings.redis_url else None
    revocations = Revocations(database, redis=redis)
    revocations.watch()
    verifier = Verifier(signing_keys, settings.issuer, revocations)
    tenants = Directory(lambda slug: directory.entry(database, slug))
    limiter = Limiter(redis, settings.web_workers)
    api = FhirApi(settings, tenants, verifier, store_of, trail, limiter)
    outbound = Outbound.of(settings)
    key_sets = KeySets(outbound)
    hasher_of_passwords = passwords.standard()
    people = People(database, hasher_of_passwords)
    authorization = Smart(
        settings,
        database,
        tenants,
        trail,
        people,
        verifier,
        signing_keys,
        keys.identity_keys(settings.identity_keys),
        key_sets,
        Pending(database),
        Launches(database),
    )
    sealer = Sealer(keys.sealing_secrets(settings.sealing_keys))
    pages = Services(
        settings,
        database,
        tenants,
        trail,
        store_of,
        authorization,
        people,
        SignIn(database, people, hasher_of_passwords, demo=not settings.production),
        Sessions(database),
        SecondFactors(database),
        Totp(database, sealer),
        Passkeys(database, settings.public_url),
        RecoveryCodes(database),
        Upstream(outbound, key_sets),
        sealer,
        extensions.installed(),
    )
    return FhirServer(settings, database, api, trail, pages, limiter)
