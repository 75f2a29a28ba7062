"""What is done with messages outside of pages and deliveries, as the audit trail keeps it. docs/audit.md"""

from __future__ import annotations

import os
import pwd
from typing import Any, Final

from fhir_server.audit import event as events
from fhir_server.audit.drain import row_of
from fhir_server.audit.event import FAILED, Event
from fhir_server.crypto.hashing import Hasher
from fhir_server.store import audit
from fhir_server.store.session import Connection
from hl7_gateway.deliver import feed_principal
from hl7_gateway.problems import Refused

COMMAND_LINE: Final = "hl7-gateway-cli"
"""The client of whoever uses the command line on the server."""


def record(connection: Connection, hasher: Hasher, event: Event) -> None:
    """Append an event to its clinic's trail, in the transaction of what it tells of.

    To be called last: whoever appends to the clinic's chain waits for this transaction from here on.
    """
    audit.append(connection, event.tenant_id, [row_of(event, hasher)])


def at_the_command_line(tenant_id: int, kind: str, **values: Any) -> Event:
    """What the operating system's user who runs this does."""
    at = events.now()
    return Event(
        id=events.new_id(at),
        tenant_id=tenant_id,
        at=at,
        kind=kind,
        status=200,
        subject=operator(),
        client_id=COMMAND_LINE,
        **values,
    )


def operator() -> str:
    """The name of the user whom this process runs as; the environment has no say in it."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def failed(tenant_id: int, slug: str, feed: str, message: int, problem: Refused) -> Event:
    """A message that is a dead letter because the gateway itself failed, of a feed that has this name."""
    at = events.now()
    principal = feed_principal(feed, slug)
    return Event(
        id=events.new_id(at),
        tenant_id=tenant_id,
        at=at,
        kind="transaction",
        outcome=FAILED,
        status=500,
        subject=principal.subject,
        client_id=principal.client_id,
        request_id=f"hl7-message/{message}",
        reason=str(problem),
        messages=(message,),
    )
