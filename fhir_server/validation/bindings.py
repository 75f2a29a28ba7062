"""Required bindings: which codes an element may hold. https://hl7.org/fhir/R4/terminologies.html#required"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fhir_server.r4 import definitions
from fhir_server.validation.primitives import CODE, FORMAT, MIME_TYPE, Predicate

MIME_TYPES = "http://hl7.org/fhir/ValueSet/mimetypes"
SHORT_FORMATS = ("CapabilityStatement.format", "TestScript.setup.action.operation.", "TestScript.setup.action.assert.")
"""Elements that also take the short names of FHIR's own formats: xml, json and ttl."""


def code_predicate(value_set: str, path: str) -> Predicate:
    """The predicate for a ``code`` with a required binding. https://hl7.org/fhir/R4/terminologies.html#code

    MIME types (BCP 13) are checked by syntax; of other value sets that cannot be listed, only a code's format.
    """
    codes = codes_of(value_set)
    if codes:
        return codes.__contains__
    if value_set != MIME_TYPES:
        return CODE.fullmatch
    return FORMAT.fullmatch if path.startswith(SHORT_FORMATS) else MIME_TYPE.fullmatch


@lru_cache(maxsize=1024)
def codes_of(value_set: str) -> frozenset[str]:
    """The codes of a required value set, of whatever system; empty where they cannot be listed."""
    return frozenset(code for codes in definitions.load().value_sets[value_set].values() for code in codes)


@lru_cache(maxsize=1024)
def codings_of(value_set: str) -> frozenset[tuple[str, str]]:
    """The (system, code) pairs of a required value set; empty where they cannot be listed."""
    systems = definitions.load().value_sets[value_set].items()
    return frozenset((system, code) for system, codes in systems for code in codes)


def concept_fits(concept: dict[str, Any], value_set: str) -> bool:
    """Whether a well-formed CodeableConcept satisfies a required binding. https://hl7.org/fhir/R4/terminologies.html#4.1

    At least one coding must come from the value set: text alone does not do. A concept of nothing but extensions says
    that the value is absent, and passes.
    """
    allowed = codings_of(value_set)
    if not allowed:
        return True
    for coding in concept.get("coding", ()):
        if (coding.get("system"), coding.get("code")) in allowed:
            return True
    return "coding" not in concept and "text" not in concept and "_text" not in concept
