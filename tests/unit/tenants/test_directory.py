"""Which tenants there are, remembered. docs/architecture.md, "Rows" """

from __future__ import annotations

from fhir_server.store.directory import Entry
from fhir_server.tenants.directory import REMEMBERED_SECONDS, Directory


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_entry_is_remembered_for_a_while_and_then_asked_for_anew() -> None:
    clock, entries, asked = Clock(), {"a": Entry(1)}, []

    def look_up(slug: str) -> Entry | None:
        asked.append(slug)
        return entries.get(slug)

    directory = Directory(look_up, clock)
    assert directory.find("a") == Entry(1)
    entries["a"] = Entry(1, 250)
    clock.now = REMEMBERED_SECONDS - 1
    assert directory.find("a") == Entry(1)
    clock.now = REMEMBERED_SECONDS + 1
    assert directory.find("a") == Entry(1, 250)
    assert asked == ["a", "a"]


def test_what_does_not_exist_is_asked_for_each_time() -> None:
    entries: dict[str, Entry] = {}
    directory = Directory(entries.get)
    assert directory.find("b") is None
    assert not directory.knows("b")
    entries["b"] = Entry(2)
    assert directory.find("b") == Entry(2)
    assert directory.knows("b")
