"""Write docs/hl7-mapping.md from the tables by which messages are converted. https://hl7.org/fhir/uv/v2mappings/

    python scripts/document_hl7.py [DIRECTORY]

DIRECTORY is the mappings folder of the v2-to-FHIR guide: where it is given, the page also tells which of its fields are
not read. Without it that part of the page stays as it is.
"""

from __future__ import annotations

import csv
import importlib
import pkgutil
import re
import sys
import textwrap
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hl7_gateway.conversion import maps  # noqa: E402
from hl7_gateway.conversion.convert import walked  # noqa: E402
from hl7_gateway.conversion.families.carried import CARRIED  # noqa: E402
from hl7_gateway.conversion.registry import FAMILIES  # noqa: E402
from hl7_gateway.conversion.table import SegmentMap  # noqa: E402
from hl7_gateway.feed_mapping import FeedMapping  # noqa: E402
from hl7_gateway.message import Message  # noqa: E402
from hl7_gateway.problems import Refused  # noqa: E402

PAGE = ROOT / "docs/hl7-mapping.md"
TABLES = ("<!-- tables: made by scripts/document_hl7.py -->", "<!-- end of tables -->")
GUIDE = ("<!-- guide: made by scripts/document_hl7.py DIRECTORY -->", "<!-- end of guide -->")


def segment_maps() -> list[SegmentMap]:
    """Every map, by segment and target."""
    found: dict[str, SegmentMap] = {}
    for module in pkgutil.iter_modules(maps.__path__):
        for value in vars(importlib.import_module(f"{maps.__name__}.{module.name}")).values():
            if isinstance(value, SegmentMap):
                found[value.name] = value
    return [found[name] for name in sorted(found)]


def tables() -> str:
    """The messages that are converted, and the rows by which they are."""
    lines = [
        "## Messages",
        "",
        "Any message may carry any of these segments, and they say something in each of them:",
        "",
    ]
    lines += [*textwrap.wrap(", ".join(sorted(CARRIED)) + ".", 120), ""]
    lines += ["| type | events | segments that it reads in its own way |", "|---|---|---|"]
    for kind, (family, events) in sorted(FAMILIES.items()):
        names = ", ".join(sorted(name for name, read in family.handlers.items() if read is not CARRIED.get(name)))
        lines.append(f"| {kind} | {' '.join(sorted(events))} | {names} |")
    lines += ["", "## Segments", ""]
    for one in segment_maps():
        lines += [f"### {one.name}", "", "| field | element |", "|---|---|"]
        for row in sorted(one.rows, key=lambda row: (row.field, row.path)):
            each = " (each repetition)" if row.many else ""
            lines.append(f"| {one.segment}-{row.field} | {one.target}.{row.path}{each} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def guide_fields(directory: Path) -> dict[str, set[int]]:
    """For each segment map of the guide, the fields that it maps to anything."""
    found: dict[str, set[int]] = {}
    for path in sorted((directory / "segments").glob("*.csv")):
        match = re.search(r"R4_ (.*?) - ", path.name)
        if match is None:
            raise SystemExit(f"{path.name} is not named like a segment map.")
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in list(csv.reader(file))[2:]:
                cells = [cell.strip() for cell in row] + [""] * 12
                field = re.fullmatch(r"([A-Z0-9]{3})-([0-9]+)", cells[1])
                if field and cells[9] and field[1] == match[1][:3]:
                    found.setdefault(match[1], set()).add(int(field[2]))
    return found


_BEFORE = ("PID|1||1^^^A", "PV1|1|I" + "|" * 17 + "2^^^A", "IN1|1|P|3|N", "SCH|1^A|2^A|||||||||^^^20240101", "RGS|1",
           "TXA|1||||||||||||4^A",
           "ORC|NW|5^A|6^A", "OBR|1|5^A|6^A|C", "RXA|0|1|20240101||V", "RXE|1|M", "PRB|AD|20240101|C|7^A", "PR1|1||C",
           "FT1|1|8||20240101||CG|C", "RF1|A|||||9^A")  # fmt: skip
"""Segments that others belong to."""


_ODD = {
    "OBX": {2: "NM", 3: "C", 5: "1"},
    "MRG": {1: "9^^^A", 3: "8^^^A", 5: "7^^^A"},
    "PID": {3: "1^^^A", 18: "2^^^A"},
}
"""Fields that must hold something of their kind for the others to be looked at."""


@cache
def read_fields(segment: str) -> frozenset[int]:
    """The fields of a segment that are read, in whichever message and behind whichever segment it stands."""
    found: set[int] = set()
    if segment == "MSH":
        # Provenance, MessageHeader, and the time of events.
        return frozenset({3, 4, 5, 6, 7, 9, 10, 15, 16, 18})
    fields = _ODD.get(segment, {})
    line = "|".join([segment, *(fields.get(number, "1^A^B") for number in range(1, 80))])
    starts = [("PID|1||1^^^A",)] if segment == "PID" else [(*_BEFORE[:2], one) for one in _BEFORE[1:]]
    ends = ["OBR|1|5^A|6^A|C", "RXA|0|1|20240101||V", "RXE|1|M"] if segment == "ORC" else [""]
    for kind, (_, events) in FAMILIES.items():
        for event in sorted(events):
            for start in starts:
                for end in ends:
                    header = f"MSH|^~\\&|A|B|C|D|20240101||{kind}^{event}|1|P|2.5.1"
                    lines = [header, *(one for one in dict.fromkeys(start) if segment != "PID"), line, end]
                    found |= _read(lines, segment)
    return frozenset(found)


def _read(lines: list[str], segment: str) -> set[int]:
    message = Message("\r".join(lines))
    try:
        walk = walked(message, FeedMapping("any"))
    except Refused:
        return set()
    return walk.was_read(message.all(segment)[-1])


def guide(directory: Path) -> str:
    """Which fields of the guide's maps no rule reads, map by map."""
    lines = ["| map of the guide | fields | read | not read |", "|---|---|---|---|"]
    total = taken = 0
    for name, fields in sorted(guide_fields(directory).items()):
        segment = name[:3]
        missing = sorted(fields - read_fields(segment))
        total, taken = total + len(fields), taken + len(fields) - len(missing)
        told = ", ".join(f"{segment}-{field}" for field in missing)
        lines.append(f"| {name} | {len(fields)} | {len(fields) - len(missing)} | {told} |")
    lines.append(f"| all | {total} | {taken} | |")
    return "\n".join(lines)


def page(text: str, directory: Path | None) -> str:
    """The page with the tables of today."""
    text = _between(text, TABLES, tables())
    return text if directory is None else _between(text, GUIDE, guide(directory))


def _between(text: str, marks: tuple[str, str], content: str) -> str:
    before, _, rest = text.partition(marks[0])
    _, _, after = rest.partition(marks[1])
    return f"{before}{marks[0]}\n{content}\n{marks[1]}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), Path(sys.argv[1]) if len(sys.argv) > 1 else None))
