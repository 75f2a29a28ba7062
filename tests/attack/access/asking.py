"""What an attacker asks, and what the answers are held against."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.attack.access.clinic import Clinic
from tests.attack.access.oracle import Attacker
from tests.attack.access.universe import CANARY
from tests.functional.conftest import Answer, Api

_ID = re.compile(r"(a|b|ab)\d-[a-z]+")
_SHOWN = re.compile(r'"id": ?"((?:a|b|ab)\d-[a-z]+)"')
"""What is shown has its id; elements of the universe's resources have none."""
NOT_COMPARED = frozenset({"$explain", "value set"})
"""What tells PostgreSQL's estimates, which are of all rows, to those who may see everything; and searches by value set,
which mind the clinic's definitions whoever asks (fhir_server/interactions/value_sets.py)."""
_DEFINITIONS = ("valueset", "codesystem")
_TRAIL = '"id":"trail-'
"""Records of the audit trail, which tell of what happened in each clinic."""
_LIMIT = '"code":"too-costly"'
"""What is too much work depends on how many types a clinic has, and on how busy the machine is."""
_MOST_PAGES = 4
_THREADS = 2


@dataclass(frozen=True)
class Ask:
    """One request. ``road`` is the kind of way that it takes to a resource; ``pages`` says that later ones are read."""

    road: str
    method: str
    path: str
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    pages: bool = False

    def sent(self, api: Api, path: str | None = None) -> Answer:
        """The answer to it, or to one of its later pages."""
        if path is not None:
            return api.get(path)
        return api(self.method, self.path, self.body, **dict(self.headers))

    @property
    def text(self) -> str:
        """Everything that the attacker knows already by asking so."""
        return unquote(f"{self.path} {self.body} {self.headers}").lower()

    @property
    def asks_the_trail(self) -> bool:
        """Whether it asks for audit events, of which each clinic has as many as it was asked: they are no twins."""
        return self.path.startswith("AuditEvent") or (self.road == "$graphql" and "auditevent" in self.text)

    def __str__(self) -> str:
        body = "" if self.body is None else " " + str(self.body)[:300]
        return f"{self.method} {self.path}{body}"


@dataclass
class Report:
    """What was asked, and what came of it."""

    requests: Counter[str] = field(default_factory=Counter)
    resources: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    limits: int = 0

    def add(self, other: Report) -> None:
        """Count what another attack did as well."""
        self.requests.update(other.requests)
        self.resources.update(other.resources)
        self.compared.update(other.compared)
        self.leaks += other.leaks
        self.limits += other.limits

    def table(self) -> str:
        """The counts of each road."""
        lines = [f"{'road':<26}{'requests':>10}{'compared':>10}{'resources':>11}"]
        for road in (*sorted(self.requests), None):
            counts = [
                sum(one.values()) if road is None else one[road]
                for one in (self.requests, self.compared, self.resources)
            ]
            lines.append(f"{road or 'together':<26}{counts[0]:>10}{counts[1]:>10}{counts[2]:>11}")
        return "\n".join([*lines, f"refused as too costly: {self.limits}", f"leaks: {len(self.leaks)}"])


class Attack:
    """One attacker in one clinic, and beside it in a ``twin``: a clinic that has nothing but what they may see."""

    def __init__(self, clinic: Clinic, attacker: Attacker, report: Report, twin: Clinic | None = None) -> None:
        self.clinic = clinic
        self.attacker = attacker
        self.report = report
        self.api = clinic.as_attacker(attacker)
        self.twin = twin
        self.beside = twin.as_attacker(attacker) if twin else None
        self._items = {item.id: item for item in clinic.items}
        seen = [item for item in clinic.items if attacker.sees(item, "r") or attacker.sees(item, "s")]
        # A version that was about somebody else is seen by those who may see it as it was and the resource as it is.
        before = [one.earlier for one in seen if one.earlier]
        self._allowed = frozenset(
            item.canary
            for item in (*seen, *(one for one in before if attacker.sees(one, "r") or attacker.sees(one, "s")))
        )

    def make(self, asks: Iterable[Ask]) -> None:
        """Ask everything and note every leak."""
        for ask in asks:
            self._make(ask)

    def _make(self, ask: Ask) -> None:
        pages = self._walk(ask, self.api)
        self.report.requests[ask.road] += len(pages)
        for page in pages:
            found = list(self.leaks(ask, page))
            if page.status >= 500 and _LIMIT.encode() not in page.data:
                found.append(f"answered {page.status}")
            self.report.leaks += [f"{self.attacker.name}: {ask}: {leak}" for leak in found]
        if self.beside and self.twin and ask.road not in NOT_COMPARED:
            there = self._walk(ask, self.beside)
            self.report.compared[ask.road] += len(pages)
            mine = [plain(one, self.clinic.slug) for one in pages]
            theirs = [plain(one, self.twin.slug) for one in there]
            texts = [text for _, text in (*mine, *theirs)]
            if any(_LIMIT in text for text in texts):
                self.report.limits += 1
            elif mine != theirs and not (ask.asks_the_trail or any(_TRAIL in text for text in texts)):
                self.report.leaks.append(f"{self.attacker.name}: {ask}: differs\n  {_difference(mine, theirs)}")

    def _walk(self, ask: Ask, api: Api) -> list[Answer]:
        pages = [ask.sent(api)]
        while ask.pages and len(pages) < _MOST_PAGES:
            following = next_of(pages[-1])
            if following is None:
                break
            pages.append(ask.sent(api, following))
        return pages

    def leaks(self, ask: Ask, answer: Answer) -> Iterator[str]:
        """What an answer tells of resources that the attacker may not see."""
        text = answer.data.decode(errors="replace").lower()
        for match in CANARY.finditer(text):
            known = match[0] in self._allowed or match[0] in ask.text
            if not known and not (ask.road == "value set" and match[4] in _DEFINITIONS):
                yield f"tells {match[0]}"
        for match in _SHOWN.finditer(text):
            item = self._items.get(match[1])
            if item is None:
                continue
            self.report.resources[ask.road] += 1
            if item.canary not in self._allowed:
                yield f"shows {item.reference}"
        for name in ("Location", "Content-Location"):
            for match in _ID.finditer(answer.headers.get(name, "")):
                found = self._items.get(match[0])
                if found and found.canary not in self._allowed and match[0] not in ask.text:
                    yield f"names {match[0]} in {name}"


def at_once(clinic: Clinic, attacker: Attacker, report: Report, twin: Clinic | None, asks: Sequence[Ask]) -> None:
    """Requests that change nothing, made by as many threads as there are processors for."""

    def some(number: int) -> Report:
        own = Report()
        Attack(clinic, attacker, own, twin).make(asks[number::_THREADS])
        return own

    with ThreadPoolExecutor(_THREADS) as threads:
        for one in threads.map(some, range(_THREADS)):
            report.add(one)


def next_of(answer: Answer) -> str | None:
    """The path of the next page."""
    if answer.status != 200 or b'"next"' not in answer.data:
        return None
    links = answer.json.get("link", ())
    return next((one["url"].partition("/fhir/")[2] for one in links if one["relation"] == "next"), None)


_NOISE = re.compile(
    r'"(?:lastUpdated|lastModified|timestamp)":"[^"]*"|_cursor=[^"&\\]*|'
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)


_COMPARED = ("ETag", "Location", "Content-Location", "Link", "Warning", "X-Decision-Reason", "WWW-Authenticate")


def plain(answer: Answer, slug: str) -> tuple[int, str]:
    """An answer without what differs from one time to the next and from one clinic to another."""
    text = _NOISE.sub("~", answer.data.decode(errors="replace"))
    headers = [f"{name}: {answer.headers[name]}" for name in _COMPARED if name in answer.headers]
    return answer.status, "\n".join([*(_NOISE.sub("~", header) for header in headers), text]).replace(slug, "clinic")


def _difference(mine: list[tuple[int, str]], theirs: list[tuple[int, str]]) -> str:
    if len(mine) != len(theirs):
        return f"{len(mine)} pages where {len(theirs)} would be without what is hidden"
    for one, two in zip(mine, theirs, strict=True):
        if one[0] != two[0]:
            return f"{one[0]} {one[1][:300]}\n  {two[0]} {two[1][:300]}"
        if one[1] != two[1]:
            at = next((n for n, (x, y) in enumerate(zip(one[1], two[1], strict=False)) if x != y), 0)
            return f"{one[1][max(0, at - 150) : at + 150]}\n  {two[1][max(0, at - 150) : at + 150]}"
    return ""
