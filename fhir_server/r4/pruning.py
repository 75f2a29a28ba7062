"""Taking out what an edit leaves empty: FHIR's JSON has no empty objects or arrays. https://hl7.org/fhir/R4/json.html"""

from __future__ import annotations

from fhir_server.r4.json import Json


def prune(resource: dict[str, Json]) -> dict[str, Json]:
    """The resource without empty objects and arrays, changed in place; what contained only those goes as well.

    In the arrays that hold primitives' extensions (``_given``) an empty object becomes null, so that the others keep
    their place; such an array goes when only nulls are left. Raises RecursionError for nesting beyond Python's stack.
    """
    for name in list(resource):
        value = resource[name]
        if isinstance(value, dict):
            prune(value)
        elif isinstance(value, list):
            _prune_list(value, aligned=name.startswith("_"))
        else:
            continue
        if not value:
            del resource[name]
    return resource


def _prune_list(items: list[Json], *, aligned: bool) -> None:
    changed = False
    for index, item in enumerate(items):
        if isinstance(item, dict):
            prune(item)
        elif isinstance(item, list):
            _prune_list(item, aligned=False)
        else:
            continue
        if not item:
            items[index], changed = None, True
    if aligned:
        if all(item is None for item in items):
            items.clear()
    elif changed:
        items[:] = [item for item in items if item is not None]
