"""What R4 requires and a message may leave out, or take away. https://hl7.org/fhir/R4/conformance-rules.html"""

from __future__ import annotations

from hl7_gateway.conversion.draft import Draft


def known_of(draft: Draft, path: str) -> bool:
    """Whether a message says an element: neither is silent about it, nor takes it away."""
    return any(said.path == path and said.values for said in draft.stated)
