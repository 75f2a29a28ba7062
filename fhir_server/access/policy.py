"""The one decision: what may this principal do with resources of this type? Pure, no I/O. docs/architecture.md,
"Access" """

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from fhir_server.access.principal import Principal
from fhir_server.access.scopes import Scope

LETTERS = {
    "create": "c",
    "read": "r",
    "vread": "r",
    "history-instance": "r",
    "update": "u",
    "patch": "u",
    "delete": "d",
    "search-type": "s",
    "search-system": "s",
    "history-type": "s",
    "history-system": "s",
    "explain": "cruds",
    "reindex": "u",
}
"""The SMART v2 permissions that each interaction needs, in the order of a scope's.

How searches run is for those who may do everything anyway: they run the clinic or the platform.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-fhir-resources
"""


@dataclass(frozen=True, slots=True)
class Access:
    """What a decision leaves visible: nothing, everything, or some resource types.

    ``types`` is None for every type. It is read by two functions only: `allows`, for a row in memory, and the access
    pass of search/compile.py, for rows in SQL.
    """

    types: frozenset[str] | None

    @property
    def nothing(self) -> bool:
        """True when no row at all may be seen or written."""
        return self.types is not None and not self.types

    def allows(self, resource_type: str, patient: int | None) -> bool:
        """May a row of this type, in the compartment of this patient (its key, or None), be seen?"""
        return self.types is None or resource_type in self.types


EVERYTHING = Access(None)
NOTHING = Access(frozenset())


def decide(principal: Principal, interaction: str, resource_type: str | None) -> Access:
    """What the principal may reach by this interaction. No matching rule means nothing.

    ``interaction`` is a key of `LETTERS`; ``resource_type`` is None for the whole system. Only scopes in system
    context grant
    anything yet: a user's and a patient's reach depends on roles and relationships, and without them they reach
    nothing.
    """
    return _decide(principal.scopes, interaction, resource_type)


@lru_cache(maxsize=8192)
def _decide(scopes: tuple[Scope, ...], interaction: str, resource_type: str | None) -> Access:
    letter = LETTERS.get(interaction)
    if letter is None:
        return NOTHING
    types: set[str] = set()
    for scope in scopes:
        # A constrained scope narrows rows, which cannot be honoured here: it must not grant more than it says.
        if scope.context != "system" or letter not in scope.letters or scope.constraint:
            continue
        if scope.resource_type == "*":
            return EVERYTHING if resource_type is None else Access(frozenset((resource_type,)))
        types.add(scope.resource_type)
    if resource_type is not None:
        types &= {resource_type}
    return Access(frozenset(types))
