"""Every function by its name; importing this package declares them. https://hl7.org/fhirpath/N1/#functions"""

from fhir_server.fhirpath.functions import arithmetic, collections, conversion, existence, fhir, strings
from fhir_server.fhirpath.functions.registry import FUNCTIONS, Call

__all__ = ["FUNCTIONS", "Call", "arithmetic", "collections", "conversion", "existence", "fhir", "strings"]
