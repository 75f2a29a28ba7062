from __future__ import annotations

import io
import sys

import pytest

from fhir_server.bulk.progress import Progress, rate
from fhir_server.bulk.run import Totals


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_there_is_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress(1000, clock) as progress:
        for second in range(13):
            clock.now = 100.0 + second
            progress.show(
                Totals(1000, second * 50, second * 1000, 1234 if second > 7 else 0, 0, 2 if second > 7 else 0)
            )
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        " 25%  5,000 resources, 1,000/s",
        " 50%  10,000 resources, 1,000/s, 1,234 loaded before, 2 files waiting for others",
    ]


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    clock = Clock()
    with Progress(1000, clock) as progress:
        for step in range(5):
            clock.now += 1.0
            progress.show(Totals(1000, step * 250, step * 300, failed=step))
    assert "50%" in terminal.getvalue()
    assert "1,200 resources, 240/s, 4 failed" in terminal.getvalue()


def test_words_at_the_end() -> None:
    clock = Clock()
    progress = Progress(0, clock)
    progress.show(Totals(0, 0, 3))
    clock.now += 2
    assert progress.words() == "3 resources, 2/s"


def test_rate() -> None:
    assert rate(10, 0.0) == 0
    assert rate(10, 4.0) == 2
