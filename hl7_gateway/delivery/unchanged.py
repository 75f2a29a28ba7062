"""What is known to change nothing: most messages say once more what is stored of a patient already. docs/hl7.md"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Final

from fhir_server.r4 import json
from hl7_gateway.conversion.draft import DRAFT, Said, Stated
from hl7_gateway.delivery.shelf import Known

_MOST: Final = 100_000
"""How many are remembered in a process, of some hundred bytes each."""

_NAME: Final = re.compile(DRAFT.encode() + rb'([^"\\]+)')

_known: set[bytes] = set()


def key(known: Known, statements: Iterable[tuple[Stated, list[Said]]], path_of: Callable[[str], str]) -> bytes:
    """What statements about a resource come to is told by this, with what is stored of it and of its lineage.

    ``path_of`` tells the names of the drafts that they refer to.
    """
    said = json.dumps(
        [(one.path, one.slot, one.initial, [value.value for value in values]) for one, values in statements]
    )
    names = sorted(set(_NAME.findall(said))) if b'"' + DRAFT.encode() in said else ()
    digest = blake2b(digest_size=16)
    for part in (
        known.path.encode(),
        known.meta or b"",
        known.body or b"",
        known.lineage or b"",
        said,
        *(b"%s %s" % (name, path_of(name.decode()).encode()) for name in names),
    ):
        digest.update(b"%d " % len(part))
        digest.update(part)
    return digest.digest()


def is_known(one: bytes) -> bool:
    """Whether the statements of a key are known to leave their resource and its lineage as they are."""
    return one in _known


def note(one: bytes) -> None:
    """Remember that they do."""
    if len(_known) >= _MOST:
        # As good as keeping an order of use, for what is said again is soon here again.
        _known.clear()
    _known.add(one)
