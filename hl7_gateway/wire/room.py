"""How much is with handlers at once, and who comes next. docs/hl7.md, "Backpressure" """

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


class Room:
    """How many messages, and bytes of them, are with handlers at once over all connections of a listener.

    Those that wait are let in one after another. A message that is larger than all the room goes in alone.
    """

    def __init__(self, messages: int, octets: int) -> None:
        self._messages = messages
        self._octets = octets
        self._held = 0
        self._held_octets = 0
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()

    @property
    def held(self) -> int:
        """How many messages are with handlers."""
        return self._held

    def enter(self, octets: int, later: Callable[[], None]) -> bool:
        """Whether there is room for a message, which is held from now on; else ``later`` is called once it is."""
        if self._waiting or not self._fits(octets):
            self._waiting.append((octets, later))
            return False
        self._hold(octets)
        return True

    def leave(self, octets: int) -> None:
        """Give the room of a message back, to those that wait for it."""
        self._held -= 1
        self._held_octets -= octets
        while self._waiting and self._fits(self._waiting[0][0]):
            next_octets, later = self._waiting.popleft()
            self._hold(next_octets)
            later()

    def _hold(self, octets: int) -> None:
        self._held += 1
        self._held_octets += octets

    def _fits(self, octets: int) -> bool:
        return not self._held or (self._held < self._messages and self._held_octets + octets <= self._octets)


@dataclass(slots=True)
class _Begun:
    at: float
    octets: int
    let_go: Callable[[], None]


class Unfinished:
    """How many bytes are held of frames that are not done, over all connections of a listener.

    Where that are more than ``most``, the connection is let go that takes most time for its bytes: the others come to
    an end.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._begun: dict[object, _Begun] = {}
        self.octets = 0

    def note(self, connection: object, octets: int, let_go: Callable[[], None]) -> None:
        """How many bytes a connection holds of its frame; 0: its frame is done, or there is none."""
        before = self._begun.get(connection)
        if before is not None:
            self.octets -= before.octets
        self.octets += octets
        if not octets:
            self._begun.pop(connection, None)
        elif before is None or octets < before.octets:
            # Of another frame than before.
            self._begun[connection] = _Begun(self._clock(), octets, let_go)
        else:
            before.octets = octets
        while self.octets > self._most and len(self._begun) > 1:
            self._let_slowest_go()

    def _let_slowest_go(self) -> None:
        now = self._clock()
        slowest = min(self._begun, key=lambda one: self._begun[one].octets / (now - self._begun[one].at + 0.001))
        gone = self._begun.pop(slowest)
        self.octets -= gone.octets
        gone.let_go()
