"""ConceptMaps that a feed's own mapping names: which one is meant, and what it makes of codes. docs/hl7-overrides.md

https://hl7.org/fhir/R4/conceptmap.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fhir_server.r4 import json
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.overrides.change import CANONICAL, Coded, Table, TranslateByMap

MOST_CODES: Final = 50_000
"""How many codes one change may translate."""

_MOST_MAPS: Final = 8
"""How many ConceptMaps one change may come to, each named by the one before it for what that does not list."""

_NO_COUNTERPART: Final = frozenset({"unmatched", "disjoint", "narrower", "specializes", "inexact"})
"""Equivalences under which the target says something that was not sent, or nothing."""

_EXACT: Final = frozenset({"equal", "equivalent"})


@dataclass(frozen=True, slots=True)
class Stored:
    """A ConceptMap as it is stored: its id, its version there, and its JSON."""

    id: str
    version: int
    body: bytes


Lookup = Callable[[str], Sequence[Stored]]
"""The ConceptMaps of a canonical URL, of whatever version. Raises NotAMap where that cannot be told."""


class NotAMap(ValueError):
    """A ConceptMap that is not there, or cannot be used."""


def names_maps(mapping: FeedMapping) -> bool:
    """Whether a mapping names ConceptMaps."""
    return any(isinstance(change, TranslateByMap) for change in mapping.overrides)


def loaded(mapping: FeedMapping, lookup: Lookup) -> FeedMapping:
    """The mapping with what its ConceptMaps say now, the same one where they say what they said.

    What is wrong is in ``wanting``, each with the change that names it. The version is of the file and of these.
    """
    if not names_maps(mapping):
        return mapping
    asked: dict[str, Sequence[Stored]] = {}
    wanting: list[str] = []

    def ask(url: str) -> Sequence[Stored]:
        if url not in asked:
            asked[url] = lookup(url)
        return asked[url]

    if mapping.consulted and _consulted(mapping.consulted, ask) == mapping.consulted:
        return mapping
    changes = list(mapping.overrides)
    digests = [mapping.file_version]
    for place, change in enumerate(changes):
        if not isinstance(change, TranslateByMap):
            continue
        try:
            table = _table(change, ask)
        except NotAMap as problem:
            wanting.append(f"{change.where}: ConceptMap {change.canonical}: {problem}")
            continue
        changes[place] = replace(change, table=table)
        digests.append(table.digest)
    version = hashlib.sha256("|".join(digests).encode()).hexdigest()[:12]
    # What cannot be used is looked at again each time.
    consulted = {} if wanting else _consulted(asked, ask)
    return replace(
        mapping, overrides=tuple(changes), version=version, wanting=tuple(wanting), consulted=consulted, memo={}
    )


def _consulted(urls: Mapping[str, object], ask: Lookup) -> Mapping[str, tuple[tuple[str, int], ...]]:
    """Which versions of which ConceptMaps there are, by URL."""
    try:
        return {url: tuple((one.id, one.version) for one in ask(url)) for url in urls}
    except NotAMap:
        return {}


def _table(change: TranslateByMap, ask: Lookup) -> Table:
    codes: dict[str, Coded | None] = {}
    other: Coded | None = None
    seen: list[str] = []
    following: str = change.canonical
    while following:
        if following in seen or len(seen) == _MOST_MAPS:
            raise NotAMap("unmapped.url leads in a circle, or too far")
        seen.append(following)
        url, _, version = following.partition("|")
        found = json.parse(_chosen(ask(url), url, version).body)
        groups = _groups(found, change)
        listed = dict(_merged(groups))
        # What the first map says of a code holds.
        codes = {**listed, **codes}
        if len(codes) > MOST_CODES:
            raise NotAMap(f"it has more than {MOST_CODES:,} codes")
        other, following = _unmapped(groups)
    said = json.dumps([sorted((code, *(to or ())) for code, to in codes.items()), list(other or ()), change.coding])
    return Table(codes, other, hashlib.sha256(said).hexdigest())


def _chosen(found: Sequence[Stored], url: str, version: str) -> Stored:
    """The one of several that is meant: of the version, else the one that is active, else the only one."""
    many = [(one, json.parse(one.body)) for one in found]
    if version:
        many = [(one, body) for one, body in many if body.get("version") == version]
    if not many:
        raise NotAMap(f"there is none of this URL{' and version' if version else ''}")
    usable = [(one, body) for one, body in many if body.get("status") != "retired"]
    if not usable:
        raise NotAMap("it is retired")
    active = [(one, body) for one, body in usable if body.get("status") == "active"]
    best = active or usable
    if len(best) > 1:
        versions = ", ".join(sorted({str(body.get("version", "none")) for _, body in best}))
        raise NotAMap(f"there are {len(best)} of them (versions {versions}); name one as in {url}|VERSION")
    return best[0][0]


def _groups(found: Mapping[str, Any], change: TranslateByMap) -> list[Mapping[str, Any]]:
    groups = [
        group
        for group in found.get("group", ())
        if (not change.source or group.get("source") == change.source)
        and (not change.target or group.get("target") == change.target)
    ]
    if not groups:
        chosen = " of this source and target" if change.source or change.target else ""
        raise NotAMap(f"it has no group{chosen}")
    if change.coding and any(not group.get("target") for group in groups):
        raise NotAMap("a group has no target, which coding needs; without coding only the code is replaced")
    return groups


def _merged(groups: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Coded | None]]:
    found: dict[str, Coded | None] = {}
    for group in groups:
        for element in group.get("element", ()):
            code = element.get("code", "")
            if not code:
                raise NotAMap("an element has no code")
            target = _target(group, code, element.get("target", ()))
            known = found.get(code)
            if known is not None and target is not None and known != target:
                raise NotAMap(f"several groups translate {code[:40]!r}; choose by source or target")
            found[code] = target or known
    yield from found.items()


def _target(group: Mapping[str, Any], code: str, targets: Sequence[Mapping[str, Any]]) -> Coded | None:
    """The one code that a code stands for; None where there is none that says no more than was sent."""
    good = [one for one in targets if one.get("code") and one.get("equivalence") not in _NO_COUNTERPART]
    if any(one.get("dependsOn") or one.get("product") for one in good):
        raise NotAMap(f"what it makes of {code[:40]!r} depends on other elements (dependsOn, product)")
    best = [one for one in good if one.get("equivalence") in _EXACT] or good
    if len({one["code"] for one in best}) > 1:
        raise NotAMap(f"it has several targets for {code[:40]!r}")
    if not best:
        return None
    return _coded(group, best[0])


def _coded(group: Mapping[str, Any], target: Mapping[str, Any]) -> Coded:
    for text in (target["code"], target.get("display", "")):
        if not text.isprintable():
            raise NotAMap(f"the code or display of {target['code'][:40]!r} is not one line")
    return Coded(target["code"], target.get("display", ""), group.get("target", ""), group.get("source", ""))


def _unmapped(groups: Sequence[Mapping[str, Any]]) -> tuple[Coded | None, str]:
    """What becomes of codes that groups do not list: a fixed code, or what another ConceptMap makes of them."""
    several = [(group, group["unmapped"]) for group in groups if "unmapped" in group]
    special = [(group, one) for group, one in several if one.get("mode") != "provided"]
    if not special:
        return None, ""
    if len(groups) > 1:
        raise NotAMap("unmapped is of one of several groups; choose by source or target")
    ((group, unmapped),) = special
    if unmapped.get("mode") == "fixed":
        if not unmapped.get("code"):
            raise NotAMap("unmapped is fixed and has no code")
        return _coded(group, unmapped), ""
    url = unmapped.get("url", "")
    if unmapped.get("mode") != "other-map" or not CANONICAL.fullmatch(url.partition("|")[0]):
        raise NotAMap("unmapped must be provided, fixed with a code, or other-map with a url")
    return None, url
