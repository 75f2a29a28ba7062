"""Whose CapabilityStatement it is: that of whoever asks, or that of the server. docs/rest.md"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from fhir_server.access.policy import Access, Resolve, decide
from fhir_server.access.principal import Principal
from fhir_server.interactions.context import Context
from fhir_server.search.constraints import resolver

_SOMEBODY = "-"


class Reach(Protocol):
    """What somebody can do."""

    def can(self, interaction: str, resource_type: str | None) -> bool:
        """Whether an interaction lets anything through."""

    def whole(self, interaction: str, resource_type: str) -> bool:
        """Whether it lets through every resource of the type."""

    def in_part(self, resource_type: str) -> bool:
        """Whether elements of the type are hidden."""

    def note(self, resource_type: str) -> str:
        """What is to be known about a type; "" for nothing."""


class Anybody:
    """What the server can do."""

    def can(self, interaction: str, resource_type: str | None) -> bool:
        """Everything."""
        return True

    def whole(self, interaction: str, resource_type: str) -> bool:
        """Every resource."""
        return True

    def in_part(self, resource_type: str) -> bool:
        """Nothing is."""
        return False

    def note(self, resource_type: str) -> str:
        """Nothing."""
        return ""


ANYBODY = Anybody()


@dataclass(frozen=True, slots=True)
class Caller:
    """What a caller can do, by the one decision; alike for everybody with the same roles, scopes and kind of person.

    Who they are does not matter to it, only whether they are somebody of whom relations can tell.
    """

    principal: Principal
    resolve: Resolve
    taken: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, ctx: Context) -> Caller:
        """The caller of a request."""
        given = ctx.principal
        kind = given.fhir_user.partition("/")[0]
        alike = replace(
            given,
            tenant="",
            subject=_SOMEBODY,
            client_id="",
            fhir_user=f"{kind}/{_SOMEBODY}" if kind else "",
            patient=_SOMEBODY if given.patient else "",
            encounter="",
            grant="",
        )
        return cls(alike, resolver(ctx.store.hasher), ctx.tenant.taken)

    def can(self, interaction: str, resource_type: str | None) -> bool:
        """Whether the decision leaves anything."""
        return not self._access(interaction, resource_type).nothing

    def whole(self, interaction: str, resource_type: str) -> bool:
        """Whether it leaves every resource of the type."""
        return self._access(interaction, resource_type).without_consents().whole(resource_type)

    def in_part(self, resource_type: str) -> bool:
        """Whether the caller sees all that they see of the type in part."""
        return "" not in self._masks(resource_type)

    def note(self, resource_type: str) -> str:
        """What is shown in part, or only counted."""
        if self.can("count", resource_type) and not self.can("search-type", resource_type):
            return "Resources of this type are counted for you, and not shown."
        masks = self._masks(resource_type)
        if parts := ", ".join(sorted(masks - {""})):
            some = "Some resources" if "" in masks else "Resources"
            return f"{some} of this type are shown to you in part: {parts} (docs/access.md)."
        return ""

    def _masks(self, resource_type: str) -> set[str]:
        read, searched = self._access("read", resource_type), self._access("search-type", resource_type)
        return {*read.masks(resource_type), *searched.masks(resource_type)} or {""}

    def _access(self, interaction: str, resource_type: str | None) -> Access:
        return decide(self.principal, interaction, resource_type, self.resolve, self.taken)
