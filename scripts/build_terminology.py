"""Compile the official FHIR 4.0.1 code systems and value sets into the pack that searching by them uses.

    python scripts/build_terminology.py PATH/definitions.zip

The zip holds the definitions as single JSON files (https://hl7.org/fhir/R4/downloads.html, CC0). Only facts are kept:
URLs, versions, codes, hierarchy, properties and filters; no text. The output is the same byte for byte on every run.
"""

from __future__ import annotations

import gzip
import sys
import zipfile
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fhir_server.r4 import json
from fhir_server.terminology.code_system import CodeSystem, Concept
from fhir_server.terminology.standard import PACK, Standard
from fhir_server.terminology.value_set import ValueSet

Kind = TypeVar("Kind", CodeSystem, ValueSet)


def read(zip_path: Path) -> list[dict[str, Any]]:
    """Every CodeSystem and ValueSet in the zip, those inside of bundles included."""
    found: list[dict[str, Any]] = []

    def add(resource: dict[str, Any]) -> None:
        if resource.get("resourceType") == "Bundle":
            for entry in resource.get("entry", []):
                add(entry["resource"])
        elif resource.get("resourceType") in ("CodeSystem", "ValueSet"):
            found.append(resource)

    with zipfile.ZipFile(zip_path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                add(json.parse(archive.read(name)))
    return found


def typed(resources: list[dict[str, Any]], name: str, kind: type[Kind]) -> tuple[Kind, ...]:
    """The resources of one type, one for each URL, sorted by it."""
    found = {r["url"]: r for r in sorted(resources, key=lambda r: len(json.dumps(r))) if r["resourceType"] == name}
    return tuple(msgspec.json.decode(json.dumps(found[url]), type=kind) for url in sorted(found))


def without_text(concept: Concept) -> Concept:
    """The concept without what is meant for people."""
    kept = tuple(one for one in concept.property if one.value_string is None)
    return Concept(concept.code, "", kept, tuple(map(without_text, concept.concept)))


def main(zip_path: Path) -> None:
    """Write the pack."""
    resources = read(zip_path)
    systems = tuple(
        msgspec.structs.replace(system, date="", concept=tuple(map(without_text, system.concept)))
        for system in typed(resources, "CodeSystem", CodeSystem)
    )
    value_sets = tuple(
        msgspec.structs.replace(value_set, date="", expansion=None)
        for value_set in typed(resources, "ValueSet", ValueSet)
    )
    PACK.write_bytes(gzip.compress(msgspec.json.encode(Standard(systems, value_sets)), compresslevel=9, mtime=0))
    size = PACK.stat().st_size
    print(f"{PACK}: {len(systems)} code systems, {len(value_sets)} value sets, {size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
