"""What conversion has to know of the feed that a message came by. docs/hl7.md

An identifier is never a bare number: each gets the system of the authority that assigned it, or of whoever sent it.
https://hl7.org/fhir/uv/v2mappings/datatype_maps.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from hl7_gateway.message import Message, Value
from hl7_gateway.overrides.change import Change
from hl7_gateway.remembering import remembered

_OID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

NPI: Final = "http://hl7.org/fhir/sid/us-npi"
"""The national provider identifier of the United States, which senders name in many ways."""

_NPI_OID: Final = "2.16.840.1.113883.4.6"


@dataclass(frozen=True, slots=True)
class FeedMapping:
    """``name`` of the feed, ``zone`` (a name of the time zone database) where a time is sent without an offset.

    ``authorities``: namespace of an assigning authority or facility -> identifier system.
    ``code_systems``: coding system as it is sent (HL7 table 0396, local ones) -> URI.
    ``overrides``: changes of the feed's own mapping, ``version`` what lineage tells of them, ``file_version`` the same
    of the file alone. ``wanting``: what is wrong with the ConceptMaps that it names; ``consulted``: which versions of
    them it was made with, by URL. ``memo`` is for what only depends on these and on a part of a message.
    """

    name: str
    zone: str = "UTC"
    authorities: Mapping[str, str] = field(default_factory=dict)
    code_systems: Mapping[str, str] = field(default_factory=dict)
    overrides: tuple[Change, ...] = ()
    version: str = ""
    file_version: str = ""
    wanting: tuple[str, ...] = ()
    consulted: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def system(self, authority: Value, message: Message, facility: Value | None = None) -> str:
        """The identifier system of an assigning authority (HD).

        A configured one wins; then what it says itself to be world-wide; then one of this feed and its namespace. Where
        there is no authority, ``facility`` stands in, then the sending facility, then the sending application.
        """
        for candidate in (authority, facility):
            found = candidate is not None and self._of(candidate)
            if found:
                return found
        return self.sender(message)

    def assigned(self, namespace: str, universal: str, kind: str, message: Message) -> str:
        """The identifier system of an authority whose parts stand apart, as in an EI."""
        return self._system(namespace.strip(), universal.strip(), kind.strip()) or self.sender(message)

    def sender(self, message: Message) -> str:
        """The identifier system of whoever sent a message."""
        header = message.header
        return self._of(header.first(4)) or self._of(header.first(3)) or own_system(self.name, "")

    def _of(self, authority: Value) -> str:
        one, two, three = authority.part(1), authority.part(2), authority.part(3)
        return self._system(one.strip(), two.strip(), three.strip())

    def _system(self, namespace: str, universal: str, kind: str) -> str:
        for key in (namespace, universal):
            if key and key in self.authorities:
                return self.authorities[key]
        if namespace.upper() == "NPI" or universal == _NPI_OID:
            return NPI
        if universal:
            return universal_system(universal, kind) or own_system(self.name, universal)
        return own_system(self.name, namespace) if namespace else ""


@remembered(4096)
def universal_system(universal: str, kind: str) -> str:
    """An identifier system for a universal id and its type (HL7 table 0301), "" where it is not one world-wide.

    An OID or a UUID without its type is one nevertheless.
    """
    kind = kind.upper()
    if _OID.fullmatch(universal):
        return "urn:oid:" + universal
    if _UUID.fullmatch(universal):
        return "urn:uuid:" + universal.lower()
    if kind in ("URI", "URL", "HTTP") and ":" in universal and not re.search(r"\s", universal):
        return universal
    if kind == "DNS" and re.fullmatch(r"[A-Za-z0-9.-]+", universal):
        return "urn:hl7:dns:" + universal.lower()
    return ""


@remembered(4096)
def own_system(feed: str, namespace: str) -> str:
    """An identifier system for what only this feed knows: the same namespace of another feed is another one."""
    return f"urn:hl7:{quote(feed, safe='')}" + (f":{quote(namespace, safe='')}" if namespace else "")
