"""What is given to a delivery and what becomes of it. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fhir_server.access.principal import Principal
from fhir_server.access.scopes import parse
from fhir_server.interactions.context import Tenant
from fhir_server.store.hl7_messages import DEAD, STORED
from hl7_gateway.conversion.draft import Conversion, Warned
from hl7_gateway.problems import Refused

_SCOPES: Final = parse("system/*.cruds")

_MOST_TOLD: Final = 200
"""Warnings that are kept of one message, and fields that no rule has read."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where messages are delivered to: the clinic and its FHIR base without a trailing slash.

    ``answering`` are the feeds of systems that are destinations as well, by name; None: to be asked for.
    """

    tenant: Tenant
    base_url: str
    answering: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """A message that waits: its number, the name of its feed, what it says or why that cannot be told.

    ``sender`` is what the sender calls itself; ``version`` is of the mapping that converted it. ``awaited``: somebody
    waits for what becomes of it.
    """

    message: int
    feed: str
    said: Conversion | Refused
    sender: str = ""
    version: str = ""
    awaited: bool = False


@dataclass(slots=True)
class Delivered:
    """What became of a message.

    ``written`` are (type, id, version before, version after), the Provenance left out; ``unchanged`` counts what was
    as the message says already. ``names`` are the resources of its drafts, "Type/id" by draft. ``problem`` is why it
    is a dead letter.
    """

    message: int
    written: list[tuple[str, str, int, int]] = field(default_factory=list)
    unchanged: int = 0
    names: dict[str, str] = field(default_factory=dict)
    patients: set[int] = field(default_factory=set)
    warnings: list[Warned] = field(default_factory=list)
    problem: Refused | None = None

    @property
    def state(self) -> str:
        """The state that it is in from now on."""
        return STORED if self.problem is None else DEAD

    def problem_json(self) -> dict[str, Any] | None:
        """Why it is a dead letter, as hl7_message keeps it."""
        if self.problem is None:
            return None
        place = "" if self.problem.place is None else str(self.problem.place)
        return {"code": self.problem.code, "place": place, "said": self.problem.said}

    def warnings_json(self, said: Conversion | Refused) -> dict[str, Any] | None:
        """What was not taken over as it was sent, as hl7_message keeps it; None where all of it was."""
        if isinstance(said, Refused):
            return None
        warnings = [*said.warnings, *self.warnings]
        if not warnings and not said.unmapped:
            return None
        return {
            "warnings": [{"place": str(one.place), "said": one.said} for one in warnings[:_MOST_TOLD]],
            "unmapped": [str(one) for one in said.unmapped[:_MOST_TOLD]],
            "bytes_received": said.bytes_received,
            "bytes_unmapped": said.bytes_unmapped,
        }


def feed_principal(name: str, slug: str) -> Principal:
    """Whom a feed acts as: a client that acts by itself, bound to one clinic. docs/access.md"""
    subject = f"hl7-feed/{name}"
    return Principal(slug, subject, subject, _SCOPES)
