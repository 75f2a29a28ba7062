"""References to the server's own base, read as the relative references they stand for.
https://hl7.org/fhir/R4/references.html#literal"""

from __future__ import annotations

from typing import Any


def relative_to(base_url: str, value: Any) -> Any:
    """The value with ``reference`` texts below base_url made relative; the value itself where there are none.

    Only the index is made from the result: what is stored stays as the client sent it.
    """
    return _relative(base_url + "/", value)


def _relative(prefix: str, value: Any) -> Any:
    if isinstance(value, dict):
        changed = None
        for name, item in value.items():
            kind = type(item)
            if kind is str:
                new = item[len(prefix) :] if name == "reference" and item.startswith(prefix) else item
            elif kind is dict or kind is list:
                new = _relative(prefix, item)
            else:
                continue
            if new is not item:
                if changed is None:
                    changed = dict(value)
                changed[name] = new
        return value if changed is None else changed
    if isinstance(value, list):
        items = [_relative(prefix, item) if type(item) in (dict, list) else item for item in value]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value
