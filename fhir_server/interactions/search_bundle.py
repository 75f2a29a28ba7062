"""A page of a search as a searchset Bundle in bytes. https://hl7.org/fhir/R4/bundle.html#searchset

Stored bodies are joined into the Bundle as PostgreSQL prints them; only _summary and _elements have them parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote, urlencode

from fhir_server.errors import Issue
from fhir_server.interactions.search_page import Match
from fhir_server.r4 import json
from fhir_server.r4.subset import subset
from fhir_server.search.query import Contained, Filter, SearchQuery

Pairs = Sequence[tuple[str, str]]


def applied_pairs(query: SearchQuery) -> tuple[tuple[str, str], ...]:
    """The parameters as they were applied, in a fixed order: what was left out or capped shows.

    https://hl7.org/fhir/R4/search.html#conformance
    """
    pairs = [("_type", query.types)] if query.types else []
    pairs += [_pair(one.text) for one in _written(query.filters) if one.text]
    if query.contained != "false":
        pairs.append(("_contained", query.contained))
    pairs += [_pair(text) for text in dict.fromkeys(one.text for one in query.includes)]
    if query.sort:
        keys = [f"-{key.parameter.code}" if key.descending else key.parameter.code for key in query.sort]
        pairs.append(("_sort", ",".join(keys)))
    if query.total != "none":
        pairs.append(("_total", query.total))
    if query.summary:
        pairs.append(("_summary", query.summary))
    if query.elements:
        pairs.append(("_elements", ",".join(query.elements)))
    pairs.append(("_count", str(query.count)))
    return tuple(pairs)


def _written(filters: Iterable[Filter]) -> Iterator[Filter]:
    """The filters as they were written: what contained resources are to meet stands in one."""
    for one in filters:
        yield from one.parts if isinstance(one, Contained) else (one,)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def url(path: str, pairs: Pairs) -> str:
    """A search as a URL below the base."""
    return f"{path}?{urlencode(pairs, quote_via=quote, safe='/:,$')}"


def bundle(
    base_url: str,
    query: SearchQuery,
    links: Iterable[tuple[str, str]],
    total: int | None,
    matches: Sequence[Match],
    included: Sequence[Match],
    warnings: Sequence[str],
) -> bytes:
    """The searchset Bundle: matches, then included resources, then what there is to say about the search."""
    parts = [b'{"resourceType":"Bundle","type":"searchset"']
    if total is not None:
        parts.append(b',"total":%d' % total)
    link = [{"relation": relation, "url": f"{base_url}/{url}"} for relation, url in links]
    parts.append(b',"link":' + json.dumps(link))
    entries = [_entry(base_url, match, b"match", query.summary, query.elements) for match in matches]
    entries += [_entry(base_url, match, b"include", query.summary, ()) for match in included]
    if warnings:
        entries.append(_outcome(warnings))
    if entries:
        parts.append(b',"entry":[' + b",".join(entries) + b"]")
    parts.append(b"}")
    return b"".join(parts)


def _entry(base_url: str, match: Match, mode: bytes, summary: str, elements: tuple[str, ...]) -> bytes:
    resource = match.to_bytes()
    if elements or summary not in ("", "false", "count"):
        resource = json.dumps(subset(json.parse(resource), summary=summary, elements=elements))
    # An id has no character that JSON or a URL would escape: https://hl7.org/fhir/R4/datatypes.html#id
    full_url = json.dumps(f"{base_url}/{match.resource_type}/{match.id}")
    score = b"" if match.score is None else b',"score":%.4f' % match.score
    return b'{"fullUrl":' + full_url + b',"resource":' + resource + b',"search":{"mode":"' + mode + b'"' + score + b"}}"


def _outcome(warnings: Sequence[str]) -> bytes:
    """The entry that says what was left out. https://hl7.org/fhir/R4/search.html#errors"""
    issues = [Issue("warning", "not-supported", text).to_json() for text in warnings]
    outcome = json.dumps({"resourceType": "OperationOutcome", "issue": issues})
    return b'{"resource":' + outcome + b',"search":{"mode":"outcome"}}'
