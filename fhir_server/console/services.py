"""What the pages are made of: the parts of the server that they call. docs/pages.md"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from fhir_server.access import roles as role_map
from fhir_server.access.roles import ROLES
from fhir_server.access.scopes import Scope
from fhir_server.audit.trail import Trail
from fhir_server.authn.passkeys import Passkeys
from fhir_server.authn.people import People
from fhir_server.authn.recovery_codes import RecoveryCodes
from fhir_server.authn.second_factors import SecondFactors
from fhir_server.authn.sessions import Sessions
from fhir_server.authn.sign_in import SignIn
from fhir_server.authn.totp import Totp
from fhir_server.authn.upstream import Upstream
from fhir_server.console.extensions import Extension
from fhir_server.crypto.sealing import Sealer
from fhir_server.settings import Settings
from fhir_server.smart.services import Smart
from fhir_server.store.directory import Entry
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.tenants.directory import Directory

STATIC = Path(__file__).parent / "static"

LAUNCHER = "launcher"
"""The permission to open apps: whoever may look at patients, but for patients themselves."""

_MENU = (("launcher", "Open an app"), ("clients", "Apps"), ("people", "People"))
_ACCOUNT = ("account", "My account")


@dataclass(frozen=True)
class Services:
    """One process's parts; threads share them."""

    settings: Settings
    database: Database
    directory: Directory
    trail: Trail
    store_of: Callable[[Entry], Store]
    smart: Smart
    people: People
    sign_in: SignIn
    sessions: Sessions
    factors: SecondFactors
    totp: Totp
    passkeys: Passkeys
    recovery: RecoveryCodes
    upstream: Upstream
    sealer: Sealer
    extensions: tuple[Extension, ...] = ()

    @cached_property
    def assets_version(self) -> str:
        """Changes whenever a static file does, so that browsers may keep them for good."""
        digest = sha256()
        for file in sorted(STATIC.iterdir()):
            digest.update(file.read_bytes())
        return digest.hexdigest()[:12]

    @property
    def https(self) -> bool:
        """Whether people reach the server over TLS."""
        return self.settings.public_url.startswith("https://")

    def origins(self, slug: str) -> frozenset[str]:
        """The origins of a clinic's pages, by path and by subdomain. https://www.rfc-editor.org/rfc/rfc6454"""
        scheme, _, rest = self.settings.public_url.partition("://")
        host = rest.partition("/")[0].lower()
        return frozenset((f"{scheme}://{host}", f"{scheme}://{slug}.{host}"))

    def permits(
        self, roles: Sequence[str], permission: str, narrowed: Mapping[str, Sequence[str]] | None = None
    ) -> bool:
        """Whether people with these roles may see pages of this permission, at a clinic that has taken these away."""
        if permission == LAUNCHER:
            others = [role for role in roles if role != "patient"]
            return role_map.grantable(others, Scope("user", "Patient", "r")) is not None
        taken = narrowed or {}
        left = (role_map.narrowed(ROLES[role], taken.get(role, ())) for role in roles if role in ROLES)
        return any(permission in role.operations for role in left)

    def menu(self, roles: Sequence[str], narrowed: Mapping[str, Sequence[str]]) -> Sequence[tuple[str, str]]:
        """The pages that these roles may see, as the menu lists them; a person's own comes last."""
        more = [(entry.name, entry.label) for extension in self.extensions for entry in extension.menu]
        permitted = [(name, label) for name, label in (*_MENU, *more) if self.permits(roles, name, narrowed)]
        return [*permitted, _ACCOUNT]
