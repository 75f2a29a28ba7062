"""SMART scopes as values. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_SCOPE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.(read|write|\*|c?r?u?d?s?)(\?.*)?")
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True)
class Scope:
    """One clinical scope: ``context`` patient, user or system; ``resource_type`` or "*"; ``letters`` out of "cruds".

    ``constraint`` is the query that narrows it ("category=laboratory") or "".
    """

    context: str
    resource_type: str
    letters: str
    constraint: str = ""

    def __str__(self) -> str:
        query = f"?{self.constraint}" if self.constraint else ""
        return f"{self.context}/{self.resource_type}.{self.letters}{query}"


@lru_cache(maxsize=4096)
def parse(scopes: str) -> tuple[Scope, ...]:
    """The clinical scopes in a space-separated list, in v1 (``.read``) or v2 (``.rs``) form; other scopes are passed
    over.

    A scope that is not well-formed grants nothing.
    """
    found = []
    for text in scopes.split():
        match = _SCOPE.fullmatch(text)
        if match and match[3]:
            found.append(Scope(match[1], match[2], _V1.get(match[3], match[3]), (match[4] or "")[1:]))
    return tuple(found)
