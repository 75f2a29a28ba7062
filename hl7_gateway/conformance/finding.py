"""What is not as the standard says, or worth knowing. docs/hl7.md"""

from __future__ import annotations

from dataclasses import dataclass

from hl7_gateway.problems import Place

SEVERITIES = {"E": "error", "W": "warning", "I": "information"}
"""Table 0516. https://terminology.hl7.org/CodeSystem-v2-0516.html"""


@dataclass(frozen=True, slots=True)
class Finding:
    """``severity`` is E, W or I of table 0516; ``said`` tells what would be right, and never quotes the message."""

    severity: str
    place: Place
    said: str

    def __str__(self) -> str:
        """error PID-3: a value is required"""
        return f"{SEVERITIES[self.severity]} {self.place}: {self.said}"
