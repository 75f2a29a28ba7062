"""https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.audit import event as events
from fhir_server.audit.event import Event

MOMENTS = st.integers(0, 2**47 * 1000)


@given(MOMENTS, MOMENTS)
def test_ids_are_in_the_order_of_their_times(one: int, other: int) -> None:
    first, second = sorted((one, other))
    assert events.floor_id(first) <= events.new_id(first)
    if first < second:
        assert events.new_id(first) < events.floor_id(second)


@given(MOMENTS)
def test_an_id_is_a_uuid_version_7_of_its_millisecond(at: int) -> None:
    parsed = uuid.UUID(events.new_id(at))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == at // 1000


def test_an_event_is_one_line_that_reads_as_it_was(make: Callable[..., Event]) -> None:
    event = make(query="GET Patient?name=a\nb", written=(("Basic", "1", 0, 1),), patients=(-5,), detail={"x": [1]})
    line = events.encode(event)
    assert b"\n" not in line
    assert events.decode(line) == event
    assert events.encode(events.decode(line)) == line


def test_what_has_nothing_to_say_is_left_out(make: Callable[..., Event]) -> None:
    assert set(msgspec.json.decode(events.encode(make()))) == {"id", "tenant_id", "at", "kind", "status"}


def test_a_field_that_there_is_not_cannot_be_given(make: Callable[..., Event]) -> None:
    with pytest.raises(TypeError):
        make(colour="red")
