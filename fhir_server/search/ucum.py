"""Units of measure as dimension, factor and offset, so that 1 g and 1000 mg are one. https://ucum.org/ucum

The table of units is the official ucum-essence.xml, which the package ``ucumvert`` carries; nothing of that package is
imported. Codes come from clients: what is long, deep or huge is no unit. All arithmetic is exact up to the last step,
one correctly rounded division, so that equal quantities are equal doubles whatever their units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from functools import cache, lru_cache
from importlib.util import find_spec
from math import inf, isfinite, lcm
from pathlib import Path

SYSTEM = "http://unitsofmeasure.org"
"""The system of UCUM's codes. https://hl7.org/fhir/R4/ucum.html"""

_LONGEST = 128
_DEEPEST = 16
_MOST_BITS = 2_048
"""The most bits of a factor's parts: twice what a double's range has."""

_MOST_POWER = 1_000
"""The power of ten from which on a number in any unit is infinite, and below whose negative it is zero."""
_ROUNDED = Context(prec=50, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])

# How far the zero of a scale lies above absolute zero, in its own degrees; the table names only the functions.
# https://ucum.org/ucum#section-Special-Units-on-non-ratio-Scales
_ZEROS = {"Cel": Fraction("273.15"), "[degF]": Fraction("459.67"), "[degRe]": Fraction("218.52")}

# UCUM has the mole be a number. As in the SI it is a dimension here, or what is below 4 mmol/L would include every
# count of cells. https://ucum.org/ucum#section-Base-Units
_MOLE = "mol"

_SIMPLE_UNIT = re.compile(r"(10[*^]|(?:[^\[\](){}./0-9+\-\s]|\[[^\[\]\s]*\])+)([+-]?[1-9][0-9]?)?(?![0-9])", re.ASCII)
_FACTOR = re.compile(r"[1-9][0-9]*", re.ASCII)
_ANNOTATION = re.compile(r"\{[!-z|~]*\}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit in terms of UCUM's base units, and of the arbitrary and logarithmic units that are bases of their own.

    ``base`` is that product as a UCUM code, "g.m-3" or "1"; a number of the unit is
    ``(number * factor + offset) / divisor`` of it.
    """

    base: str
    factor: int
    offset: int
    divisor: int

    def in_base(self, number: float | Decimal) -> float:
        """A number of this unit in base units, correctly rounded; beyond the range of doubles it is infinite."""
        if isinstance(number, Decimal):
            # A number of a million digits, or of a million zeros, would be long to multiply.
            power = number.adjusted()
            if not number or power < -_MOST_POWER:
                number = 0
            else:
                number = _ROUNDED.plus(number) if power < _MOST_POWER else inf if number > 0 else -inf
        elif isinstance(number, int) and number.bit_length() > _MOST_BITS * 2:
            number = inf if number > 0 else -inf
        if isinstance(number, float) and not isfinite(number):
            return number
        above, below = number.as_integer_ratio()
        try:
            return (above * self.factor + below * self.offset) / (below * self.divisor)
        except OverflowError:
            return inf if above > 0 else -inf


@dataclass(frozen=True, slots=True)
class _Product:
    """A factor times powers of bases; a ``zero`` is above absolute zero in units of the whole."""

    factor: Fraction = Fraction(1)
    powers: Mapping[str, int] = field(default_factory=dict)
    zero: Fraction | None = None

    def times(self, other: _Product, power: int) -> _Product:
        """This by a power of another. Raises ValueError for degrees, which no product can hold, and for huge ones."""
        if self.zero is not None or other.zero is not None:
            raise ValueError("a unit whose scale has a zero of its own is no part of a product")
        factor = self.factor * other.factor**power
        if max(factor.numerator.bit_length(), factor.denominator.bit_length()) > _MOST_BITS:
            raise ValueError("the factor is out of range")
        powers = dict(self.powers)
        for base, own in other.powers.items():
            powers[base] = powers.get(base, 0) + own * power
        return _Product(factor, powers)


def unit(code: str) -> Unit | None:
    """What a UCUM code means, case-sensitive; None for what is no code, or is too long or too large to be one."""
    return _kept_unit(code) if len(code) <= _LONGEST else None


@lru_cache(maxsize=2_048)
def _kept_unit(code: str) -> Unit | None:
    try:
        product = _Reader(code).whole()
    except ValueError:
        return None
    bases = sorted((base, power) for base, power in product.powers.items() if power)
    name = ".".join(base if power == 1 else f"{base}{power}" for base, power in bases)
    offset = product.factor * (product.zero or 0)
    divisor = lcm(product.factor.denominator, offset.denominator)
    return Unit(name or "1", int(product.factor * divisor), int(offset * divisor), divisor)


class _Reader:
    """Reads one code by UCUM's grammar, as the examples of its authors correct it: ``(8.h){shift}``, ``(/m)``.

    https://ucum.org/ucum#section-Syntax-Rules
    """

    def __init__(self, code: str) -> None:
        self.code = code
        self.at = 0

    def whole(self) -> _Product:
        """The whole code. Raises ValueError for what is no unit."""
        found = self.term(0)
        if self.at < len(self.code):
            raise ValueError(f"a unit cannot go on with {self.code[self.at]!r}")
        return found

    def term(self, depth: int) -> _Product:
        """Components with "." and "/" between, from left to right; a "/" may stand before the first."""
        found = _Product().times(self.component(depth), -1) if self.skip("/") else self.component(depth)
        while True:
            if self.skip("."):
                found = found.times(self.component(depth), 1)
            elif self.skip("/"):
                found = found.times(self.component(depth), -1)
            else:
                return found

    def component(self, depth: int) -> _Product:
        """A unit with its exponent, a number or a term in parentheses, which may carry an annotation; or that alone."""
        if self.skip("("):
            if depth == _DEEPEST:
                raise ValueError("the parentheses are too deep")
            found = self.term(depth + 1)
            if not self.skip(")"):
                raise ValueError("a parenthesis is not closed")
        elif match := self.match(_SIMPLE_UNIT):
            found = _with_prefix(match[1])
            if match[2]:
                found = _Product().times(found, int(match[2]))
        elif match := self.match(_FACTOR):
            found = _Product(Fraction(int(match[0])))
        elif self.match(_ANNOTATION):
            found = _Product()
        else:
            raise ValueError("a unit is missing")
        self.match(_ANNOTATION)
        return found

    def skip(self, character: str) -> bool:
        found = self.code.startswith(character, self.at)
        self.at += found
        return found

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.code, self.at)
        if match is not None:
            self.at = match.end()
        return match


@dataclass(frozen=True, slots=True)
class _Definition:
    """A unit of the table: so many of another unit; ``base`` says that it stands for itself."""

    metric: bool
    base: bool
    value: Fraction = Fraction(1)
    unit: str = ""


def _with_prefix(symbol: str) -> _Product:
    units, prefixes = _table()
    if symbol in units:
        return _defined(symbol)
    for length in (1, 2):
        prefix, atom = symbol[:length], symbol[length:]
        if prefix in prefixes and atom in units and units[atom].metric:
            found = _defined(atom)
            factor = found.factor * prefixes[prefix]
            return _Product(factor, found.powers, found.zero and found.zero / prefixes[prefix])
    raise ValueError(f"there is no unit {symbol!r}")


@cache
def _defined(atom: str) -> _Product:
    """A unit of the table in base units."""
    definition = _table()[0][atom]
    if definition.base:
        return _Product(powers={atom: 1})
    found = _Product(definition.value).times(_Reader(definition.unit).whole(), 1)
    return _Product(found.factor, found.powers, _ZEROS.get(atom))


@cache
def _table() -> tuple[dict[str, _Definition], dict[str, Fraction]]:
    """The units and prefixes of ucum-essence.xml, by their case-sensitive codes.

    Raises ModuleNotFoundError or FileNotFoundError where the package or its table is not installed.
    """
    # Only processes that store or search quantities come here.
    from xml.etree import ElementTree

    package = find_spec("ucumvert")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("The package ucumvert is missing; install the product's dependencies.")
    path = Path(package.origin).parent / "vendor" / "ucum-essence.xml"
    root = ElementTree.parse(path).getroot()  # noqa: S314 a file that is installed with the product
    prefixes: dict[str, Fraction] = {}
    units: dict[str, _Definition] = {}
    for element in root:
        code, kind, value = element.get("Code", ""), element.tag.rpartition("}")[2], element.find("{*}value")
        if kind == "base-unit":
            units[code] = _Definition(metric=True, base=True)
        elif kind == "prefix" and value is not None:
            prefixes[code] = Fraction(value.get("value", ""))
        elif kind == "unit" and value is not None:
            function = value.find("{*}function")
            meaning = value if function is None else function
            base = code == _MOLE or (function is not None and code not in _ZEROS)
            # What is measured by the effect of a preparation is comparable with itself alone.
            base = base or (element.get("isArbitrary") == "yes" and meaning.get("Unit") == "1")
            units[code] = _Definition(
                element.get("isMetric") == "yes", base, Fraction(meaning.get("value", "")), meaning.get("Unit", "")
            )
    return units, prefixes
