"""What every kind of message shares: handlers of segments by name. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment

Handler = Callable[[Walk, Segment], object]


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of message: what its segments mean (``handlers``), and what is left to say at the end (``finish``)."""

    name: str
    handlers: Mapping[str, Handler]
    finish: Callable[[Walk], None] | None = None
