"""Codes the demo clinics speak, one file a code system. https://hl7.org/fhir/R4/terminologies-systems.html"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Code:
    """One code of one code system with its display."""

    system: str
    code: str
    display: str

    def coding(self) -> dict[str, Any]:
        """The code as a Coding. https://hl7.org/fhir/R4/datatypes.html#Coding"""
        return {"system": self.system, "code": self.code, "display": self.display}

    def concept(self, *others: Code, text: str | None = None) -> dict[str, Any]:
        """The code, with synonyms from other systems, as a CodeableConcept; `text` defaults to the display.

        https://hl7.org/fhir/R4/datatypes.html#CodeableConcept
        """
        return {"coding": [self.coding(), *(other.coding() for other in others)], "text": text or self.display}
