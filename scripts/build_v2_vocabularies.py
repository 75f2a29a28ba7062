"""Compiles the vocabulary maps of the v2-to-FHIR guide into hl7_gateway/conversion/vocabularies.json.gz.

    python scripts/build_v2_vocabularies.py DIRECTORY

DIRECTORY is the guide's mappings folder. https://hl7.org/fhir/uv/v2mappings/coding_system_maps.html
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
from pathlib import Path

OUTPUT = Path(__file__).parents[1] / "hl7_gateway" / "conversion" / "vocabularies.json.gz"

Target = list[str]


def compiled(directory: Path) -> dict[str, dict[str, Target]]:
    """Name of a map -> code of HL7 v2 -> code, system and display of FHIR, where the guide maps it to anything."""
    maps: dict[str, dict[str, Target]] = {}
    for path in sorted((directory / "codesystems").glob("*.csv")):
        match = re.search(r"Concept Map_ (.*?) - ", path.name)
        if match is None:
            raise SystemExit(f"{path.name} is not named like a vocabulary map.")
        maps[match[1].strip()] = _targets(path)
    return maps


def _targets(path: Path) -> dict[str, Target]:
    targets: dict[str, Target] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in list(csv.reader(file))[2:]:
            cells = [cell.strip() for cell in row] + [""] * 12
            code, target = cells[0], cells[6]
            if code and target:
                system = next((cell for cell in cells[7:11] if cell.startswith(("http", "urn:"))), "")
                display = next((cell for cell in cells[7:9] if cell and cell != system), "")
                targets.setdefault(code, [target, system, display])
    return targets


def pack(maps: dict[str, dict[str, Target]]) -> bytes:
    """The same bytes for the same maps."""
    text = json.dumps(maps, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


if __name__ == "__main__":
    OUTPUT.write_bytes(pack(compiled(Path(sys.argv[1]))))
