"""Math functions, and the current date and time. https://hl7.org/fhirpath/N1/#math"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from fhir_server.fhirpath.evaluation import MAX_BITS, Step, integer, number, single
from fhir_server.fhirpath.functions.registry import Call, function, plain
from fhir_server.fhirpath.nodes import Item
from fhir_server.fhirpath.quantity import Quantity
from fhir_server.fhirpath.temporal import Temporal
from fhir_server.fhirpath.values import system


@plain("abs")
def absolute(items: list[Item]) -> list[Item]:
    """The value without its sign."""
    value = system(single(items))
    if isinstance(value, Quantity):
        return [Quantity(abs(value.value), value.unit, value.calendar)]
    value = number(items)
    return [] if value is None else [abs(value)]


def _whole(rounding: str) -> Callable[[list[Item]], list[Item]]:
    def apply(items: list[Item]) -> list[Item]:
        value = number(items)
        if value is None or Decimal(value).adjusted() > 60:
            return []
        return [int(Decimal(value).to_integral_value(rounding))]

    return apply


plain("ceiling")(_whole(ROUND_CEILING))
plain("floor")(_whole(ROUND_FLOOR))
plain("truncate")(_whole("ROUND_DOWN"))


@plain("round", 0, 1)
def round_(items: list[Item], places: list[Item] | None = None) -> list[Item]:
    """Rounded to ``places`` digits after the point, halves away from zero."""
    value, digits = number(items), integer(places) if places else 0
    if value is None or digits is None or not 0 <= digits <= 60:
        return []
    try:
        return [Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)]
    except ArithmeticError:
        return []


def _real(run: Callable[[Decimal], Decimal]) -> Callable[[list[Item]], list[Item]]:
    def apply(items: list[Item]) -> list[Item]:
        value = number(items)
        if value is None:
            return []
        try:
            return [run(Decimal(value))]
        except ArithmeticError:
            return []

    return apply


plain("exp")(_real(lambda value: value.exp() if abs(value) < 1000 else Decimal(math.inf).ln() / 0))
plain("ln")(_real(lambda value: value.ln() if value > 0 else value / 0))
plain("sqrt")(_real(lambda value: value.sqrt()))


@plain("log", 1)
def log(items: list[Item], base: list[Item]) -> list[Item]:
    """The logarithm to a base; empty where there is none."""
    value, radix = number(items), number(base)
    if value is None or radix is None or value <= 0 or radix <= 0 or radix == 1:
        return []
    return [+(Decimal(value).ln() / Decimal(radix).ln())]


@plain("power", 1)
def power(items: list[Item], exponent: list[Item]) -> list[Item]:
    """The value raised to an exponent; empty where that is no real number or too large."""
    value, times = number(items), number(exponent)
    if value is None or times is None or not -1000 <= times <= 1000:
        return []
    if isinstance(value, int) and isinstance(times, int) and times >= 0 and value.bit_length() * times < MAX_BITS:
        return [pow(value, times)]
    try:
        return [Decimal(value) ** Decimal(times)]
    except ArithmeticError:
        return []


def _clock(name: str, read: Callable[[datetime], Temporal]) -> None:
    def build(call: Call) -> Step:
        return lambda focus, context: [read(context.clock())]

    function(name)(build)


def _offset(now: datetime) -> int:
    zone = now.utcoffset()
    return int(zone.total_seconds() // 60) if zone else 0


def _second(now: datetime) -> Decimal:
    return Decimal(now.second) + Decimal(now.microsecond // 1000) / 1000


_clock(
    "now",
    lambda now: Temporal("dateTime", (*now.timetuple()[:5], _second(now)), _offset(now)),
)
_clock("today", lambda now: Temporal("date", now.timetuple()[:3]))
_clock("timeOfDay", lambda now: Temporal("time", (now.hour, now.minute, _second(now))))
