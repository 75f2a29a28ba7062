"""Answers that are remembered for short texts only: what a sender makes up must not fill the memory.

https://docs.python.org/3/library/functools.html#functools.lru_cache
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")

LONGEST: Final = 300
"""Characters of all texts of a question together."""


def remembered(most: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Have the answers to ``most`` questions remembered, those that were asked last."""

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        known = cast("Callable[P, T]", lru_cache(maxsize=most)(function))

        @wraps(function)
        def found(*asked: P.args, **named: P.kwargs) -> T:
            length = 0
            for one in asked:
                if type(one) is str:
                    length += len(one)
            return known(*asked, **named) if length <= LONGEST else function(*asked, **named)

        return found

    return decorated
