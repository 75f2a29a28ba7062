"""The code systems and value sets that FHIR R4 itself defines. https://hl7.org/fhir/R4/terminologies-systems.html

The pack ``standard.json.gz`` is compiled from the official definitions by ``scripts/build_terminology.py``: URLs,
codes, their hierarchy and properties, and what value sets are composed of. The same content is in every tenant.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

import msgspec

from fhir_server.r4 import definitions
from fhir_server.terminology.code_system import CodeSystem
from fhir_server.terminology.value_set import Compose, ConceptReference, ConceptSet, ValueSet

PACK = Path(__file__).with_name("standard.json.gz")


class Standard(msgspec.Struct, frozen=True):
    """Everything in the pack, sorted by URL."""

    code_systems: tuple[CodeSystem, ...]
    value_sets: tuple[ValueSet, ...]


@lru_cache(maxsize=1)
def _load() -> tuple[dict[str, CodeSystem], dict[str, ValueSet]]:
    pack = msgspec.json.decode(gzip.decompress(PACK.read_bytes()), type=Standard)
    return {one.url: one for one in pack.code_systems}, {one.url: one for one in pack.value_sets}


def code_system(url: str, version: str) -> CodeSystem | None:
    """A CodeSystem of the specification, or None; ``version`` is "" for any."""
    found = _load()[0].get(url)
    return found if found is not None and version in ("", found.version) else None


def value_set(url: str, version: str) -> ValueSet | None:
    """A ValueSet of the specification, or None; ``version`` is "" for any.

    Those that elements are bound to with strength required are enumerated in the definitions pack, as validation has
    them. https://hl7.org/fhir/R4/terminologies.html#required
    """
    required = definitions.load().value_sets.get(url)
    if required and version in ("", definitions.load().version):
        include = tuple(
            ConceptSet(system=system, concept=tuple(ConceptReference(code) for code in codes))
            for system, codes in required.items()
        )
        return ValueSet(url, definitions.load().version, compose=Compose(include=include))
    found = _load()[1].get(url)
    return found if found is not None and version in ("", found.version) else None
