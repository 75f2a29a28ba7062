"""Everything that is asked, out of the registries: routes, search parameters, operations, types. docs/attack.md"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tests.attack.access import instances, joins, operations, searches, writes
from tests.attack.access.asking import Ask, next_of
from tests.attack.access.clinic import Clinic
from tests.attack.access.oracle import Attacker
from tests.attack.access.universe import CONSENTING, PLAIN, Item

RELATING = frozenset(
    {"Patient", "CareTeam", "Encounter", "Appointment", "ServiceRequest", "PractitionerRole", "RelatedPerson"}
)
"""Types that say who is related to patient b, which has to be said in a twin as well."""


def aims(items: Iterable[Item]) -> tuple[list[Item], list[Item]]:
    """What is aimed at: everything that is of patient a, and the plain one of each type."""
    every = [item for item in items if "a" in item.owner]
    return every, [item for item in every if item.variant == PLAIN]


def product(items: Iterable[Item]) -> Iterator[Ask]:
    """Every request that reads, for a universe of these items, aimed at what is patient a's."""
    yield from _aimed(*aims(items))


def beyond(items: Iterable[Item], attacker: Attacker) -> list[Ask]:
    """The same, aimed at what the attacker may not see of patient b's: other types, labelled and withheld resources."""
    hidden = [one for one in items if one.owner == "b" and not (attacker.sees(one, "r") or attacker.sees(one, "s"))]
    return list(_aimed(hidden, list({item.type: item for item in reversed(hidden)}.values())))


def _aimed(every: list[Item], plain: list[Item]) -> Iterator[Ask]:
    yield from instances.reads(every)
    yield from searches.of_types(plain)
    yield from searches.of_parameters(plain)
    yield from searches.of_lists(every)
    yield from searches.of_contents(every)
    yield from joins.chains(plain)
    yield from joins.includes(plain)
    yield from joins.compartments(plain)
    yield from joins.everywhere(plain)
    yield from operations.operations(plain)
    yield from operations.graphs(plain)


def writing(items: Iterable[Item], attacker: Attacker) -> list[Ask]:
    """Every request that writes to what an attacker reaches by no interaction."""
    known = list(items)
    hidden = [item for item in known if not any(attacker.sees(item, letter) for letter in "cruds")]
    # Who may write a consent may take it away, and then writes what it withheld.
    own = [item for item in known if item.owner == "b" and item.variant != CONSENTING and attacker.sees(item, "r")]
    plain = {item.type: item for item in known if item.owner == "b" and item.variant == PLAIN}
    return [*writes.writes(hidden, plain), *writes.moves(own, [item for item in hidden if item.owner == "a"])]


def stolen(clinic: Clinic) -> Iterator[Ask]:
    """Later pages of searches that somebody else began, who sees patient a."""
    ways = ("{}?_count=1", "{}?_count=1&_sort=-_lastUpdated", "{}/_history?_count=1")
    for number, name in enumerate(dict.fromkeys(item.type for item in clinic.items)):
        following = next_of(clinic.admin.get(ways[number % len(ways)].format(name)))
        if following is not None:
            yield Ask("another's page", "GET", following)


def share(asks: list[Ask], number: int, of: int) -> list[Ask]:
    """One of ``of`` parts of the product, each with as much of every road and type, and some of it in bundles."""
    mixed = list(asks)
    random.Random(0).shuffle(mixed)
    mine = mixed[number::of]
    return [*mine, *operations.bundles(mine[: len(mine) // 5])]


def without_secrets(item: Item, attacker: Attacker) -> Item:
    """The item with other values where it is hidden from the attacker, now or as it was; it relates people alike."""
    earlier = item.earlier and without_secrets(item.earlier, attacker)
    seen = attacker.sees(item, "r") or attacker.sees(item, "s")
    body = item.body if seen else json.loads(item.text.replace(item.canary, "zznothingzz"))
    return replace(item, earlier=earlier, body=body)


def in_part(clinic: Clinic, attacker: Attacker, item: Item) -> Item:
    """The item with the elements alone that the attacker is shown of it."""
    sees = attacker.sees(item, "r")
    if not sees or attacker.sees_whole(item, "r") or attacker.sees_whole(item, "s"):
        return item
    answer = clinic.as_attacker(attacker).get(item.reference)
    if answer.status != 200:
        return item
    shown = {name: value for name, value in item.body.items() if name in json.loads(answer.data)}
    return replace(item, body=shown | {"meta": item.body["meta"]})


def beside(clinic: Clinic, attacker: Attacker) -> Clinic:
    """A twin of the clinic: what the attacker may see, and nothing else but what relates people to patient b, which
    says other things there. Of what they see in part it has that part alone."""
    kept = [
        item
        for item in clinic.items
        if attacker.sees(item, "r")
        or attacker.sees(item, "s")
        or (item.type in RELATING and item.owner == "b")
        # Where there are consents, statements are others.
        or item.variant == CONSENTING
    ]
    return clinic.another(in_part(clinic, attacker, without_secrets(item, attacker)) for item in kept)
