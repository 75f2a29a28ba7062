"""A feed as it is configured: how its sender is recognised, and how what it sends is read. docs/hl7.md, "Feeds" """

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fhir_server.store.hl7_feeds import FeedRow
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.overrides.change import Change, TranslateByMap
from hl7_gateway.overrides.reading import NotAMapping
from hl7_gateway.overrides.reading import read as read_overrides
from hl7_gateway.wire import charset
from hl7_gateway.wire.charset import Policy
from hl7_gateway.wire.checks import PROCESSING_IDS
from hl7_gateway.wire.listener import LIMIT
from hl7_gateway.wire.peer import Network

RECEIPT, COMMIT = "receipt", "commit"
"""When a message is acknowledged as accepted: once it is kept, or once its resources are stored."""

MOST: Final = 128 * 1024 * 1024
"""The largest limit of a feed, in bytes: PostgreSQL has no value of a gigabyte, and bytes are twice as many digits."""

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST: Final = 1_000
_MOST: Final = 10_000


class NotAFeed(ValueError):
    """What is wrong with a configuration: each key with what would be right."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Feed:
    """One sender of a tenant.

    ``port`` 0 is the gateway's own port. ``certificate`` is a fingerprint (SHA-256 in hexadecimal); it, ``application``
    and ``facility`` are "" where they may be anything, ``networks`` empty where every address may send. An alert is
    raised after ``silent`` seconds without a message, when one waits for ``waiting`` seconds, when ``queue`` wait and
    when ``dead`` are dead letters; 0 for never. With ``sequence`` its messages are numbered.
    """

    tenant_id: int
    slug: str
    id: int
    name: str
    paused: bool
    port: int
    certificate: str
    application: str
    facility: str
    networks: tuple[Network, ...]
    limit: int
    charset: str
    invalid_bytes: Policy
    acknowledgment: str
    processing_ids: tuple[str, ...]
    silent: int
    waiting: int
    queue: int
    dead: int
    sequence: bool
    mapping: FeedMapping

    @property
    def label(self) -> str:
        """What it is called in logs and metrics: riverside/lab."""
        return f"{self.slug}/{self.name}"


def parse(row: FeedRow) -> Feed:
    """The feed of a stored row, without its ConceptMaps. Raises NotAFeed with everything that is wrong."""
    known, wrong = _checked(row)
    if wrong:
        raise NotAFeed(list(wrong.values()))
    return _feed(row, known)


def received(row: FeedRow) -> Feed | None:
    """The feed of a row that is none, as far as its messages can be received, to be converted once it is mended.

    None where it is not known what is of it, or whether its messages are numbered.
    """
    known, wrong = _checked(row)
    return None if _RECEIVED & wrong.keys() else _feed(row, known)


def _checked(row: FeedRow) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of a row's configuration, and by key what is wrong with it; "" is its name."""
    wrong: dict[str, str] = {}
    if not _NAME.fullmatch(row.name):
        wrong[""] = "the name must be 1 to 63 of a-z, 0-9 and -, without - at either end"
    known = {key: default for key, (default, _) in KEYS.items()}
    for key, value in row.configuration.items():
        if key not in KEYS:
            wrong[key] = f"{key} is not known; there are {', '.join(KEYS)}"
            continue
        try:
            known[key] = KEYS[key][1](value)
        except ValueError as error:
            wrong[key] = f"{key} must be {error}"
    return known, wrong


def _feed(row: FeedRow, known: Mapping[str, Any]) -> Feed:
    changes, version = known["overrides"]
    named = (change for change in changes if isinstance(change, TranslateByMap))
    mapping = FeedMapping(
        row.name,
        known["zone"],
        known["authorities"],
        known["code_systems"],
        changes,
        version,
        version,
        wanting=tuple(f"{one.where}: ConceptMap {one.canonical} was not looked up" for one in named),
    )
    return Feed(
        row.tenant_id,
        row.slug,
        row.id,
        row.name,
        row.paused,
        known["port"],
        known["certificate"],
        known["application"],
        known["facility"],
        known["networks"],
        known["limit"],
        known["charset"],
        known["invalid_bytes"],
        known["acknowledgment"],
        known["processing_ids"],
        known["silent"],
        known["waiting"],
        known["queue"],
        known["dead"],
        known["sequence"],
        mapping,
    )


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"a whole number from {low:,} to {high:,}")
        return value

    return check


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
        raise ValueError("a text of one line")
    return value.strip()


def _one_of(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return cast("str", value)

    return check


def _certificate(value: Any) -> str:
    found = value.replace(":", "").lower() if isinstance(value, str) else ""
    if not re.fullmatch(r"([0-9a-f]{64})?", found):
        raise ValueError("the SHA-256 fingerprint of a certificate, 64 hexadecimal digits")
    return found


def _networks(value: Any) -> tuple[Network, ...]:
    if not isinstance(value, list) or len(value) > _MOST or not all(isinstance(one, str) for one in value):
        raise ValueError('a list of networks such as ["10.2.0.0/16", "192.0.2.7"]')
    try:
        return tuple(ip_network(one) for one in value)
    except ValueError as error:
        raise ValueError(f'networks such as ["10.2.0.0/16", "192.0.2.7"]: {error}') from None


def _charset(value: Any) -> str:
    if not isinstance(value, str) or charset.codec(value) is None:
        raise ValueError("a character set of HL7 table 0211, such as UNICODE UTF-8 or 8859/1")
    return value


def _processing_ids(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(one in PROCESSING_IDS for one in value):
        raise ValueError(f"a list of {', '.join(PROCESSING_IDS)}")
    return tuple(value)


def _zone(value: Any) -> str:
    try:
        return ZoneInfo(_text(value)).key
    except (ValueError, ZoneInfoNotFoundError, OSError):
        raise ValueError("a name of the time zone database, such as America/New_York") from None


def _table(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or len(value) > _MOST:
        raise ValueError("pairs of a name and a URI")
    for name, uri in value.items():
        if not isinstance(uri, str) or ":" not in uri or re.search(r"\s", uri):
            raise ValueError(f"pairs of a name and a URI, and that of {name[:40]!r} is none")
    return dict(value)


def _overrides(value: Any) -> tuple[tuple[Change, ...], str]:
    if not isinstance(value, str):
        raise ValueError("the text of a mapping file (docs/hl7-overrides.md)")
    if not value.strip():
        return (), ""
    try:
        return read_overrides(value), hashlib.sha256(value.encode()).hexdigest()[:12]
    except NotAMapping as error:
        raise ValueError(f"a mapping without mistakes (docs/hl7-overrides.md): {error}") from None


KEYS: Final[Mapping[str, tuple[Any, Callable[[Any], Any]]]] = {
    "port": (0, _whole(0, 65_535)),
    "certificate": ("", _certificate),
    "application": ("", _text),
    "facility": ("", _text),
    "networks": ((), _networks),
    "limit": (LIMIT, _whole(1_024, MOST)),
    "charset": ("UNICODE UTF-8", _charset),
    "invalid_bytes": ("replace", _one_of("refuse", "replace")),
    "acknowledgment": (RECEIPT, _one_of(RECEIPT, COMMIT)),
    "processing_ids": (PROCESSING_IDS, _processing_ids),
    "silent": (0, _whole(0, 31_536_000)),
    "waiting": (300, _whole(0, 31_536_000)),
    "queue": (10_000, _whole(0, 1_000_000_000)),
    "dead": (1, _whole(0, 1_000_000_000)),
    "sequence": (False, _flag),
    "zone": ("UTC", _zone),
    "authorities": ({}, _table),
    "code_systems": ({}, _table),
    "overrides": (((), ""), _overrides),
}
"""Keys of a configuration: what holds where one is not given, and what makes of a JSON value what a Feed has."""

_RECEIVED: Final = frozenset({"", "port", "certificate", "application", "facility", "networks", "sequence"})
"""What has to be right for messages to be received."""
