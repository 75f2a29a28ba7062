"""A permission: ``reach:resource:action``, such as ``patients:Observation:read``. docs/access.md"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

REACHES = ("clinic", "patients", "clients", "referrals", "own", "mine", "counts")
"""How far a permission reaches.

``clinic``: every resource of the clinic. ``patients``: those about the person's own patients. ``clients``: those about
patients whom the person represents. ``referrals``: those about patients whom the person referred. ``own``: those about
the person. ``mine``: those that name the person. ``counts``: how many there are, and nothing of any.
"""

ACTIONS = {"create": "c", "read": "r", "update": "u", "delete": "d", "search": "s"}
"""Actions on resources, and the letters of SMART's scopes for them; any other action is an operation by name.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-fhir-resources
"""


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission: how far it reaches, for which resource type ("*": every one), which action."""

    reach: str
    resource: str
    action: str

    def __str__(self) -> str:
        return f"{self.reach}:{self.resource}:{self.action}"


@cache
def parse(text: str) -> Permission:
    """A permission from its key. Raises ValueError for anything else."""
    parts = text.split(":")
    if len(parts) != 3 or parts[0] not in REACHES or not all(parts):
        raise ValueError(f"{text!r} is no permission: write reach:resource:action with one of {', '.join(REACHES)}")
    return Permission(*parts)
