"""The set of facts that an instance holds, so that two of them can be compared. docs/soak.md"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fhir_server.audit import event as events
from fhir_server.audit.verify import verify
from fhir_server.crypto.hashing import Hasher
from fhir_server.store import audit, directory
from fhir_server.store.session import Database
from hl7_gateway.delivery.provenance import MESSAGE
from tests.soak.instance import Instance

SHARED: Final = frozenset({"Location", "Practitioner", "Organization"})
"""What messages of many patients mention. Whichever comes first makes it, which is no matter of order."""

Path = tuple[str, str, int]
"""Type, id and version."""

Control = tuple[str, str]
"""Who has sent a message, and its control id."""


@dataclass
class Facts:
    """What is stored. Texts are JSON with keys in order; messages are named by sender and control id."""

    versions: dict[Path, str] = field(default_factory=dict)
    lineage: dict[tuple[str, str], str] = field(default_factory=dict)
    messages: dict[Control, str] = field(default_factory=dict)
    provenance: dict[Control, str] = field(default_factory=dict)
    audit: dict[Control, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """What is wrong with it by itself."""

    def differences(self, other: Facts) -> list[str]:
        """How another set of facts differs, named by what differs first."""
        found = []
        for name in ("versions", "lineage", "messages", "provenance", "audit"):
            here: Mapping[Any, str] = getattr(self, name)
            there: Mapping[Any, str] = getattr(other, name)
            for what, keys in (
                ("is missing", sorted(here.keys() - there.keys())),
                ("is too many", sorted(there.keys() - here.keys())),
                ("is different", sorted(key for key in here.keys() & there.keys() if here[key] != there[key])),
            ):
                if keys:
                    first = f"{here.get(keys[0])} <> {there.get(keys[0])}"
                    found.append(f"{name}: {len(keys)} {what}, first {keys[0]}: {first}")
        return found

    def types(self) -> Counter[str]:
        """How many resources there are of each type."""
        return Counter(kind for kind, _ in {path[:2] for path in self.versions})


class _Reading:
    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.facts = Facts()
        self.named: dict[int, Control] = {}
        self.sources: dict[Path, list[Control]] = {}

    def messages(self) -> None:
        rows = self.instance.rows(
            "SELECT id, application, control_id, state, attempts, conflicting, message_type, event, problem, warnings,"
            " encode(sha256(raw), 'hex') FROM hl7_message ORDER BY id"
        )
        for number, application, control_id, *rest in rows:
            control = application, control_id
            self.named[number] = control
            if control in self.facts.messages:
                self._wrong(f"{control} is kept twice")
            self.facts.messages[control] = _text(rest)

    def resources(self) -> None:
        rows = self.instance.rows(
            "SELECT t.name, x.id, x.version, x.deleted, x.meta, x.body FROM ("
            "SELECT type_id, id, version, deleted, meta, body FROM resource UNION ALL"
            " SELECT type_id, id, version, deleted, meta, body FROM resource_history) x"
            " JOIN resource_type t ON t.id = x.type_id"
        )
        for kind, name, version, deleted, meta, body in rows:
            if kind == "Provenance":
                self._provenance(version, body)
                continue
            path = kind, name, version
            if path in self.facts.versions:
                self._wrong(f"{path} is there twice")
            self.facts.versions[path] = _text([deleted, _undated(meta), body])

    def _provenance(self, version: int, body: dict[str, Any]) -> None:
        (entity,) = body["entity"]
        identifier = entity["what"]["identifier"]
        assert identifier["system"] == MESSAGE
        control = self.named[int(identifier["value"])]
        targets = [_path(one["reference"]) for one in body["target"]]
        for path in targets:
            self.sources.setdefault(path, []).append(control)
        if control in self.facts.provenance or version != 1:
            self._wrong(f"{control} has two Provenances, or two versions of one")
        activity = "CREATE" if all(number == 1 for _, _, number in targets) else "UPDATE"
        if body["activity"]["coding"][0]["code"] != activity:
            self._wrong(f"the Provenance of {control} has another activity than {activity}")
        own = sorted(path for path in targets if path[0] not in SHARED)
        self.facts.provenance[control] = _text([own, body["agent"]])

    def lineage(self) -> None:
        hasher = Hasher(bytes(self.instance.rows("SELECT value FROM server_secret WHERE name = 'hash_key'")[0][0]))
        keys = {hasher.uncached("/".join(path)): path for path in {path[:2] for path in self.facts.versions}}
        for key, entries in self.instance.rows("SELECT key, entries FROM hl7_lineage"):
            if key not in keys:
                self._wrong("a lineage is of nothing")
                continue
            path = keys[key]
            traced = _values(entries) if path[0] in SHARED else self._traced(entries)
            self.facts.lineage[path] = _text(traced)

    def _traced(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._traced(one) for one in value]
        if not isinstance(value, dict):
            return value
        found = {key: self._traced(one) for key, one in value.items()}
        if isinstance(found.get("m"), int):
            found["m"] = self.named[found["m"]]
        return found

    def audit(self) -> None:
        database = Database(self.instance.postgres.app_url, 2)
        database.open()
        tenant_id = self.instance.tenant.id
        try:
            report = verify(database, Hasher(directory.hash_key(database)), tenant_id)
            if report.problem:
                self._wrong(f"the audit trail: {report.problem}")
            seq = 0
            while page := audit.walk(database, tenant_id, seq, 5_000):
                seq = page[-1].seq
                for event in (events.decode(link.record) for link in page):
                    self._audited(event)
        finally:
            database.close()

    def _audited(self, event: events.Event) -> None:
        kind, _, number = event.request_id.partition("/")
        assert kind == "hl7-message", event.request_id
        control = self.named[int(number)]
        if control in self.facts.audit:
            self._wrong(f"{control} was applied twice: the audit trail has it twice")
        written = sorted(path for path in event.written if path[0] not in SHARED)
        self.facts.audit[control] = _text([event.subject, event.outcome, event.status, event.reason, written])

    def together(self) -> None:
        """What of one kind has to fit what of another."""
        facts = self.facts
        for path in facts.versions:
            if len(self.sources.get(path, [])) != 1:
                self._wrong(f"{path} has the Provenances {self.sources.get(path)}")
        if extra := self.sources.keys() - facts.versions.keys():
            self._wrong(f"Provenances name what is not there: {sorted(extra)[:3]}")
        highest: dict[tuple[str, str], int] = {}
        for kind, name, version in facts.versions:
            highest[kind, name] = max(highest.get((kind, name), 0), version)
        if sum(highest.values()) != len(facts.versions):
            self._wrong("versions are missing between others")

    def _wrong(self, what: str) -> None:
        self.facts.problems.append(what)


def facts_of(instance: Instance) -> Facts:
    """Everything that an instance holds."""
    reading = _Reading(instance)
    reading.messages()
    reading.resources()
    reading.lineage()
    reading.audit()
    reading.together()
    return reading.facts


def _path(reference: str) -> Path:
    kind, name, _, version = reference.split("/")
    return kind, name, int(version)


def _values(entries: dict[str, Any]) -> dict[str, list[str]]:
    """Elements with the digests of their values, without the messages and fields that said them first."""
    return {path: sorted(one[0] for slot in slots.values() for one in slot["s"]) for path, slots in entries.items()}


def _undated(meta: Any) -> Any:
    return {key: value for key, value in meta.items() if key != "lastUpdated"} if isinstance(meta, dict) else meta


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
