"""Values to search for: those of the resources in every form in which a client may write them, and near misses.

https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product

from tests.oracle import matching
from tests.oracle.drawing import AMOUNTS, LENGTHS, LOCAL, MASSES, PRESSURES, TIMES, UCUM
from tests.oracle.evaluate import SETS, Universe, hierarchy
from tests.oracle.matching import escape
from tests.oracle.parameters import PARAMETERS, Parameter
from tests.oracle.query import Clause
from tests.oracle.values import Value, values

PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
NUMBERS = (
    "0",
    "1",
    "0.1",
    "0.10",
    "0.2",
    "1.0",
    "1.00",
    "2",
    "5",
    "5.4",
    "60",
    "100",
    "1e2",
    "1e3",
    "119.9",
    "120",
    "1000",
    "-1",
    "-3",
)
MOMENTS = (
    "2019", "2020", "2020-02", "2020-02-29", "2020-02-29T10:00", "2020-02-29T10:00:00Z", "2020-02-29T10:00:00.500Z",
    "2020-03-01T04:30:00Z", "2020-03-01T05:30:00+01:00", "2021-03-04T03:06:07Z", "2021", "1969-12-31", "1970-05-20",
    "1849", "2022-01-01", "2021-12-31T09:59:59Z", "2020-06-01",
)  # fmt: skip
_TRIED = 300
"""How many values of a large pool are tried on one resource."""


class Pools:
    """The values to search for of each parameter of a universe, each pool made once."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self._made: dict[tuple[str, str, str], list[str]] = {}

    def of(self, resource_type: str, code: str, modifier: str = "") -> list[str]:
        """The values to search for with a parameter and a modifier; never empty."""
        key = (resource_type, code, modifier)
        if key not in self._made:
            self._made[key] = sorted(set(self._values(resource_type, code, modifier)))
        return self._made[key]

    def own(self, key: str, code: str, modifier: str = "") -> list[str]:
        """Of the values to search for, such as one resource meets; all of them where it meets none."""
        made = (key, code, modifier)
        if made not in self._made:
            resource_type, found = key.partition("/")[0], self._universe.found(key, code)
            everything, parameter = self.of(resource_type, code, modifier), PARAMETERS[resource_type][code]
            forms: Sequence[str] = everything[:: max(1, len(everything) // _TRIED)]
            listed = not all(
                path.endswith((":boolean", ":deceased")) for path in parameter.paths
            ) and parameter.kind in (
                "string",
                "token",
                "uri",
                "reference",
            )
            if listed and modifier not in (*SETS, "text") and code not in ("patient", "_id"):
                forms = sorted(set(_of_kind(parameter, found, modifier)))
            elif parameter.kind == "composite":
                forms = sorted({text for one in found for text in _combined(parameter, one, {})})
            met = [one for one in forms if self._universe.meets(key, Clause(code, modifier, (one,)))]
            self._made[made] = met or everything
        return self._made[made]

    def _values(self, resource_type: str, code: str, modifier: str) -> Iterator[str]:
        if modifier == "missing":
            yield from ("true", "false")
            return
        parameter = PARAMETERS[resource_type][code]
        found = [
            (one, self._universe.resources[key])
            for key in self._universe.of_type(resource_type)
            for one in self._universe.found(key, code)
        ]
        if modifier == "=po":
            yield from MOMENTS
            return
        if all(path.endswith((":boolean", ":deceased")) for path in parameter.paths):
            yield from ("true", "false")
            return
        if parameter.kind == "token" and modifier in SETS:
            yield from self._sets(modifier)
            return
        if parameter.kind == "composite":
            for element, resource in found:
                yield from _combined(parameter, element, resource)
            yield from _combined_misses(parameter)
            return
        if code == "_id":
            yield from ("none", *(key.rpartition("/")[2] for key in self._universe.of_type(resource_type)))
            return
        if code == "patient":
            yield from (f"{kind}{number}" for kind in ("", "Patient/") for number in (*range(8), 99))
            return
        yield from _of_kind(parameter, [one for one, _ in found], modifier)

    def _sets(self, modifier: str) -> Iterator[str]:
        if modifier in ("in", "not-in"):
            yield from self._universe.of_type("ValueSet")
            return
        systems = [self._universe.resources[key] for key in self._universe.of_type("CodeSystem")]
        yield from (f"{LOCAL}|{code}" for line in hierarchy(systems) for code in line)


def _of_kind(parameter: Parameter, found: list[Value], modifier: str) -> Iterator[str]:
    if modifier == "of-type":
        yield from _identifiers_of_type(found)
        return
    if modifier == "text" or parameter.kind == "words":
        yield from _words(matching.worded(parameter, found))
        return
    if modifier in ("above", "below"):
        yield from filter(matching.is_hierarchical, _uris(found))
        return
    if modifier == "identifier":
        for own in (one.value.get("identifier", {}) for one in found):
            yield from _token_forms(own.get("system"), own.get("value"))
        yield "nobody"
        return
    yield from {
        "string": _texts,
        "token": _tokens,
        "date": _dates,
        "number": _numbers,
        "quantity": _quantities,
        "uri": _uris,
        "near": _places,
        "reference": lambda found: _references(parameter, found, modifier),
    }[parameter.kind](found)


def _texts(found: list[Value]) -> Iterator[str]:
    for text in {text for one in found for text in matching.texts(one)}:
        for part in (text, text[:1], text[:3], text.upper(), text.lower()[:4], text[1:3], text[2:]):
            if part and matching.folded(part):
                yield escape(part)
    yield from ("nobody", "muller", "smi", "s%", "_")


def _words(texts: list[str]) -> Iterator[str]:
    """Single words and two at once; what has digits alone may be a number, which is no word everywhere."""
    for text in texts:
        found = sorted(word for word in matching.words(text) if not word.isdigit())
        yield from found
        yield from (f"{one} {other}" for one, other in pairwise(found))
        yield from (word[:-1] for word in found if len(word) > 2)
    yield from ("nobody", "anna nobody", "müller", "display")


def _token_forms(system: str | None, code: str | None) -> Iterator[str]:
    if code is not None:
        yield from (escape(code), f"|{escape(code)}", f"{system or LOCAL}|{escape(code)}")
    if system is not None:
        yield f"{system}|"


def _tokens(found: list[Value]) -> Iterator[str]:
    for one in found:
        for system, code in matching.codings(one):
            # That all media types are of one system is not searched for: the server cannot list them.
            yield from (form for form in _token_forms(system, code) if form != "urn:ietf:bcp:13|")
    yield from ("nope", "http://nowhere.example.org|8480-6", f"{LOCAL}|")


def _identifiers_of_type(found: list[Value]) -> Iterator[str]:
    for one in found:
        for kind in one.value.get("type", {}).get("coding", []):
            yield f"{kind['system']}|{kind['code']}|{one.value.get('value', 'none')}"
    yield "http://terminology.hl7.org/CodeSystem/v2-0203|SS|1"


def _dates(found: list[Value]) -> Iterator[str]:
    own = {one.value for one in found if isinstance(one.value, str)}
    yield from (prefix + moment for prefix, moment in product(PREFIXES, [*MOMENTS, *own]))


def _numbers(found: list[Value]) -> Iterator[str]:
    yield from (prefix + number for prefix, number in product(PREFIXES, NUMBERS))


def _quantities(found: list[Value]) -> Iterator[str]:
    own = {unit for known in map(matching.units, found) if known for unit in known[1]}
    units = sorted(f"|{system or ''}|{escape(code)}" for system, code in own)
    if any(system == UCUM for system, _ in own):
        units += [f"|{UCUM}|{unit}" for unit in ("g", "mg", "kg", "cm", "m", "min", "h", "mmol/L", "umol/L", "a", "mo")]
    yield from (prefix + number for prefix, number in product(PREFIXES, NUMBERS))
    yield from (prefix + number + unit for prefix, number, unit in product(PREFIXES, NUMBERS, units))
    measured = [*MASSES, *LENGTHS, *AMOUNTS, *PRESSURES, *TIMES]
    yield from (f"{prefix}{number}|{UCUM}|{unit}" for prefix, (number, unit) in product(PREFIXES, measured))


def _references(parameter: Parameter, found: list[Value], modifier: str) -> Iterator[str]:
    if found and all(one.type == "canonical" for one in found):
        yield from ("http://example.org/Library/99", *(text for one in found for text in matching.pointed(one)))
        return
    types = [modifier] if modifier else parameter.targets
    for one in found:
        text = one.value.get("reference", "#")
        if text.startswith("#"):
            continue
        if not modifier or text.startswith(modifier + "/"):
            yield text
        yield matching.target(text).rpartition("/")[2]
    yield from (f"{kind}/99" for kind in types)


def _places(found: list[Value]) -> Iterator[str]:
    around = [(str(one.value["latitude"]), str(one.value["longitude"])) for one in found]
    for latitude, longitude in [*around, ("47.3", "8.5"), ("0.1", "180"), ("90", "0")]:
        yield f"{latitude}|{longitude}"
        for distance in ("5|km", "20", "21000|m", "0.5|[mi_i]", "8000"):
            yield f"{latitude}|{longitude}|{distance}"


def _uris(found: list[Value]) -> Iterator[str]:
    for one in found:
        yield from (escape(one.value), escape(one.value.rpartition("/")[0] or one.value), escape(one.value + "/more"))
        yield escape(one.value.partition("|")[0])
    yield from ("http://example.org", "http://example.org/none", "urn:oid:1.2")


def _combined(parameter: Parameter, element: Value, resource: dict[str, object]) -> Iterator[str]:
    """Each way to write both parts of one element; systems alone are no part of a composite."""
    forms: list[list[str]] = []
    for part in parameter.parts:
        texts = _of_kind(part, values(part, element.value, resource), "")
        usable = sorted({text for text in texts if not text.endswith("|") or text.endswith("\\|")})
        forms.append(usable[:: max(1, len(usable) // 60)])
    yield from ("$".join(parts) for parts in product(*forms))


def _combined_misses(parameter: Parameter) -> Iterator[str]:
    second: dict[str, Callable[[], str]] = {
        "quantity": lambda: "gt100",
        "token": lambda: "nope",
        "string": lambda: "nope",
        "date": lambda: "ge2020",
        "reference": lambda: f"{(parameter.parts[1].targets or ('Patient',))[0]}/99",
    }
    yield f"nope${second[parameter.parts[1].kind]()}"
