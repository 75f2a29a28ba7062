"""How a load shows how far it is: a bar on a terminal, a line every few seconds elsewhere. https://click.palletsprojects.com/en/stable/utils/#showing-progress-bars"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import click

from fhir_server.bulk.run import Totals

LINE_SECONDS = 5.0
"""How often a line is written where there is no terminal."""

REDRAW_SECONDS = 0.1


class Progress:
    """Shows totals on standard error. Use as a context manager; ``total`` is the length of all files in bytes."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._begun = self._shown = clock()
        self._stack = ExitStack()
        self._bar: Any = None
        self._totals = Totals(total)

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            bar: Any = click.progressbar(
                length=max(self._total, 1),
                file=sys.stderr,
                show_pos=False,
                item_show_func=lambda _: self.words(),
                bar_template="  [%(bar)s]  %(info)s",
            )
            self._bar = self._stack.enter_context(bar)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._begun

    def show(self, totals: Totals) -> None:
        """Show them, unless that was done a moment ago."""
        self._totals = totals
        now = self._clock()
        if self._bar is not None:
            finished = totals.bytes_done >= self._total
            if finished or now - self._shown >= REDRAW_SECONDS:
                self._shown = now
                self._bar.update(totals.bytes_done - self._bar.pos, current_item=totals)
        elif now - self._shown >= LINE_SECONDS:
            self._shown = now
            share = 100 * totals.bytes_done // max(self._total, 1)
            click.echo(f"{share:3d}%  {self.words()}", err=True)

    def words(self) -> str:
        """The totals in a few words: "12,345 resources, 2,700/s, 3 failed"."""
        totals = self._totals
        parts = [f"{totals.loaded:,} resources", f"{rate(totals.loaded, self.seconds):,}/s"]
        for number, what in (
            (totals.skipped, "loaded before"),
            (totals.waiting, "files waiting for others"),
            (totals.failed, "failed"),
        ):
            if number:
                parts.append(f"{number:,} {what}")
        return ", ".join(parts)


def rate(number: int, seconds: float) -> int:
    """So many a second, as a whole number."""
    return round(number / seconds) if seconds > 0 else 0
