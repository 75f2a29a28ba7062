"""Versions of HL7 v2, in their order. https://terminology.hl7.org/CodeSystem-v2-0104.html"""

from __future__ import annotations

from typing import Final

VERSIONS: Final = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2")
"""What is taken, oldest first."""

USUAL: Final = "2.5.1"
"""How a message is answered that does not say its version, or says one that there is not."""


def before(version: str, other: str) -> bool:
    """Whether a version is older than ``other``; one that there is not counts as the usual one."""
    return VERSIONS.index(version if version in VERSIONS else USUAL) < VERSIONS.index(other)
