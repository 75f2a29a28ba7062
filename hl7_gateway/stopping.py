"""A process is told to stop: https://man7.org/linux/man-pages/man3/sigwait.3.html"""

from __future__ import annotations

import signal
import threading
from typing import Final

_STOPS: Final = frozenset({signal.SIGINT, signal.SIGTERM})


def told_to_stop() -> threading.Event:
    """An Event that SIGINT or SIGTERM sets; to be called in the main thread, before there are others.

    A thread waits for them. A handler would run inside whatever the main thread is at, another handler too, and wait
    for a lock that is its own: the process would hang, with the messages that it has locked.
    """
    stopping = threading.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    threading.Thread(target=_wait, args=(stopping,), name="hl7-stop", daemon=True).start()
    return stopping


def _wait(stopping: threading.Event) -> None:
    signal.sigwait(_STOPS)
    stopping.set()
