"""What a refused search parameter might have meant. https://docs.python.org/3/library/difflib.html#difflib.get_close_matches"""

from __future__ import annotations

import difflib
from collections.abc import Collection

_LONGEST_COMPARED = 60
_MOST_LISTED = 60


def nearest(written: str, valid: Collection[str], most: int = 3) -> list[str]:
    """Up to ``most`` of the valid names, the likeliest first. https://hl7.org/fhir/R4/search.html#errors

    The comparison ignores case, and costs a bounded time whatever was written.
    """
    lowered = {name.lower(): name for name in valid}
    found = difflib.get_close_matches(written[:_LONGEST_COMPARED].lower(), lowered, n=most, cutoff=0.6)
    return [lowered[name] for name in found]


def refusal(what: str, written: str, valid: Collection[str], listed: Collection[str] = ()) -> str:
    """The sentences "Did you mean 'x'? Valid ...: a, b, c." for the end of an error message.

    ``what`` is the plural of the things that were to be named: "parameters of Patient". ``listed`` is a shorter list to
    show in the place of all that are valid.
    """
    close = nearest(written, valid)
    question = f" Did you mean {_either(close)}?" if close else ""
    names = sorted(listed or valid)
    if not names:
        return f"{question} There are no valid {what}."
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return f"{question} Valid {what}: {', '.join(names[:_MOST_LISTED])}{more}."


def shown(text: str, longest: int = 60) -> str:
    """What the client wrote, quoted, and shortened to ``longest`` characters."""
    return repr(text if len(text) <= longest else text[:longest] + "...")


def _either(names: list[str]) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
