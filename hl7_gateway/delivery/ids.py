"""The ids of new resources, which follow from what identifies them: the same draft makes the same resource. https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-8"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import json
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.problems import Place, Refused
from hl7_gateway.remembering import remembered


def of_identifier(hasher: Hasher, resource_type: str, system: str, value: str) -> str:
    """The id of a resource that was made for an identifier."""
    return _of_identifier(hasher, resource_type, system, value)


def of_natural(hasher: Hasher, resource_type: str, parts: Iterable[str]) -> str:
    """The id of a resource that was made for texts and the names of other resources."""
    return _uuid(hasher, ["natural", resource_type, *parts])


def of_message(hasher: Hasher, resource_type: str, message: int, name: str) -> str:
    """The id of a resource that one message alone speaks of."""
    return _uuid(hasher, ["message", resource_type, str(message), name])


def of_draft(hasher: Hasher, draft: Draft, message: int, path_of: Callable[[str], str]) -> str:
    """The id that a draft has where it does not exist yet. ``path_of`` tells "Type/id" of another draft by its name."""
    if draft.identifiers:
        return of_identifier(hasher, draft.type, *draft.identifiers[0])
    if draft.natural:
        return of_natural(
            hasher,
            draft.type,
            (path_of(one.removeprefix(DRAFT)) if one.startswith(DRAFT) else one for one in draft.natural),
        )
    return of_message(hasher, draft.type, message, draft.name)


@remembered(50_000)
def _of_identifier(hasher: Hasher, resource_type: str, system: str, value: str) -> str:
    # Message after message is about the same people and speaks of the same wards.
    return _uuid(hasher, ["identifier", resource_type, system, value])


def _uuid(hasher: Hasher, parts: list[str]) -> str:
    # A list as JSON: no two lists are the same text.
    text = json.dumps(parts).decode()
    number = hasher.uncached(f"hl7 id, one half\0{text}") & (1 << 64) - 1
    number |= (hasher.uncached(f"hl7 id, other half\0{text}") & (1 << 64) - 1) << 64
    number = number & ~(0xF << 76) | 8 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def in_order(drafts: Mapping[str, Draft]) -> list[Draft]:
    """The drafts, each after those whose names its own id is made of.

    Raises Refused where they wait for each other, or name one that is not there.
    """
    order: list[Draft] = []
    done: dict[str, bool] = {}
    for first, draft in drafts.items():
        if draft.identifiers or not draft.natural:
            # It waits for none.
            if not done.get(first):
                done[first] = True
                order.append(draft)
            continue
        stack = [first]
        while stack:
            name = stack[-1]
            if done.get(name):
                stack.pop()
                continue
            waits = [one for one in needs(drafts[name]) if not done.get(one)]
            if not waits:
                done[name] = True
                order.append(drafts[name])
                stack.pop()
                continue
            if any(one not in drafts for one in waits):
                raise Refused(207, "AE", Place("MSH"), f"A {drafts[name].type} is identified by what is not there.")
            if name in done or any(one in done for one in waits):
                raise Refused(207, "AE", Place("MSH"), f"A {drafts[name].type} is identified by itself, in a circle.")
            done[name] = False
            stack.extend(waits)
    return order


def needs(draft: Draft) -> list[str]:
    """The names of the drafts that the id of a draft is made of."""
    if draft.identifiers:
        return []
    return [one.removeprefix(DRAFT) for one in draft.natural if one.startswith(DRAFT)]
