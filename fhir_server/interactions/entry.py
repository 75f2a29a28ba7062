"""One entry of a batch or transaction as the request that it stands for. https://hl7.org/fhir/R4/bundle.html#request"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fhir_server.errors import BadRequest
from fhir_server.interactions.context import Conditions, Context
from fhir_server.interactions.refusal import refusal

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
"""The order in which entries are processed, whatever their order in the bundle. https://hl7.org/fhir/R4/http.html#trules"""


class InBundle(str):
    """A FHIRPath location that starts at the bundle, where others start at the entry's resource.

    entry_problems.py tells the two apart, and makes a plain string of either.
    """

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Entry:
    """What an entry asks for. ``index`` counts from 0.

    ``interaction`` is a key of access.policy.LETTERS; ``resource_type`` and ``id`` are "" where the URL has none;
    ``query`` is what follows the "?" (None without one): criteria, or parameters. ``resource`` is the body.
    ``owner`` is the resource whose compartment is searched, "Patient/123", or "".
    """

    index: int
    full_url: str
    method: str
    interaction: str
    resource_type: str
    id: str
    version: str
    query: str | None
    resource: Any
    conditions: Conditions
    owner: str = ""

    @property
    def location(self) -> InBundle:
        """Where the entry stands, as FHIRPath."""
        return InBundle(f"Bundle.entry[{self.index}]")

    def at(self, path: str) -> InBundle:
        """A place within the entry: "request.url"."""
        return InBundle(f"Bundle.entry[{self.index}].{path}")

    @property
    def url(self) -> str:
        """The URL below the base, for the audit trail."""
        past = "_history" if self.version or "history" in self.interaction else ""
        parts = (self.owner, self.resource_type, self.id, past, self.version)
        path = "/".join(part for part in parts if part)
        return path if self.query is None else f"{path}?{self.query}"

    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of the URL, percent-decoded. Raises BadRequest."""
        try:
            return parse_qsl(self.query or "", keep_blank_values=True, errors="strict", max_num_fields=1000)
        except ValueError:
            raise BadRequest("The query of the URL is not percent-encoded UTF-8, or too long.") from None


def note(ctx: Context, entry: Entry, status: int) -> None:
    """Have the audit trail know of an entry that has read something, or was refused; writes are known already."""
    if status >= 400 or entry.method in ("GET", "HEAD"):
        ctx.trace.entries.append((f"{entry.method} {entry.url}", status))


def decided(ctx: Context, entry: Entry) -> Context:
    """The context for the entry's own interaction, decided like any request. Raises Forbidden."""
    access = ctx.decide(entry.interaction, entry.resource_type or None)
    if access.nothing:
        raise refusal(ctx, entry.interaction, entry.resource_type or None, entry.at("request"))
    return ctx.within(ctx.store, access)
