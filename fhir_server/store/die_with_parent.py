"""A child process that gets a signal when its parent dies, however it dies.

https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1

_LOOK_SECONDS = 1.0


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """A ``preexec_fn`` for subprocess: the kernel sends ``number`` to the child when the starting thread ends.

    None where the system has no such thing; there the next start ends what was left behind.
    """
    if sys.platform != "linux":
        return None
    # Loaded here and not in the child: between fork and exec nothing may be imported.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def set_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)

    return set_signal


def die_with_this_parent(number: signal.Signals) -> None:
    """Ask for ``number`` when the parent of this very process dies, where the system can do that."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)


def end_after_this_parent(seconds: float) -> None:
    """Have this very process end ``seconds`` after its parent has died, whatever keeps it from doing so by itself."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        time.sleep(seconds)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
