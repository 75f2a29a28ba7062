"""What each sample message must come to, as its reader states it beforehand: `facts/*.txt`. docs/hl7.md

A line is a fact: a type with selectors, a path, and what is there.

    Observation[code.coding.code=718-7].valueQuantity.value = 13.5
    Patient.identifier = {"system": "urn:hl7:north:A", "value": "123"}
    Observation.subject -> Patient[identifier.value=123]
    Appointment.comment ~ "light meal"
    Patient.deceasedBoolean absent
    count(Observation) = 5

A step into a list means any of its entries, `name[0]` one of them, `name[use=official]` those that hold a value. An
object must be part of what is found, a text after ~ in some text of it, anything else equal to it. Of several selected
resources one must agree, but nothing must be in any of them where it is to be absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.registry import FAMILIES
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, applied

FACTS = sorted((Path(__file__).parent / "facts").glob("*.txt"))
SAMPLES = Path(__file__).parents[4].parent / "shared" / "data" / "hl7v2"

Resources = list[dict[str, Any]]

_COUNT = re.compile(r"count\((?P<what>.+)\) = (?P<number>[0-9]+)")
_LINE = re.compile(r"(?P<what>.+?) (?:= (?P<value>.+)|~ (?P<part>.+)|-> (?P<target>.+)|(?P<absent>absent))")
_STEP = re.compile(r"([A-Za-z_]\w*)((?:\[[^\]]+\])*)(?:\.|$)")


@dataclass(frozen=True)
class Step:
    """An element, and which of its values are meant."""

    name: str
    selectors: tuple[str, ...]


def steps(path: str) -> list[Step]:
    """The steps of a path, the first of which is the type of a resource. Raises ValueError for what is no path."""
    found = []
    place = 0
    while place < len(path):
        match = _STEP.match(path, place)
        if match is None:
            raise ValueError(f"{path!r} is no path")
        found.append(Step(match[1], tuple(re.findall(r"\[([^\]]+)\]", match[2]))))
        place = match.end()
    return found


def values(holders: list[Any], path: list[Step]) -> list[Any]:
    """All that stands at the end of a path."""
    for step in path:
        reached: list[Any] = []
        for holder in holders:
            found = holder.get(step.name) if isinstance(holder, dict) else None
            entries = found if isinstance(found, list) else [] if found is None else [found]
            reached.extend(chosen(entries, step.selectors))
        holders = reached
    return holders


def chosen(entries: list[Any], selectors: tuple[str, ...]) -> list[Any]:
    """Those entries that all selectors are true of."""
    for selector in selectors:
        if selector.isdecimal():
            entries = entries[int(selector) : int(selector) + 1]
        else:
            path, _, wanted = selector.partition("=")
            entries = [one for one in entries if wanted in [str(value) for value in values([one], steps(path))]]
    return entries


def selected(resources: Resources, path: list[Step]) -> Resources:
    """The resources that the first step of a path means."""
    return chosen([one for one in resources if one["resourceType"] == path[0].name], path[0].selectors)


def texts(value: Any) -> Iterator[str]:
    """All that is written in a value, whatever the elements are called."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)
    else:
        yield str(value)


def agrees(wanted: Any, found: Any) -> bool:
    """Whether a value is what is wanted, or holds it."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(name in found and agrees(wanted[name], found[name]) for name in wanted)
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(agrees(one, other) for one, other in zip(wanted, found, strict=True))
        )
    if isinstance(wanted, bool) or isinstance(found, bool) or isinstance(wanted, str) or isinstance(found, str):
        return type(wanted) is type(found) and wanted == found
    return str(wanted) == str(found)


def objection(fact: str, resources: Resources) -> str | None:
    """Why a fact does not hold, None where it does. Raises ValueError for a line that is no fact."""
    counted = _COUNT.fullmatch(fact)
    if counted:
        number = len(selected(resources, steps(counted["what"])))
        return None if number == int(counted["number"]) else f"there are {number}"
    match = _LINE.fullmatch(fact)
    if match is None:
        raise ValueError(f"{fact!r} is no fact")
    path = steps(match["what"])
    among = selected(resources, path)
    if not among:
        return f"there is no such {path[0].name} among {sorted(one['resourceType'] for one in resources)}"
    found = values(among, path[1:])
    if match["absent"]:
        return f"found {found}" if found else None
    if match["target"]:
        named = {f"{one['resourceType']}/{one['id']}" for one in selected(resources, steps(match["target"]))}
        held = any(isinstance(one, dict) and one.get("reference") in named for one in found)
    elif match["part"]:
        part = json.loads(match["part"])
        held = any(part in text for one in found for text in texts(one))
    else:
        wanted = json.loads(match["value"], parse_float=Decimal)
        held = any(agrees(wanted, one) for one in found)
    return None if held else f"found {found or 'nothing'}"


def facts(path: Path) -> Iterator[tuple[int, str]]:
    """The facts of a file with the numbers of their lines; an empty line and a remark (#) are none."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


@pytest.mark.parametrize("path", FACTS, ids=[path.stem for path in FACTS])
def test_a_message_comes_to_what_its_reader_expects(path: Path) -> None:
    sample = SAMPLES / f"{path.stem}.hl7"
    if not sample.exists():
        pytest.skip("the sample messages are not on this machine")
    message = Message(sample.read_bytes().decode("utf-8-sig"))
    if message.header.text(9, 1) not in FAMILIES:
        pytest.skip("messages of this type are not converted")
    resources = list(applied(convert(message, FEED)).values())
    objections = [
        f"{path.name}:{number}: {fact}\n    {said}"
        for number, fact in facts(path)
        if (said := objection(fact, resources)) is not None
    ]
    assert not objections, "\n" + "\n".join(objections)


def test_every_sample_has_facts() -> None:
    samples = {path.stem for path in SAMPLES.glob("*.hl7")}
    if not samples:
        pytest.skip("the sample messages are not on this machine")
    assert samples == {path.stem for path in FACTS}


_PATIENT = {
    "resourceType": "Patient",
    "id": "1",
    "name": [{"use": "official", "family": "DOE", "given": ["JANE", "Q"]}, {"use": "maiden", "family": "ROE"}],
    "active": True,
}
_WEIGHT = {
    "resourceType": "Observation",
    "id": "2",
    "subject": {"reference": "Patient/1"},
    "valueQuantity": {"value": Decimal("13.50"), "unit": "kg"},
}


@pytest.mark.parametrize(
    ("fact", "holds"),
    [
        ('Patient.name[0].family = "DOE"', True),
        ('Patient.name[1].family = "DOE"', False),
        ('Patient.name[use=maiden].family = "ROE"', True),
        ('Patient.name.family = "ROE"', True),
        ('Patient.name = {"family": "DOE", "given": ["JANE", "Q"]}', True),
        ('Patient.name = {"family": "ROE", "given": ["JANE", "Q"]}', False),
        ('Patient.name = {"family": "DOE", "given": ["JANE"]}', False),
        ("Patient.active = true", True),
        ("Patient.active = 1", False),
        ("Patient.birthDate absent", True),
        ("Patient.name absent", False),
        ("Patient[active=False].birthDate absent", False),
        ("Observation.valueQuantity.value = 13.50", True),
        ("Observation.valueQuantity.value = 13.5", False),
        ("Observation.subject -> Patient[name.family=ROE]", True),
        ("Observation.subject -> Patient[name.family=LOW]", False),
        ('Patient.name ~ "JAN"', True),
        ('Patient.name ~ "JIM"', False),
        ('Patient ~ "ROE"', True),
        ("count(Observation) = 1", True),
        ("count(Encounter) = 1", False),
    ],
)
def test_a_fact_is_found_to_hold_or_not(fact: str, holds: bool) -> None:
    assert (objection(fact, [_PATIENT, _WEIGHT]) is None) is holds


@pytest.mark.parametrize("line", ["Patient.name", "Patient..name = 1", "Patient.name == 1"])
def test_what_is_no_fact_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        objection(line, [_PATIENT])
