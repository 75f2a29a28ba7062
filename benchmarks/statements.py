"""The SQL that a search becomes, for running it alone. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from fhir_server.access.policy import EVERYTHING
from fhir_server.crypto.hashing import Hasher
from fhir_server.search.compile import compile as compile_search
from fhir_server.search.parse import parse
from fhir_server.store.wire import literal


def search(url: str, tenant_id: int, hasher: Hasher) -> str:
    """The statement of a search such as Observation?patient=1, its values written into it."""
    resource_type, _, query = url.partition("?")
    compiled = compile_search(parse(resource_type, parse_qsl(query)), EVERYTHING, tenant_id, hasher)[0]
    return re.sub(r"\$(\d+)", lambda found: literal(compiled.values[int(found[1]) - 1]), compiled.sql)
