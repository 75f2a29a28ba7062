"""FHIR datatypes as plain dicts. https://hl7.org/fhir/R4/datatypes.html"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from fhir_server.demo.codes.hl7 import UCUM

Element = dict[str, Any]

_UNIT_TEXT = {"mm[Hg]": "mmHg", "/min": "beats/min", "Cel": "°C", "m[IU]/L": "mIU/L", "{score}": "score"}


def reference(resource_type: str, resource_id: str, display: str | None = None) -> Element:
    """A literal reference `Type/id`. https://hl7.org/fhir/R4/references.html"""
    element = {"reference": f"{resource_type}/{resource_id}"}
    return element if display is None else element | {"display": display}


def number(value: float, digits: int) -> int | Decimal:
    """The value with exactly `digits` decimals, so that 7.20 stays 7.20; an int for none."""
    return Decimal(f"{value:.{digits}f}") if digits else round(value)


def quantity(value: float, unit: str, digits: int = 0, *, text: str | None = None) -> Element:
    """A Quantity in the UCUM `unit`, reported with `digits` decimals. https://hl7.org/fhir/R4/datatypes.html#Quantity"""
    shown = text or _UNIT_TEXT.get(unit, unit.strip("{}"))
    return {"value": number(value, digits), "unit": shown, "system": UCUM, "code": unit}


def money(amount: float | Decimal) -> Element:
    """US dollars with cents. https://hl7.org/fhir/R4/datatypes.html#Money"""
    return {"value": Decimal(f"{amount:.2f}"), "currency": "USD"}


def timestamp(moment: datetime) -> str:
    """A dateTime or instant with seconds and its offset. https://hl7.org/fhir/R4/datatypes.html#dateTime"""
    return moment.isoformat(timespec="seconds")


def period(start: date | datetime, end: date | datetime | None = None) -> Element:
    """A Period of dates or of times; open when `end` is None. https://hl7.org/fhir/R4/datatypes.html#Period"""
    element = {"start": _written(start)}
    return element if end is None else element | {"end": _written(end)}


def _written(moment: date | datetime) -> str:
    return timestamp(moment) if isinstance(moment, datetime) else moment.isoformat()
