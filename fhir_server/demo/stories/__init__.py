"""What can happen to a demo patient, one file a story. https://hl7.org/fhir/R4/clinicalsummary-module.html"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fhir_server.demo.chart import Chart
from fhir_server.demo.families.visits import Visit


@dataclass(frozen=True, slots=True)
class Story:
    """A course of illness or care: whom it can happen to, and how it is written into a chart."""

    tell: Callable[[Chart], list[Visit]]
    ages: tuple[int, int]
    sexes: tuple[str, ...] = ("female", "male")
