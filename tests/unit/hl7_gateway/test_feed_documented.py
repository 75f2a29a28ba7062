"""The page tells of every key that a feed may have, and of no other. docs/hl7.md, "Feeds" """

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hl7_gateway.__main__ import COMMANDS, cli
from hl7_gateway.commands.feed import feed
from hl7_gateway.feed import KEYS

PAGE = (Path(__file__).parents[3] / "docs/hl7.md").read_text()


def test_the_keys_of_a_feed_are_those_on_the_page() -> None:
    table = PAGE.partition("| key | unless given | |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(KEYS)


def test_commands_on_the_page_are_there() -> None:
    named = set(re.findall(r"hl7-gateway (\w+)", PAGE))
    assert named <= set(COMMANDS)
    assert {"feed", "messages", "replay", "drop", "convert", "lint", "send", "simulate", "serve"} <= named
    assert set(re.findall(r"feed (add|set|list|pause|resume|remove|test)\b", PAGE)) <= set(feed.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_an_example(name: str) -> None:
    command = cli.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert command.help
    assert command.epilog
    assert f"hl7-gateway {name}" in command.epilog
