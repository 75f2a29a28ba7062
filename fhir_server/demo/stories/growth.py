"""Children grow: middling weight, height and head size by age, and what is measured at a child's visit.
https://www.cdc.gov/growthcharts/"""

from __future__ import annotations

from itertools import pairwise

from fhir_server.demo.codes import loinc
from fhir_server.demo.families import observations
from fhir_server.demo.families.visits import Visit

Curve = tuple[tuple[int, float], ...]

WEIGHT: Curve = (
    (0, 3.4),
    (2, 5.4),
    (4, 6.8),
    (6, 7.7),
    (9, 8.8),
    (12, 9.6),
    (18, 10.9),
    (24, 12.2),
    (36, 14.3),
    (48, 16.3),
    (60, 18.4),
    (72, 20.6),
    (96, 25.6),
    (120, 32.5),
    (144, 41.0),
    (168, 50.0),
)
HEIGHT: Curve = (
    (0, 50.0),
    (2, 58.0),
    (4, 63.0),
    (6, 67.0),
    (9, 71.5),
    (12, 75.0),
    (18, 81.5),
    (24, 87.0),
    (36, 95.5),
    (48, 102.5),
    (60, 109.0),
    (72, 115.5),
    (96, 127.5),
    (120, 138.0),
    (144, 149.0),
    (168, 160.0),
)
HEAD: Curve = ((0, 34.8), (2, 38.8), (4, 41.2), (6, 42.8), (9, 44.6), (12, 45.7), (18, 46.9), (24, 47.8))
"""Rounded medians for both sexes in kg and cm by age in months, after https://www.cdc.gov/growthcharts/"""


def along(curve: Curve, months: float) -> float:
    """The curve's value at an age in months, straight between its points and level beyond them."""
    if months <= curve[0][0]:
        return curve[0][1]
    for (left, low), (right, high) in pairwise(curve):
        if months <= right:
            return low + (high - low) * (months - left) / (right - left)
    return curve[-1][1]


def examine_child(visit: Visit) -> None:
    """Weight and height on the child's own curve, head size to two years, pulse; blood pressure from three years on."""
    chart = visit.chart
    months = (visit.day - chart.person.born).days / 30.44
    build = 0.94 + int(chart.person.id[1:]) % 7 * 0.02
    height = along(HEIGHT, months) * (1 + (build - 1) / 2)
    if months >= 24:
        observations.body_size(visit, along(WEIGHT, months) * build, height)
    else:
        # The body mass index means nothing before two years of age.
        observations.measure(visit, "weight", loinc.WEIGHT, along(WEIGHT, months) * build, "kg", 2)
        observations.measure(visit, "height", loinc.HEIGHT, height, "cm", 1)
        observations.measure(visit, "head", loinc.HEAD_CIRCUMFERENCE, along(HEAD, months), "cm", 1)
    if months >= 36:
        observations.blood_pressure(visit, chart.about(98, 5), chart.about(60, 4))
        observations.pulse(visit, chart.about(92, 8))
