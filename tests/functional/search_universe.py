"""The universe of tests.oracle in a tenant, searched over HTTP page by page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fhir_server.r4 import json as r4_json
from tests.functional.conftest import Api
from tests.oracle.drawing import DELETED, Resource
from tests.oracle.evaluate import Universe, key_of
from tests.oracle.query import Search
from tests.oracle.universe import MAKERS, resources

_AT_ONCE = 120


def load(api: Api, seed: int) -> Universe:
    """Write a universe into an empty tenant, and what was deleted or was different once, which nothing may find."""
    everything = resources(seed)
    once = [one | {"id": DELETED} for one in everything if one["id"] == "0"]
    changed = [other | {"id": one["id"]} for one, other in zip(*_neighbours(everything), strict=True)]
    _batch(api, [*once, *changed])
    _send(api, [{"request": {"method": "DELETE", "url": f"{name}/{DELETED}"}} for name in MAKERS])
    _batch(api, everything)
    return Universe(everything, updated(api, everything))


def _neighbours(everything: list[Resource]) -> tuple[list[Resource], list[Resource]]:
    """Some resources, and beside each another one of its type, as whose content it is written first."""
    some = [n for n in range(0, len(everything) - 1, 5) if _type(everything[n]) == _type(everything[n + 1])]
    return [everything[n] for n in some], [everything[n + 1] for n in some]


def _type(resource: Resource) -> str:
    return str(resource["resourceType"])


def _batch(api: Api, everything: list[Resource]) -> None:
    for start in range(0, len(everything), _AT_ONCE):
        part = everything[start : start + _AT_ONCE]
        _send(api, [{"resource": one, "request": {"method": "PUT", "url": key_of(one)}} for one in part])


def _send(api: Api, entries: list[dict[str, Any]]) -> None:
    body = r4_json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries})
    answer = api.post("", body, Prefer="return=minimal")
    assert answer.status == 200, answer.data[:2000]
    statuses = [entry["response"]["status"][:3] for entry in answer.json["entry"]]
    wrong = [
        (entry, given)
        for entry, given in zip(entries, answer.json["entry"], strict=True)
        if given["response"]["status"][0] != "2"
    ]
    assert not wrong, (statuses, wrong[:1])


def updated(api: Api, everything: Iterable[Resource]) -> dict[str, str]:
    """``meta.lastUpdated`` of every resource, as the server shows it."""
    names = dict.fromkeys(map(_type, everything))
    shown = [entry["resource"] for name in names for page in walk(api, f"{name}?_count=1000") for entry in page.entries]
    return {key_of(one): one["meta"]["lastUpdated"] for one in shown}


@dataclass
class Page:
    """One page of a search."""

    bundle: dict[str, Any]
    entries: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.entries = self.bundle.get("entry", [])

    def keys(self, mode: str) -> list[str]:
        """``Type/id`` of the entries of a search mode."""
        return [key_of(one["resource"]) for one in self.entries if one["search"]["mode"] == mode]

    def link(self, relation: str) -> str | None:
        """What a link adds to the base, or None."""
        base = self.bundle["link"][0]["url"].partition("/fhir")[0] + "/fhir"
        urls = [one["url"] for one in self.bundle["link"] if one["relation"] == relation]
        return urls[0].removeprefix(base).lstrip("/") if urls else None


def page(api: Api, path: str) -> Page:
    """The page behind a path, which must be answered."""
    answer = api.get(path)
    assert answer.status == 200, (path, answer.status, answer.data[:600].decode())
    return Page(answer.json)


def url(search: Search) -> str:
    """The search as a GET below the base."""
    return f"{search.path}?{urlencode(search.pairs)}"


def walk(api: Api, path: str, relation: str = "next") -> Iterator[Page]:
    """A page and every following one."""
    found = page(api, path)
    yield found
    while following := found.link(relation):
        found = page(api, following)
        yield found
