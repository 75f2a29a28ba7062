"""How much is with handlers at once, and who comes next. docs/hl7.md, "Backpressure" """

from __future__ import annotations

from collections import deque
from collections.abc import Callable


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
