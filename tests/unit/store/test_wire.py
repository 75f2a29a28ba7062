"""Values written as SQL literals come back as they were, whatever characters they have."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import pq

from fhir_server.store.store import Store
from fhir_server.store.wire import Statement, _results, argument, literal, run, run_together

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
hostile = st.sampled_from(["'", "''", "\\'", "$1", "$$", "; DROP TABLE resource", "{,}", '"', "\\", "NULL", "--", "/*"])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts | hostile, others=st.lists(texts | hostile, max_size=3))
def test_texts(store: Store, text: str, others: list[str]) -> None:
    result = store.search("SELECT $1::text, to_json($2::text[])::text, $1::text = ANY($2::text[])", [text, others])
    assert (result.get_value(0, 0) or b"").decode() == text
    assert json.loads(result.get_value(0, 1) or b"") == others
    assert (result.get_value(0, 2) == b"t") is (text in others)


@pytest.mark.parametrize("number", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_integers(store: Store, number: int) -> None:
    result = store.search("SELECT $1::bigint, 1 - $1::bigint % 10, $2::bigint[]", [number, [number]])
    assert int(result.get_value(0, 0) or b"") == number
    assert result.get_value(0, 2) == b"{%d}" % number


@pytest.mark.parametrize("number", [0.1, -1.5, 1e300, float("inf"), float("-inf")])
def test_floats(store: Store, number: float) -> None:
    assert float(store.search("SELECT $1::float8", [number]).get_value(0, 0) or b"") == number


def test_booleans_and_nothing(store: Store) -> None:
    result = store.search("SELECT $1::boolean, $2::boolean, $3::text IS NULL", [True, False, None])
    assert [result.get_value(0, n) for n in range(3)] == [b"t", b"f", b"t"]


@pytest.mark.parametrize("value", [b"bytes", {"a": 1}, object(), ["a", 1], [b"x"], [None]])
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        literal(value)


def test_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        literal("a\0b")


ONE = Statement("test_one", "SELECT $1::bigint")
DIVIDED = Statement("test_divided", "SELECT 1 / $1::bigint")
SEEN = Statement("test_seen", "SELECT current_setting('fhir.tenant', true)")
SET = Statement("test_set", "SELECT set_config('fhir.tenant', $1, true)")
LOST = Statement("test_lost", "SELECT pg_terminate_backend(pg_backend_pid())")


def test_statements_together_are_one_transaction(store: Store) -> None:
    with store.database.connection() as connection:
        results = run_together(connection, [(SET, (b"7",)), (SEEN, ()), (ONE, (argument(-3),))])
        assert [result.get_value(0, 0) for result in results] == [b"7", b"7", b"-3"]
        assert run(connection, SEEN, ()).get_value(0, 0) in (None, b"")


def test_the_first_that_fails_is_told_and_the_connection_goes_on(store: Store) -> None:
    with store.database.connection() as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            run_together(connection, [(ONE, (b"1",)), (DIVIDED, (b"0",)), (ONE, (b"2",))])
        assert run_together(connection, [(ONE, (b"4",))])[0].get_value(0, 0) == b"4"
        assert connection.execute("SELECT 5").fetchone() == (5,)


def test_a_connection_that_is_lost_on_the_way(store: Store) -> None:
    with store.database.connection() as connection, pytest.raises(psycopg.OperationalError):
        run_together(connection, [(ONE, (b"1",)), (LOST, ()), (ONE, (b"2",))])
    with store.database.connection() as connection:
        assert run_together(connection, [(ONE, (b"4",))])[0].get_value(0, 0) == b"4"


TEXT = Statement("test_text", "SELECT length($1::text)")


@pytest.mark.parametrize("octets", [1, 20_000_000])
def test_a_connection_that_was_lost_before(store: Store, octets: int) -> None:
    with store.database.connection() as other, store.database.connect_apart() as connection:
        run_together(connection, [(TEXT, (b"x",))])
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
        with pytest.raises(psycopg.OperationalError, match="the connection to the database is lost"):
            run_together(connection, [(TEXT, (b"x" * octets,))] * 3)
        assert connection.closed


class Mute:
    """A connection of which libpq has an error, and then says for ever that it waits for nothing: not that it is lost.

    So it was found in a worker after PostgreSQL had been killed.
    """

    status = pq.ConnStatus.OK

    def __init__(self, result: object) -> None:
        self._results = [result]
        self._asked = 0

    def get_result(self) -> object:
        self._asked += 1
        assert self._asked < 100, "it is asked for ever"
        return self._results.pop() if self._results else None


def test_a_connection_that_has_nothing_more_to_say(store: Store) -> None:
    with store.database.connection() as connection:
        result = run(connection, ONE, (b"1",))
    with pytest.raises(psycopg.OperationalError, match="the connection to the database is lost"):
        _results(Mute(result), 4)  # type: ignore[arg-type]


@given(numbers=st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_numbers_as_arguments(numbers: list[int]) -> None:
    assert argument(numbers) == b"{" + b",".join(b"%d" % one for one in numbers) + b"}"
    assert argument(None) is None
    assert argument(argument(numbers)) == argument(numbers)
