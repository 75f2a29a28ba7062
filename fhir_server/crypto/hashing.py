"""Keyed 64-bit hashes that stand for tokens, references and strings in the search index.

BLAKE2b with a secret key of the deployment (https://www.rfc-editor.org/rfc/rfc7693), cut to 64 bits and read as a
signed integer, as PostgreSQL's bigint. The key keeps anybody from making two values collide on purpose.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from hashlib import blake2b

_CACHE_LIMIT = 200_000
_LONGEST_CACHED = 128


class Hasher:
    """Hashes text with the deployment's key; repeated values cost a dictionary look-up.

    ``key`` is 16 to 64 bytes. Instances are safe to share between threads.
    """

    __slots__ = ("_cache", "_key")

    def __init__(self, key: bytes) -> None:
        if not 16 <= len(key) <= 64:
            raise ValueError("the hash key must have 16 to 64 bytes")
        self._key = key
        self._cache: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        """The signed 64-bit hash of the text."""
        found = self._cache.get(text)
        if found is None:
            found = self.uncached(text)
            if len(text) > _LONGEST_CACHED:
                return found
            if len(self._cache) >= _CACHE_LIMIT:
                # Values seldom repeat for long: starting over is cheaper than keeping an order of use.
                self._cache = {}
            self._cache[text] = found
        return found

    def uncached(self, text: str) -> int:
        """The same hash, for values that do not repeat (identifiers, ids of new resources)."""
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "little", signed=True)


@lru_cache(maxsize=20_000)
def param_id(name: str) -> int:
    """The signed 32-bit number of a search parameter, from "Patient.name"; not secret, the same everywhere."""
    number = zlib.crc32(name.encode())
    return number - (1 << 32) if number >= 1 << 31 else number
