"""A destination of a clinic, and whom it acts as when it is told something. docs/hl7-outbound.md"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Final

from fhir_server.access.principal import Principal
from fhir_server.access.scopes import parse
from fhir_server.store.hl7_destinations import DestinationRow
from hl7_gateway.outbound import rules
from hl7_gateway.outbound.rules import Configuration, NotADestination
from hl7_gateway.wire import tls

_SCOPES: Final = parse("system/*.rs")


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination as it is stored, and its configuration, checked."""

    row: DestinationRow
    configuration: Configuration

    @property
    def principal(self) -> Principal:
        """A client that acts by itself, bound to one clinic, that reads and writes nothing. docs/access.md"""
        subject = f"hl7-destination/{self.row.name}"
        return Principal(self.row.slug, subject, subject, _SCOPES)

    def tls(self) -> ssl.SSLContext | None:
        """What connections to it are secured by. Raises NotADestination for files that cannot be used."""
        one = self.configuration
        if not one.tls:
            return None
        try:
            return tls.client(one.ca or None, one.certificate or None, one.key or None)
        except OSError:
            raise NotADestination(["ca, certificate and key must be PEM files that belong together."]) from None


def parsed(row: DestinationRow) -> Destination:
    """The destination of a row. Raises NotADestination."""
    return Destination(row, rules.read(row.configuration))
