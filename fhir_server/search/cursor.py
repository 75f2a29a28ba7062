"""The sealed continuation of a search, as it stands in a ``next`` link. https://hl7.org/fhir/R4/http.html#paging

A cursor holds everything that the next page needs, so that any web process can answer it without remembering anything:
the search parameters, the place where the page before ended, and the total. It is compressed and encrypted with AES-GCM
(https://nvlpubs.nist.gov/nistpubs/Legacy/SP/nistspecialpublication800-38d.pdf), because the search may have been POSTed
to keep names and numbers out of URLs. Tenant, resource type and caller are authenticated with it: a cursor opens for
nobody else, and access is decided anew on every page.
"""

from __future__ import annotations

import os
import time
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest

LIFETIME_SECONDS = 24 * 3600
LONGEST = 6_000
"""Characters of the longest cursor that is given out: the URL stays below the 8 KiB that proxies commonly take."""

_VERSION = 1
_NONCE = 12
_MOST_UNPACKED = 64_000

# What search parameters are mostly made of, so that short searches compress as well. The likeliest stands last
# (https://www.rfc-editor.org/rfc/rfc1950#section-2.2). Another dictionary is another version.
_DICTIONARY = (
    b"Location/Organization/Practitioner/Encounter/_security_profile_source_elements_summary_totalaccurateestimate"
    b"birthdateaddress-city=family:exact:contains:missing=truefalsegendername=performerencounterauthored"
    b"finalactivecompletedin-progressvital-signslaboratoryclinical-statusverification-statuscategoryonset-date"
    b"https://urn:oid:http://terminology.hl7.org/CodeSystem/http://hl7.org/fhir/sid/us-ssnhttp://snomed.info/sct|"
    b"http://hl7.org/fhir/http://www.nlm.nih.gov/research/umls/rxnorm|http://unitsofmeasure.org|http://loinc.org|"
    b"identifier_id_tag_lastUpdatedsubjectstatusdategelele20202021202220232024202520262027-01-01code_sort_countpatientPatient/"
)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the sort values of its last row (None for a missing one), then its ``rid``.

    ``backward`` says that the page before this place is meant, whose order is the same.
    """

    values: tuple[int | float | str | None, ...]
    rid: int
    backward: bool = False


BEGINNING = Position((), 0)
"""Before the first row: the place of the ``first`` link. No row has this ``rid``."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """What a cursor holds: the search's parameters as applied, and the total or None where none was counted."""

    pairs: tuple[tuple[str, str], ...]
    position: Position
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """Whom a cursor is for: ``caller`` is the subject of the access_token."""

    tenant_id: int
    resource_type: str
    caller: str

    def to_bytes(self) -> bytes:
        """The associated data of the encryption; the caller stands last, so no two bindings read the same."""
        return f"{_VERSION}|{self.tenant_id}|{self.resource_type}|{self.caller}".encode()


class CursorSealer:
    """Seals and opens cursors with a key derived from the deployment's by HKDF. https://www.rfc-editor.org/rfc/rfc5869

    ``clock`` gives seconds since 1970. Instances are safe to share between threads.
    """

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"fhir-server search cursor 1").derive(key)
        self._cipher = AESGCM(derived)
        self._clock = clock

    @classmethod
    def from_hasher(cls, hasher: Hasher, clock: Callable[[], float] = time.time) -> CursorSealer:
        """A sealer whose key is drawn from the deployment's keyed hash, which every web process shares.

        The hash is a pseudo-random function, so 512 bits of it are as secret as its key; the names that are hashed
        start with a character that no hash of the index does.
        """
        drawn = b"".join(hasher.uncached(f"\0search cursor {n}").to_bytes(8, "little", signed=True) for n in range(8))
        return cls(drawn, clock)

    def seal(self, continuation: Continuation, binding: Binding) -> str:
        """The cursor as text for a URL, a fresh one each time.

        Raises BadRequest where the search is too long for a link.
        """
        flat = [text for pair in continuation.pairs for text in pair]
        position = continuation.position
        content = msgspec.msgpack.encode(
            [int(self._clock()), position.rid, list(position.values), continuation.total, flat, position.backward]
        )
        packer = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=_DICTIONARY)
        packed = packer.compress(content) + packer.flush()
        nonce = os.urandom(_NONCE)
        sealed = _encoded(nonce + self._cipher.encrypt(nonce, packed, binding.to_bytes()))
        if len(sealed) > LONGEST:
            raise BadRequest(
                "The search has more than one page, and its parameters are too long for the link to the next one: "
                "use fewer values, or a larger _count.",
                code="too-costly",
            )
        return sealed

    def open(self, text: str, binding: Binding) -> Continuation:
        """What the cursor holds.

        Raises BadRequest for one that was altered, is somebody else's, or is older than LIFETIME_SECONDS.
        """
        try:
            raw = _decoded(text)
            packed = self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], binding.to_bytes())
        except (ValueError, InvalidTag):
            raise BadRequest(
                "This _cursor is not valid here: it was altered, or belongs to another clinic, resource type or user. "
                "Run the search again from its first page."
            ) from None
        unpacker = zlib.decompressobj(-15, zdict=_DICTIONARY)
        content = msgspec.msgpack.decode(unpacker.decompress(packed, _MOST_UNPACKED), type=_Content)
        if self._clock() - content.sealed_at > LIFETIME_SECONDS:
            raise BadRequest(
                f"This _cursor has expired: it was given out more than {LIFETIME_SECONDS // 3600} hours ago. "
                "Run the search again from its first page.",
                code="processing",
            )
        pairs = tuple(zip(content.flat[::2], content.flat[1::2], strict=True))
        return Continuation(pairs, Position(content.values, content.rid, content.backward), content.total)


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """The bytes of a cursor; ValueError for any text that `_encoded` does not write, be it by a stray character."""
    raw = urlsafe_b64decode(text[:LONGEST].encode("ascii") + b"=" * (-len(text) % 4))
    if _encoded(raw) != text:
        raise ValueError("not canonical")
    return raw


class _Content(msgspec.Struct, array_like=True):
    sealed_at: int
    rid: int
    values: tuple[int | float | str | None, ...]
    total: int | None
    flat: tuple[str, ...]
    backward: bool = False
