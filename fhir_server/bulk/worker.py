"""A loading process: takes work from the command, one piece after the other. https://docs.python.org/3/library/multiprocessing.html"""

from __future__ import annotations

import gc
import logging
import signal
from multiprocessing.connection import Connection

import psycopg

from fhir_server import logs
from fhir_server.bulk import files, lines
from fhir_server.bulk.session import Session, opened
from fhir_server.bulk.work import LoadFile, Outcome, Settled, Work
from fhir_server.errors import Conflict, FhirError, Unavailable


def main(channel: Connection, settled: Settled) -> None:
    """Answer each Work on the channel with its Outcome; the end of the channel is the end of the process."""
    # Ctrl-C in the terminal reaches every process of the command; only the first one decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure("error")
    # The pool warns of each connection that it replaces; whether that matters is decided here.
    logging.disable(logging.WARNING)
    # Parsed JSON holds no cycles, and looking for them among so many objects takes longer than parsing them.
    gc.disable()
    try:
        with opened(settled) as session:
            channel.send(Outcome())
            gc.freeze()
            _serve(channel, session)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The command is gone. What it has not heard of was committed with a note of it, or was not.
        return
    except FhirError as error:
        channel.send(Outcome(stopped=str(error)))


def _serve(channel: Connection, session: Session) -> None:
    while True:
        work: Work = channel.recv()
        channel.send(perform(session, work))
        gc.collect(0)


def perform(session: Session, work: Work) -> Outcome:
    """Do a piece of work; a database that cannot be reached stops it."""
    try:
        return files.load(session, work) if isinstance(work, LoadFile) else lines.load(session, work)
    except (Unavailable, Conflict) as error:
        return Outcome(stopped=str(error))
    except psycopg.Error as error:
        return Outcome(stopped=f"The database refuses to go on ({type(error).__name__}, SQLSTATE {error.sqlstate}).")
