"""Requests for one resource by its id: read, vread and history. https://hl7.org/fhir/R4/http.html#read"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.attack.access.asking import Ask
from tests.attack.access.universe import Item


def reads(items: Iterable[Item]) -> Iterator[Ask]:
    """Every resource by every way that names it, and what the server says of itself."""
    yield Ask("metadata", "GET", "metadata")
    for item in items:
        yield Ask("read", "GET", item.reference)
        yield Ask("read", "GET", f"{item.reference}?_summary=true")
        yield Ask("read", "GET", f"{item.reference}?_elements=id")
        yield Ask("vread", "GET", f"{item.reference}/_history/1")
        yield Ask("vread", "GET", f"{item.reference}/_history/2")
        yield Ask("history", "GET", f"{item.reference}/_history")
        yield Ask("history", "GET", f"{item.reference}/_history?_count=1", pages=True)
        yield Ask("read", "GET", item.reference, headers=(("If_None_Match", 'W/"1"'),))
        yield Ask("read", "HEAD", item.reference)
