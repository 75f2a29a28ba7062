"""The page tells of every key that a feed may have, and of no other. docs/hl7.md, "Feeds" """

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fhir_server.store.hl7_alerts import CONDITIONS
from fhir_server.store.hl7_feeds import FeedRow
from hl7_gateway.__main__ import COMMANDS, cli
from hl7_gateway.commands.feed import feed
from hl7_gateway.feed import KEYS, parse
from hl7_gateway.metrics import Metrics

PAGE = (Path(__file__).parents[3] / "docs/hl7.md").read_text()


def test_the_keys_of_a_feed_are_those_on_the_page() -> None:
    table = PAGE.partition("| key | unless given | |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(KEYS)


def test_commands_on_the_page_are_there() -> None:
    named = set(re.findall(r"hl7-gateway (\w+)", PAGE))
    assert named <= set(COMMANDS)
    assert {"feed", "messages", "replay", "drop", "convert", "lint", "send", "simulate", "serve"} <= named
    assert set(re.findall(r"feed (add|set|list|pause|resume|remove|test|number)\b", PAGE)) <= set(feed.commands)


def test_rules_for_prometheus_are_of_metrics_that_there_are() -> None:
    rules = PAGE.partition("```yaml\n")[2].partition("```")[0]
    named = set(re.findall(r"\bhl7_\w+", rules))
    metrics, lab = Metrics(), parse(FeedRow(1, "riverside", 1, "lab", False, 0, {}))
    metrics.came(lab, 1.0)
    metrics.answered(lab, "accepted")
    metrics.waits(lab, 1, 1.0, 1)
    metrics.alerts(lab, ["silent"])
    there = {sample.name for family in metrics.registry.collect() for sample in family.samples}
    assert len(named) >= 5
    assert named <= there
    for answer in re.findall(r'answer="(\w+)"', rules):
        assert answer in ("accepted", "repeated", "refused", "failed")


def test_conditions_of_alerts_on_the_page_are_those_there_are() -> None:
    table = PAGE.partition("| condition | holds when | amount |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(CONDITIONS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_an_example(name: str) -> None:
    command = cli.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert command.help
    assert command.epilog
    assert f"hl7-gateway {name}" in command.epilog
