"""Whether a value of a resource meets a value of a search, for each type of parameter. https://hl7.org/fhir/R4/search.html#ptypes"""

from __future__ import annotations

import math
import operator
import re
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from tests.oracle import spans
from tests.oracle.drawing import UCUM, Resource
from tests.oracle.parameters import Parameter
from tests.oracle.values import Value, values, without_tags

CURRENCIES = "urn:iso:std:iso:4217"
UNITS: dict[str, tuple[str, str]] = {
    "g": ("mass", "1"), "mg": ("mass", "0.001"), "kg": ("mass", "1000"),
    "m": ("length", "1"), "cm": ("length", "0.01"), "mm": ("length", "0.001"),
    "s": ("time", "1"), "min": ("time", "60"), "h": ("time", "3600"), "d": ("time", "86400"),
    "a": ("time", "31557600"), "mo": ("time", "2629800"),
    "mol/L": ("concentration", "1000"), "mmol/L": ("concentration", "1"), "umol/L": ("concentration", "0.001"),
    "mm[Hg]": ("pressure", "133322"), "%": ("share", "0.01"),
}  # fmt: skip
"""The units that can be converted: what they measure, and how many of UCUM's base units they are. https://ucum.org/ucum"""


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that no backslash escapes; they keep their escapes."""
    parts, escaped = [""], False
    for char in text:
        if char == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += char
        escaped = char == "\\" and not escaped
    return parts


def plain(text: str) -> str:
    """A text without its escapes."""
    found, escaped = "", False
    for char in text:
        if char == "\\" and not escaped:
            escaped = True
            continue
        found += char
        escaped = False
    return found


def escape(text: str) -> str:
    """A text with what separates values escaped. https://hl7.org/fhir/R4/search.html#escaping"""
    return "".join("\\" + char if char in "\\,|$" else char for char in text)


# Strings.


def folded(text: str) -> str:
    """Text without case, accents and runs of white space."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(kept.split())


def texts(found: Value) -> list[str]:
    """The texts of a string, a HumanName or an Address."""
    if isinstance(found.value, str):
        return [found.value]
    names = ("text", "family", "given", "prefix", "suffix")
    if found.type == "Address":
        names = ("text", "line", "city", "district", "state", "postalCode", "country")
    parts = [found.value.get(name, []) for name in names]
    return [text for part in parts for text in (part if isinstance(part, list) else [part])]


def _string(found: Value, text: str, modifier: str) -> bool:
    wanted = plain(text)
    if modifier == "exact":
        return wanted in texts(found)
    if modifier == "contains":
        return any(folded(wanted) in folded(one) for one in texts(found))
    compare = _COMPARISONS.get(modifier, str.startswith)
    return any(compare(folded(one), folded(wanted)) for one in texts(found))


_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "=eq": operator.eq,
    "=ew": str.endswith,
    "=gt": operator.gt,
    "=ge": operator.ge,
    "=lt": operator.lt,
    "=le": operator.le,
}
"""The operators that strings have within a _filter alone. https://hl7.org/fhir/R4/search_filter.html#ops"""


# Words.


def words(text: str) -> set[str]:
    """The words of a text: runs of letters and digits, folded; an apostrophe does not part one."""
    return set(re.findall(r"[^\W_]+", folded(text.replace("'", ""))))


def worded(parameter: Parameter, found: list[Value]) -> list[str]:
    """The texts of which one must have all words of a search: of each code by itself, of all else together."""
    if parameter.kind == "words":
        return [one.value if one.type == "content" else without_tags(one.value) for one in found]
    if parameter.kind == "string":
        return ["\n".join(text for one in found for text in texts(one))]
    return [text for one in found for text in _displayed(one)]


def _displayed(found: Value) -> list[str]:
    if found.type == "Identifier":
        return _displayed(Value("CodeableConcept", found.value.get("type", {})))
    own = [found.value] if found.type == "Coding" else found.value.get("coding", [])
    shown = [coding["display"] for coding in own if "display" in coding]
    return [*shown, *([found.value["text"]] if "text" in found.value else [])]


# Tokens.


def codings(found: Value) -> Iterator[tuple[str | None, str | None]]:
    """The systems and codes of a value; None where there is none."""
    value = found.value
    if found.type == "CodeableConcept":
        for coding in value.get("coding", []):
            yield coding.get("system"), coding.get("code")
    elif found.type == "Coding":
        yield value.get("system"), value.get("code")
    elif found.type == "Identifier":
        yield value.get("system"), value.get("value")
    elif found.type == "ContactPoint":
        yield None, value.get("value")
    elif found.type == "boolean":
        yield None, "true" if value else "false"
    else:
        yield found.system or None, value


def token_pair(system: str | None, code: str | None, text: str, *, implied: bool = False) -> bool:
    """One coding against code, system|code, |code or system|.

    A system that the binding ``implied`` is there for system|code, and not for |code, as no coding states it.
    """
    parts = split(text, "|")
    if len(parts) == 1:
        return code == plain(parts[0])
    wanted_system, wanted_code = map(plain, parts)
    if not wanted_code:
        return system == wanted_system
    if not wanted_system and implied:
        return code == wanted_code
    return code == wanted_code and (system or "") == wanted_system


def _token(found: Value, text: str, modifier: str) -> bool:
    if modifier == "of-type":
        kinds, (system, code, wanted) = found.value.get("type", {}).get("coding", []), map(plain, split(text, "|"))
        typed = any(kind.get("system") == system and kind.get("code") == code for kind in kinds)
        return typed and found.value.get("value") == wanted
    return any(token_pair(system, code, text, implied=bool(found.system)) for system, code in codings(found))


# Quantities.


def units(found: Value) -> tuple[spans.Range, list[tuple[str | None, str]]] | None:
    """The range of a Quantity, Money, Range or SampledData and the (system, code) pairs of its unit."""
    value = found.value
    if found.type == "Money":
        return spans.compared(value["value"], None), [(CURRENCIES, value["currency"]), (None, value["currency"])]
    limits, unit = {
        "Quantity": lambda: (spans.compared(value["value"], value.get("comparator")), value),
        "Range": lambda: (spans.range_of(value), value.get("low") or value.get("high")),
        "SampledData": lambda: (spans.sampled(value), value["origin"]),
    }[found.type]()
    if limits is None:
        return None
    named = [(unit.get("system"), unit["code"])] if "code" in unit else []
    return limits, [*named, *((None, unit[name]) for name in ("code", "unit") if name in unit)]


def base_number(found: Value, number: Decimal) -> Decimal:
    """A number of a quantity in base units of UCUM, or as it is where there is no such unit."""
    known = units(found)
    own = [code for of, code in known[1] if of == UCUM and code in UNITS] if known else []
    return number * Decimal(UNITS[own[0]][1]) if own else number


def _quantity(found: Value, text: str, modifier: str) -> bool:
    known = units(found)
    if known is None:
        return False
    limits, pairs = known
    number, *unit = split(text, "|")
    if not unit or not unit[1]:
        return spans.number_matches(limits, number)
    system, code = plain(unit[0]) or None, plain(unit[1])
    if system == UCUM and code in UNITS:
        return any(_converted(limits, own, number, code) for of, own in pairs if of == UCUM and own in UNITS)
    return (system, code) in pairs and spans.number_matches(limits, number)


def _converted(limits: spans.Range, own: str, number: str, code: str) -> bool:
    (measures, factor), (measured, wanted) = UNITS[own], UNITS[code]
    if measures != measured:
        return False
    scaled = (limits[0] * Decimal(factor), limits[1] * Decimal(factor))
    return spans.number_matches(scaled, number, Decimal(wanted))


def _number(found: Value, text: str, modifier: str) -> bool:
    if found.type == "Range":
        limits = spans.range_of(found.value)
        return limits is not None and spans.number_matches(limits, text)
    return spans.number_matches((found.value, found.value), text)


def _date(found: Value, text: str, modifier: str) -> bool:
    limits = spans.date_of(found)
    if limits is not None and modifier == "=po":
        start, end = spans.interval(text)
        return limits[1] > start and limits[0] < end
    return limits is not None and spans.date_matches(limits, text)


# References and URIs.


def target(text: str) -> str:
    """What a reference points at, without a version; "" for a contained resource."""
    return "" if text.startswith("#") else text.partition("/_history/")[0]


def pointed(found: Value) -> list[str]:
    """What a value points at: a canonical at its URL as well as at the version of it."""
    if found.type == "canonical":
        return [found.value, found.value.partition("|")[0]]
    return [text for text in [target(found.value.get("reference", "#"))] if text]


def _reference(found: Value, text: str, parameter: Parameter, modifier: str) -> bool:
    if modifier == "identifier":
        own = found.value.get("identifier", {})
        return token_pair(own.get("system"), own.get("value"), text)
    wanted = target(plain(text))
    if "/" in wanted or ":" in wanted:
        return wanted in pointed(found)
    types = [modifier] if modifier else parameter.targets
    return any(f"{one}/{wanted}" in pointed(found) for one in types)


def is_hierarchical(text: str) -> bool:
    """Whether a URI may have others above and below it."""
    return "://" in text or text.startswith("urn:oid:")


def is_below(text: str, ancestor: str) -> bool:
    """Whether a URI is another one or lies under it: what follows begins a segment, version, query or fragment."""
    if not is_hierarchical(ancestor):
        return False
    ends = "." if ancestor.startswith("urn:oid:") else "/?#|"
    start, rest = ancestor.rstrip("/"), text.rstrip("/")
    return rest == start or (rest.startswith(start) and rest[len(start)] in ends)


def _uri(found: Value, text: str, modifier: str) -> bool:
    own, wanted = found.value, plain(text)
    forms = [own, own.partition("|")[0]] if found.type == "canonical" else [own]
    if modifier == "below":
        return is_below(own, wanted)
    if modifier == "above":
        return any(is_below(wanted, form) for form in forms)
    return wanted in forms


# Places.

EARTH = 6371008.7714
"""The mean radius of the Earth in metres."""
_METRES = {"m": 1, "km": 1000, "[mi_i]": 1609.344}


def _unit_vector(latitude: float, longitude: float) -> tuple[float, float, float]:
    phi, theta = math.radians(latitude), math.radians(longitude)
    return math.cos(phi) * math.cos(theta), math.cos(phi) * math.sin(theta), math.sin(phi)


def _near(found: Value, text: str, modifier: str) -> bool:
    parts = split(text, "|")
    one = _unit_vector(float(found.value["latitude"]), float(found.value["longitude"]))
    other = _unit_vector(float(parts[0]), float(parts[1]))
    metres = float(parts[2]) * _METRES[parts[3] if len(parts) > 3 else "km"] if len(parts) > 2 else 50_000
    angle = 2 * math.asin(math.dist(one, other) / 2)
    return angle * EARTH <= metres


def value_matches(parameter: Parameter, found: Value, text: str, modifier: str, resource: Resource) -> bool:
    """Whether one value of a resource meets one value of a search."""
    if parameter.kind == "composite":
        return all(
            any(value_matches(part, one, written, "", resource) for one in values(part, found.value, resource))
            for part, written in zip(parameter.parts, split(text, "$"), strict=True)
        )
    if parameter.kind == "reference":
        return _reference(found, text, parameter, modifier)
    return _BY_KIND[parameter.kind](found, text, modifier)


_BY_KIND: dict[str, Any] = {
    "string": _string,
    "token": _token,
    "quantity": _quantity,
    "number": _number,
    "date": _date,
    "uri": _uri,
    "near": _near,
}
