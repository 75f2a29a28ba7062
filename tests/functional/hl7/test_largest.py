"""A message as large as a feed may be told to take. docs/hl7.md, "Feeds" """

from __future__ import annotations

import base64
import random

import pytest

from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.feed import MOST
from tests.functional.hl7.gateway import message
from tests.functional.hl7.ward import Ward

_ROOM = 2_000
"""For all but the large field."""


def unread() -> bytes:
    return message("1", rest=f"ZZZ|{'x' * (MOST - _ROOM)}\r")


def attached() -> bytes:
    content = base64.b64encode(random.Random(1).randbytes((MOST - _ROOM) * 3 // 4)).decode()
    rest = (
        "OBR|1||R1^LAB|24317-0^Hemogram^LN|||20260101070000||||||||||||||||||F\r"
        f"OBX|1|ED|1^PDF^LN||^application^pdf^Base64^{content}||||||F\r"
    )
    return message("1", "R01", rest=rest).replace(b"ADT^R01", b"ORU^R01")


@pytest.mark.attack
@pytest.mark.parametrize("made", [unread, attached])
def test_the_largest_message_is_stored(app_database: Database, tenant: Tenant, made: object) -> None:
    assert callable(made)
    raw = made()
    assert MOST - 2 * _ROOM < len(raw) <= MOST
    ward = Ward(app_database, tenant, limit=MOST)
    ward.keep(raw)
    assert ward.work() == 1
    (one,) = ward.found()
    assert (one.state, one.problem) == ("stored", None)
    assert ward.raw(one.id) == raw
