"""A small world of resources to search, and what a search should find in it, by plain Python over all of them.

The evaluation shares no code with the server: dates are compared as datetimes, texts by their own folding, references
and tokens by their parts. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

Resource = dict[str, Any]
Interval = tuple[datetime, datetime]

LOINC = "http://loinc.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
MRN = "http://example.org/mrn"
TAG = "http://example.org/tags"
PROFILE = "http://example.org/StructureDefinition/p"

FAMILIES = [
    "Müller",
    "Muller",
    "MULLER-Lüdenscheidt",
    "O'Brien",
    "Smith",
    "Smithson",
    "de la Cruz",
    "李",
    "Ångström",
    "Sm_th",
]
GIVENS = ["Anna", "ANNA", "José", "Jose", "Peter", "Zoë", "Li", "50%"]
CODES = ["8480-6", "8462-4", "2339-0", "a,b", "c|d", "e\\f"]
CATEGORIES = ["vital-signs", "laboratory", "survey"]
MOMENTS = [
    "2019", "2020", "2020-02", "2020-02-29", "2020-02-29T10:00:00Z", "2020-02-29T23:30:00-05:00",
    "2020-03-01T00:00:00.250Z", "2021-12-31T23:59:59+14:00", "2022-01-01",
]  # fmt: skip


def resources(seed: int) -> list[Resource]:
    """Patients, observations and encounters, in an order in which they may be created."""
    chance = random.Random(seed)
    patients = [_patient(chance, f"p{n}") for n in range(40)]
    observations = [_observation(chance, f"o{n}", patients) for n in range(90)]
    encounters = [_encounter(chance, f"e{n}", patients) for n in range(40)]
    return patients + observations + encounters


def _maybe(chance: random.Random, value: Any, share: float = 0.7) -> Any:
    return value if chance.random() < share else None


def _made(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if value not in (None, [])}


def _meta(chance: random.Random) -> Resource | None:
    meta = _made(
        {
            "tag": [{"system": TAG, "code": code} for code in ("red", "blue") if chance.random() < 0.3],
            "security": [{"code": "R"}] if chance.random() < 0.3 else None,
            "profile": [PROFILE + str(n) for n in (1, 2) if chance.random() < 0.3],
        }
    )
    return meta or None


def _patient(chance: random.Random, name: str) -> Resource:
    return _made(
        {
            "resourceType": "Patient",
            "id": name,
            "meta": _meta(chance),
            "active": _maybe(chance, chance.random() < 0.5),
            "identifier": [
                _made({"system": _maybe(chance, MRN), "value": f"{chance.randrange(20)}"})
                for _ in range(chance.randrange(3))
            ],
            "name": [
                _made(
                    {
                        "family": _maybe(chance, chance.choice(FAMILIES), 0.9),
                        "given": chance.sample(GIVENS, chance.randrange(3)),
                    }
                )
                for _ in range(chance.randrange(1, 3))
            ],
            "gender": _maybe(chance, chance.choice(["male", "female", "other"])),
            "birthDate": _maybe(chance, chance.choice(["1970", "1970-05", "1970-05-20", "2020-02-29", "2020"])),
            "generalPractitioner": _maybe(chance, [{"reference": f"Practitioner/d{chance.randrange(4)}"}]),
        }
    )


def _observation(chance: random.Random, name: str, patients: list[Resource]) -> Resource:
    effective: Resource = {}
    kind = chance.randrange(4)
    if kind in (0, 1):
        effective = {"effectiveDateTime": chance.choice(MOMENTS)}
    elif kind == 2:
        start, end = sorted(chance.sample(["2019-06-01", "2020-02-29", "2020-06-01", "2022-01-01"], 2))
        effective = {"effectivePeriod": _made({"start": _maybe(chance, start, 0.8), "end": _maybe(chance, end, 0.8)})}
    return _made(
        {
            "resourceType": "Observation",
            "id": name,
            "meta": _meta(chance),
            "status": chance.choice(["final", "amended"]),
            "category": [
                {"coding": [{"system": CATEGORY, "code": code}]}
                for code in chance.sample(CATEGORIES, chance.randrange(3))
            ],
            "code": {"coding": [_made({"system": _maybe(chance, LOINC), "code": chance.choice(CODES)})]},
            "subject": _maybe(chance, {"reference": f"Patient/{chance.choice(patients[:8])['id']}"}, 0.9)
            or {"reference": f"Group/{chance.choice(patients[:8])['id']}"},
            "performer": [{"reference": f"Practitioner/d{chance.randrange(4)}"} for _ in range(chance.randrange(3))],
            **effective,
        }
    )


def _encounter(chance: random.Random, name: str, patients: list[Resource]) -> Resource:
    start, end = sorted(
        chance.sample(["2019-06-01T08:00:00Z", "2020-02-29", "2020-06", "2022-01-01T00:00:00+02:00"], 2)
    )
    return _made(
        {
            "resourceType": "Encounter",
            "id": name,
            "meta": _meta(chance),
            "status": chance.choice(["finished", "planned"]),
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": chance.choice(["AMB", "IMP"]),
            },
            "subject": _maybe(chance, {"reference": f"Patient/{chance.choice(patients[:8])['id']}"}),
            "period": _maybe(chance, _made({"start": start, "end": _maybe(chance, end)})),
        }
    )


# What a value means.


def interval(text: str) -> Interval:
    """A date of any precision as [start, end)."""
    if "T" in text:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return moment, moment + (timedelta(milliseconds=1) if "." in text else timedelta(seconds=1))
    parts = [int(part) for part in text.split("-")]
    start = datetime(parts[0], parts[1] if len(parts) > 1 else 1, parts[2] if len(parts) > 2 else 1, tzinfo=UTC)
    if len(parts) == 1:
        return start, start.replace(year=start.year + 1)
    if len(parts) == 2:
        return start, start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start, start + timedelta(days=1)


_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def period(value: Resource) -> Interval:
    """A Period as [start, end), open where an end is missing."""
    return (
        interval(value["start"])[0] if "start" in value else _FIRST,
        interval(value["end"])[1] if "end" in value else _LAST,
    )


def date_matches(found: Interval, written: str) -> bool:
    """The prefixes' meaning in the words of the specification's table. https://hl7.org/fhir/R4/search.html#prefix"""
    prefix, text = (written[:2], written[2:]) if written[:2].isalpha() else ("eq", written)
    (low, high), (start, end) = found, interval(text)
    contained = start <= low and high <= end
    above, below = high > end, low < start
    return {
        "eq": contained,
        "ne": not contained,
        "gt": above,
        "lt": below,
        "ge": above or contained,
        "le": below or contained,
        "sa": low >= end,
        "eb": high <= start,
    }[prefix]


def folded(text: str) -> str:
    """Text without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def token_matches(system: str | None, code: str | None, written: str) -> bool:
    """One coding against code, system|code, |code or system|."""
    parts = _split(written, "|")
    if len(parts) == 1:
        return code == parts[0]
    wanted_system, wanted_code = parts
    if wanted_code == "":
        return system == wanted_system
    return code == wanted_code and (system or "") == wanted_system


def _split(text: str, separator: str) -> list[str]:
    parts, escaped = [""], False
    for char in text:
        if escaped:
            parts[-1] += char
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == separator:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _codings(concepts: list[Resource]) -> Iterator[tuple[str | None, str | None]]:
    for concept in concepts:
        for coding in concept.get("coding", []):
            yield coding.get("system"), coding.get("code")


def _references(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value] if value else []
    return [item["reference"] for item in items]


Token = tuple[str | None, str | None]

TOKENS: dict[tuple[str, str], Callable[[Resource], list[Token]]] = {
    ("Patient", "gender"): lambda r: (
        [("http://hl7.org/fhir/administrative-gender", r["gender"])] if "gender" in r else []
    ),
    ("Patient", "identifier"): lambda r: [(i.get("system"), i.get("value")) for i in r.get("identifier", [])],
    ("Observation", "code"): lambda r: list(_codings([r["code"]])),
    ("Observation", "category"): lambda r: list(_codings(r.get("category", []))),
    ("Observation", "status"): lambda r: [("http://hl7.org/fhir/observation-status", r["status"])],
    ("Encounter", "status"): lambda r: [("http://hl7.org/fhir/encounter-status", r["status"])],
    ("Encounter", "class"): lambda r: [(r["class"]["system"], r["class"]["code"])],
    **{
        (t, "_tag"): lambda r: [(c.get("system"), c.get("code")) for c in r.get("meta", {}).get("tag", [])]
        for t in ("Patient", "Observation", "Encounter")
    },
    **{
        (t, "_security"): lambda r: [(c.get("system"), c.get("code")) for c in r.get("meta", {}).get("security", [])]
        for t in ("Patient", "Observation", "Encounter")
    },
}
STRINGS: dict[tuple[str, str], Callable[[Resource], list[str]]] = {
    ("Patient", "family"): lambda r: [n["family"] for n in r["name"] if "family" in n],
    ("Patient", "given"): lambda r: [g for n in r["name"] for g in n.get("given", [])],
    ("Patient", "name"): lambda r: [
        part for n in r["name"] for part in [*([n["family"]] if "family" in n else []), *n.get("given", [])]
    ],
}
DATES: dict[tuple[str, str], Callable[[Resource], list[Interval]]] = {
    ("Patient", "birthdate"): lambda r: [interval(r["birthDate"])] if "birthDate" in r else [],
    ("Observation", "date"): lambda r: (
        [interval(r["effectiveDateTime"])]
        if "effectiveDateTime" in r
        else [period(r["effectivePeriod"])]
        if "effectivePeriod" in r
        else []
    ),
    ("Encounter", "date"): lambda r: [period(r["period"])] if "period" in r else [],
}
REFERENCES: dict[tuple[str, str], Callable[[Resource], list[str]]] = {
    ("Patient", "general-practitioner"): lambda r: _references(r.get("generalPractitioner")),
    ("Observation", "subject"): lambda r: _references(r.get("subject")),
    ("Observation", "patient"): lambda r: [x for x in _references(r.get("subject")) if x.startswith("Patient/")],
    ("Observation", "performer"): lambda r: _references(r.get("performer")),
    ("Encounter", "patient"): lambda r: _references(r.get("subject")),
    ("Encounter", "subject"): lambda r: _references(r.get("subject")),
}
URIS: dict[tuple[str, str], Callable[[Resource], list[str]]] = {
    (t, "_profile"): lambda r: r.get("meta", {}).get("profile", []) for t in ("Patient", "Observation")
}


def matches(resource: Resource, name: str, values: list[str]) -> bool:
    """Whether a resource meets one parameter; ``values`` are its alternatives, with their escapes."""
    code, _, modifier = name.partition(":")
    found = _values(resource, code)
    if modifier == "missing":
        return any((not found) == (value == "true") for value in values)
    hit = any(_one(resource["resourceType"], code, modifier, found, value) for value in values)
    return not hit if modifier == "not" else hit


def _values(resource: Resource, code: str) -> list[Any]:
    key = (resource["resourceType"], code)
    if code == "_id":
        return [resource["id"]]
    for table in (TOKENS, STRINGS, DATES, REFERENCES, URIS):
        if key in table:
            return table[key](resource)
    raise KeyError(key)


def _one(resource_type: str, code: str, modifier: str, found: list[Any], value: str) -> bool:
    key = (resource_type, code)
    if key in TOKENS:
        return any(token_matches(system, one, value) for system, one in found)
    if key in DATES:
        return any(date_matches(one, value) for one in found)
    text = "".join(_split(value, "\0"))
    if key in REFERENCES:
        wanted = {text} if "/" in text else {text, f"{modifier}/{text}"}
        return any(one in wanted or ("/" not in text and not modifier and one.endswith("/" + text)) for one in found)
    if key in STRINGS and modifier == "":
        return any(folded(one).startswith(folded(text)) for one in found)
    if key in STRINGS and modifier == "contains":
        return any(folded(text) in folded(one) for one in found)
    return text in found
