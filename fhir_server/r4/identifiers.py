"""UUIDv7, in the order of time. https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7"""

from __future__ import annotations

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """A new UUIDv7: 48 bits of milliseconds since 1970, then 74 random bits.

    Field layout from RFC 9562, section 5.7.
    """
    value = int.from_bytes(os.urandom(10), "big")
    milliseconds = time.time_ns() // 1_000_000
    value = (
        (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (value >> 64 & 0xFFF) << 64
        | 0b10 << 62
        | value & (1 << 62) - 1
    )
    return UUID(int=value)
