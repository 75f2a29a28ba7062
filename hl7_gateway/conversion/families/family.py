"""A kind of message, and what it reads in its own way. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment

Handler = Callable[[Walk, Segment], object]


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of message: the segments that it reads in its own way, and what is left to say at the end (``finish``).

    Any other segment means what it does everywhere: `carried.CARRIED`.
    """

    name: str
    handlers: Mapping[str, Handler]
    finish: Callable[[Walk], None] | None = None
