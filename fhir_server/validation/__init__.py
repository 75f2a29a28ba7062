"""Whether resources keep the rules of FHIR: a fast yes or no, and a complete list of issues. https://hl7.org/fhir/R4/validation.html"""

from __future__ import annotations

import logging
from typing import Any

from fhir_server import errors
from fhir_server.validation import structure
from fhir_server.validation.issues import issues

__all__ = ["issues", "validate"]

_log = logging.getLogger(__name__)


def validate(resource: Any, resource_type: str | None = None) -> None:
    """Refuse a resource that breaks rules of FHIR. https://hl7.org/fhir/R4/validation.html

    ``resource`` is what ``r4.json.parse`` returns; ``resource_type``, where given, is the type that it must be. Raises
    errors.Invalid with every error found; warnings are left out.
    """
    if structure.is_valid(resource) and (resource_type is None or resource["resourceType"] == resource_type):
        return
    found = issues(resource, resource_type, warnings=False)
    if not found:
        # The passes disagree: a bug of ours. The complete pass is the slower and plainer one, so its word counts.
        _log.error("the fast validation refused a %s in which no issue was found", resource["resourceType"])
        return
    raise errors.Invalid("the resource is not valid", issues=found)
