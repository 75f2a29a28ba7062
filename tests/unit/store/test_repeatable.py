"""Which failures go away by themselves. https://www.postgresql.org/docs/current/errcodes-appendix.html"""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from fhir_server.errors import Conflict, Unavailable
from fhir_server.store.repeatable import repeatable


@pytest.mark.parametrize(
    ("error", "may_succeed"),
    [
        (errors.DeadlockDetected(), True),
        (errors.SerializationFailure(), True),
        (errors.UniqueViolation(), True),
        (errors.QueryCanceled(), True),
        (errors.AdminShutdown(), True),
        (psycopg.OperationalError("the connection is lost"), True),
        (Unavailable("later"), True),
        (errors.ProgramLimitExceeded(), False),
        (errors.NumericValueOutOfRange(), False),
        (errors.UntranslatableCharacter(), False),
        (errors.CheckViolation(), False),
        (Conflict("another version"), False),
        (KeyError("x"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_which_failures_are_worth_another_try(error: Exception, may_succeed: bool) -> None:
    assert repeatable(error) is may_succeed
