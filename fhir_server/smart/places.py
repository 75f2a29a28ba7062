"""The addresses of one clinic's authorization server. https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of the clinic ``slug`` are, below the ``public_url`` of the server."""

    public_url: str
    slug: str

    @property
    def clinic(self) -> str:
        """Where the clinic's pages begin."""
        return f"{self.public_url}/t/{self.slug}"

    @property
    def base(self) -> str:
        """The FHIR base URL, which requests name as their ``aud``."""
        return f"{self.clinic}/fhir"

    @property
    def issuer(self) -> str:
        """The issuer of id_tokens. https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata"""
        return f"{self.clinic}/auth"

    def endpoint(self, name: str) -> str:
        """The URL of an endpoint: authorize, token, introspect, revoke, register or jwks."""
        return f"{self.issuer}/{name}"

    @property
    def style(self) -> str:
        """Where apps find the clinic's colours. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#styling"""
        return f"{self.clinic}/style.json"

    def is_base(self, url: str) -> bool:
        """Whether a URL is one of the clinic's FHIR base URLs: by path, or by its own host name."""
        scheme, _, rest = self.public_url.partition("://")
        return url.rstrip("/") in (self.base, f"{scheme}://{self.slug}.{rest}/fhir")
