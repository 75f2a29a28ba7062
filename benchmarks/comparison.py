"""The HTTP workloads, over our own server and over any other FHIR server (--peer). docs/benchmarks.md"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks import driver, seeding, workloads
from benchmarks.driver import Plan, Workload
from benchmarks.measures import Measured, Refused, round_of
from benchmarks.paths import Pace
from benchmarks.records import RECORD_SIZE
from benchmarks.seeding import Seeded
from benchmarks.wire import Target
from benchmarks.workloads import CrudCycle, Fixed


@dataclass(slots=True)
class Subject:
    """A server to load: where it is, what it holds, and which process trees to count (none for another's server)."""

    name: str
    target: Target
    seeded: Seeded
    trees: Mapping[str, int] = field(default_factory=dict)


def measure(subject: Subject, pace: Pace, say: Callable[[str], None]) -> list[Measured]:
    """The CRUD cycle, the import of transaction Bundles and the search mix, in rounds."""
    target, seeded = subject.target, subject.seeded
    mix, unsupported = _supported(subject)
    kinds = Measured("search", "search mix, _count=100")
    if unsupported:
        kinds.title += f" (refused and left out: {', '.join(unsupported)})"
    todo: list[tuple[Measured, Callable[[int, int], Workload], int]] = [
        (
            Measured("crud", "CRUD cycle over nine types"),
            lambda turn, n: CrudCycle(target, seeding.CYCLE_SYSTEM, seeding.cycle_bodies(seeded), f"{turn}-{n}"),
            1,
        ),
        (
            Measured("import", f"transaction bundles of {RECORD_SIZE}", unit="resource"),
            lambda turn, n: Fixed([("bundle", target.post("", bundle)) for bundle in seeded.bundles]),
            RECORD_SIZE,
        ),
        (kinds, lambda turn, n: Fixed(mix), 1),
    ]
    for turn in range(pace.rounds):
        for measured, workload, per_request in todo:
            for number in pace.connections:
                if not measured.refused:
                    _once(subject, measured, workload(turn, number), number, per_request, pace)
            say(f"{subject.name}, round {turn + 1} of {pace.rounds}: {measured.title}")
    return [measured for measured, _, _ in todo]


def _once(subject: Subject, measured: Measured, workload: Workload, number: int, per_request: int, pace: Pace) -> None:
    target = subject.target
    plan = Plan(target.host, target.port, number, pace.seconds, trees=subject.trees)
    try:
        measured.add(number, round_of(driver.run(workload, plan), per_request))
    except (Refused, driver.LoadFailed) as error:
        measured.refused = str(error)


def _supported(subject: Subject) -> tuple[list[driver.Step], list[str]]:
    """The searches of the mix that the server answers, and the kinds of those that it refuses."""
    accepted, refused = [], []
    for kind, request in workloads.search_mix(subject.target, subject.seeded.ids["Patient"]):
        plan = Plan(subject.target.host, subject.target.port, 1, driver.TIMEOUT_SECONDS, warm_up=0.0, most=1)
        if driver.run(Fixed([(kind, request)]), plan).failures:
            refused.append(kind)
        else:
            accepted.append((kind, request))
    if not accepted:
        raise Refused("every search of the mix was refused")
    return accepted, sorted(set(refused))
