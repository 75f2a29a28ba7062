"""How long a connection is waited for on which nothing comes. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Patience:
    """Calls ``end`` when nothing has come for ``idle`` seconds, or for ``stalled`` seconds while ``unfinished``.

    Nobody is idle who waits for us, which ``waits`` tells; ``idle`` None is for ever.
    """

    def __init__(
        self,
        idle: float | None,
        stalled: float,
        *,
        unfinished: Callable[[], bool],
        waits: Callable[[], bool],
        end: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle = idle
        self._stalled = stalled
        self._unfinished = unfinished
        self._waits = waits
        self._end = end
        self._looks: asyncio.TimerHandle | None = None
        self.heard = self._loop.time()
        """When something came last."""

    def hear(self) -> None:
        """Something has come, or is waited for from now on."""
        self.heard = self._loop.time()

    def begin(self) -> None:
        """See to it that somebody looks, where nobody does or it is to be sooner."""
        if self._looks is None or self._unfinished():
            self._look_later()

    def stop(self) -> None:
        """Nothing is waited for any more."""
        if self._looks is not None:
            self._looks.cancel()
            self._looks = None

    def _patience(self) -> float | None:
        return self._stalled if self._unfinished() else self._idle

    def _look_later(self) -> None:
        patience = self._patience()
        if patience is None:
            return
        due = self.heard + patience
        if self._looks is not None:
            if self._looks.when() <= due:
                return
            self._looks.cancel()
        self._looks = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._looks = None
        patience = self._patience()
        if patience is None:
            return
        if self._waits():
            self.hear()
        if self._loop.time() - self.heard < patience:
            self._look_later()
        else:
            self._end()
