"""The gateway or a worker that is cut off at a chosen moment: `python -m tests.soak.cut MOMENT NUMBER VICTIM serve`.

The product has no switch for that: this program replaces functions of it before it runs it. docs/soak.md
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import psutil
import psycopg

from fhir_server.store import session
from fhir_server.store.hl7_keeping import Keeping
from fhir_server.store.session import Database
from fhir_server.store.wire import Asked, run_simple, run_together
from hl7_gateway import __main__ as gateway
from hl7_gateway import worker
from hl7_gateway.receive import Receiver

SAID: Final = "CUT OFF HERE"
"""What this program says before it cuts."""

SEEN: Final = "A MOMENT"
"""What it says at each moment at which it might."""

LINKED: Final = "MESSAGES ARE KEPT WITHOUT A THREAD"
"""What it says when the receiver has the connection on which messages are kept."""

BEFORE, SENT, AFTER, FRAME, ANSWER = "before", "sent", "after", "frame", "answer"
"""Moments: the commit of a transaction that has written, one that was sent and not answered, a frame that was read, an
answer that is ready."""

PROCESS, LINK = "process", "link"
"""Victims: this process, its connection to PostgreSQL; a number is the first process of PostgreSQL."""

DEFECT: Final = "defect"
"""Beside a moment: delivery is broken, so that messages are buried by a transaction of their own."""

UNLINKED: Final = "unlinked"
"""Beside a moment: the receiver never gets that connection, so that messages are kept by its thread."""


class Cutter:
    """Cuts a victim off at the ``number``-th of such moments, once."""

    def __init__(self, number: int, victim: str) -> None:
        self._number = number
        self._victim = victim
        self._seen = 0
        self._turn = threading.Lock()

    def due(self) -> bool:
        """Whether this moment is the one."""
        with self._turn:
            self._seen += 1
            print(SEEN, flush=True)
            return self._seen == self._number

    def cut(self, connection: psycopg.Connection | None = None) -> None:
        """Cut the victim off."""
        print(SAID, flush=True)
        if self._victim == PROCESS:
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._victim == LINK:
            assert connection is not None
            with socket.socket(fileno=os.dup(connection.fileno())) as link:
                link.shutdown(socket.SHUT_RDWR)
        else:
            postmaster = psutil.Process(int(self._victim))
            postmaster.suspend()
            for one in (*postmaster.children(recursive=True), postmaster):
                one.kill()


def at_commits(cutter: Cutter, moment: str) -> None:
    """Cut before or after a commit, of transactions that have written something."""
    real: Callable[..., None] = session._end

    def end(connection: psycopg.Connection, last: Sequence[Asked]) -> None:
        if last:
            run_together(connection, last)
        written = run_simple(connection, "SELECT pg_current_xact_id_if_assigned()").get_value(0, 0) is not None
        due = written and moment != SENT and cutter.due()
        if due and moment == BEFORE:
            cutter.cut(connection)
        real(connection, ())
        if due and moment == AFTER:
            cutter.cut(connection)
            raise psycopg.OperationalError("the answer of PostgreSQL does not come")

    session._end = end


def at_kept(cutter: Cutter, moment: str) -> None:
    """Cut around what the receiver's event loop has PostgreSQL commit."""
    opened, send, flush, heard = Keeping.open, Keeping.send, Keeping.flush, Keeping.heard

    def open_(database: Database) -> Keeping:
        found = opened(database)
        print(LINKED, flush=True)
        return found

    def sending(self: Keeping, *arguments: Any) -> None:
        if moment == BEFORE and cutter.due():
            cutter.cut(self._connection)
        send(self, *arguments)

    def flushing(self: Keeping) -> bool:
        done = flush(self)
        if moment == SENT and cutter.due():
            cutter.cut(self._connection)
        return done

    def hearing(self: Keeping) -> list[Any]:
        found = heard(self)
        if found and moment == AFTER and cutter.due():
            cutter.cut(self._connection)
            raise psycopg.OperationalError("the answer of PostgreSQL does not come")
        return found

    Keeping.open = open_  # type: ignore[method-assign, assignment]
    Keeping.send, Keeping.flush, Keeping.heard = sending, flushing, hearing  # type: ignore[method-assign]


def without_link() -> None:
    """The connection on which the event loop keeps messages cannot be had."""

    def open_(_: Database) -> Keeping:
        raise psycopg.OperationalError("there is none")

    Keeping.open = open_  # type: ignore[method-assign, assignment]


def at_messages(cutter: Cutter, moment: str) -> None:
    """Cut when a message has been read and nothing was done with it, or when its answer is ready to be written."""
    real = Receiver.receive

    async def receive(self: Receiver, port: int, peer: Any, raw: bytes) -> bytes | None:
        due = cutter.due()
        if due and moment == FRAME:
            cutter.cut()
        answer = await real(self, port, peer, raw)
        if due:
            cutter.cut()
        return answer

    Receiver.receive = receive  # type: ignore[method-assign]


def broken_delivery() -> None:
    """Nothing can be delivered."""

    def deliver_batch(*_: Any) -> Any:
        raise RuntimeError("a defect")

    worker.deliver_batch = deliver_batch


def main(moments: str, number: str, victim: str, command: str) -> int:
    """Run the gateway's command; ``moments`` are one or two of those above, with "+" between them."""
    cutter = Cutter(int(number), victim)
    for moment in moments.split("+"):
        if moment in (BEFORE, SENT, AFTER):
            at_commits(cutter, moment)
            at_kept(cutter, moment)
        elif moment in (FRAME, ANSWER):
            at_messages(cutter, moment)
        elif moment == UNLINKED:
            without_link()
        else:
            assert moment == DEFECT, moment
            broken_delivery()
    return gateway.run([command])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
