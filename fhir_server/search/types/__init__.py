"""The nine types of search parameters, one file each. https://hl7.org/fhir/R4/search.html#ptypes"""

from __future__ import annotations

from types import ModuleType

from fhir_server.search.types import composite, date, near, number, quantity, reference, string, token, uri

BY_TYPE: dict[str, ModuleType] = {
    "composite": composite,
    "date": date,
    "number": number,
    "quantity": quantity,
    "reference": reference,
    "special": near,
    "string": string,
    "token": token,
    "uri": uri,
}
"""The module that writes and reads the values of a parameter of each type."""
