"""Every pair of colours that the pages put on each other can be read. https://www.w3.org/TR/WCAG22/#contrast-minimum"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fhir_server.console

CSS = (Path(fhir_server.console.__file__).parent / "static/console.css").read_text()

TEXT = [
    ("text", "ground"), ("text", "surface"), ("text", "accent-soft"), ("muted", "ground"), ("muted", "surface"),
    ("accent", "ground"), ("accent", "surface"), ("accent", "accent-soft"), ("accent-strong", "surface"),
    ("accent-strong", "accent-soft"), ("on-accent", "accent"), ("on-accent", "accent-strong"), ("danger", "surface"),
    ("danger", "danger-soft"), ("on-danger", "danger"), ("good", "good-soft"), ("warn", "warn-soft"),
    ("muted", "accent-soft"), ("danger", "ground"), ("text", "danger-soft"), ("muted", "danger-soft"),
    ("warn", "danger-soft"), ("warn", "surface"),
]  # fmt: skip
NOT_TEXT = [("control", "surface"), ("control", "ground"), ("focus", "surface"), ("focus", "ground")]


def palettes() -> dict[str, dict[str, str]]:
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.S)
    )
    return {"light": light, "dark": light | dark}


def luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: str) -> None:
    colours = palettes()[scheme]
    found = {(one, other): contrast(colours[one], colours[other]) for one, other in TEXT}
    assert {pair: round(ratio, 2) for pair, ratio in found.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_edges_of_controls_and_the_focus_can_be_seen(scheme: str) -> None:
    colours = palettes()[scheme]
    found = {(one, other): contrast(colours[one], colours[other]) for one, other in NOT_TEXT}
    assert {pair: round(ratio, 2) for pair, ratio in found.items() if ratio < 3} == {}


def test_every_colour_in_a_rule_is_a_variable() -> None:
    """Otherwise the contrast that is computed here would not be that of the pages."""
    rules = re.sub(r":root \{.*?\}", "", CSS, flags=re.S)
    written = set(re.findall(r"(?:color|background|border[a-z-]*): *[^;]*?(#[0-9a-f]{3,6})\b", rules))
    # Behind a QR code it is white, whatever the scheme: phones read dark on light.
    assert written <= {"#ffffff"}
    used = set(re.findall(r"var\(--([a-z-]+)\)", CSS))
    assert used <= set(re.findall(r"--([a-z-]+):", CSS))
