"""What the senders of the soak have to tell: a simulated hospital for each, with merges and messages nobody can take.

docs/soak.md
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from random import Random

from hl7_gateway.simulator.hospital import messages
from hl7_gateway.simulator.people import AUTHORITY

_START = datetime(2026, 1, 1, tzinfo=UTC)
_BEDS = 60
_EXTRA = 0.08
"""The share of what the hospital itself does not send."""


def story(application: str, seed: int) -> Iterator[bytes]:
    """Messages of one sender without end, the same for the same seed. Patients are its own."""
    random = Random(f"{application} {seed}")
    hospital = messages(seed, _BEDS, _START)
    numbers = count(1)
    due: deque[bytes] = deque()
    while True:
        if due and random.random() < 0.3:
            yield due.popleft()
        elif random.random() < _EXTRA:
            number = f"X{seed:05}{next(numbers):05}"
            due.extend(_merged(application, number) if random.random() < 0.5 else _unusable(application, number))
        else:
            yield next(hospital).replace(b"|SIMULATOR|", f"|{application}|".encode(), 1)


def _message(application: str, control_id: str, kind: str, *segments: str) -> bytes:
    header = f"MSH|^~\\&|{application}|{AUTHORITY}|GATEWAY|CLINIC|20260101120000||{kind}|{control_id}|T|2.5.1"
    return ("\r".join([header, *segments]) + "\r").encode()


def _pid(number: str, rest: str = "") -> str:
    return f"PID|1||{number}^^^{AUTHORITY}^MR||{rest}"


def _merged(application: str, number: str) -> list[bytes]:
    """Two people who turn out to be one, and a result for the number that is not used any more."""
    old, new = f"{number}A", f"{number}B"
    event = "EVN||20260101120000"
    result = ["OBR|1||R{0}^LAB|24317-0^Hemogram^LN|||20260101070000||||||||||||||||||F",
              "OBX|1|NM|718-7^Hemoglobin^LN|1|13.1|g/dL|||||F"]  # fmt: skip
    return [
        _message(application, f"{number}-1", "ADT^A28", event, _pid(old, "Testwater^Old||19610203|F")),
        _message(application, f"{number}-2", "ADT^A28", event, _pid(new, "Testwater^New||19610203|F")),
        _message(application, f"{number}-3", "ADT^A40", event, _pid(new), f"MRG|{old}^^^{AUTHORITY}^MR"),
        _message(application, f"{number}-4", "ORU^R01", _pid(old), *(one.format(number) for one in result)),
    ]


def _unusable(application: str, number: str) -> list[bytes]:
    """An event that nobody knows, and a patient whom nothing tells apart: that shows only in conversion."""
    event = "EVN||20260101120000"
    security = f"PID|1||{number}^^^USA^SS||Testwater^Nobody"
    return [
        _message(application, f"{number}-8", "ADT^Z99", event, _pid(number)),
        _message(application, f"{number}-9", "ADT^A28", event, security),
    ]


def numbered(application: str, patient: int, events: tuple[str, ...]) -> list[bytes]:
    """One patient's stay, event by event."""
    person = _pid(f"N{patient:05}", f"Testwater^Number{patient}||1961{patient % 12 + 1:02}01|F|||{{}} Example Lane")
    visit = ["PV1", "1", "I", f"4N^{400 + patient % 20}^A^{AUTHORITY}", *[""] * 15, f"V{patient:05}^^^{AUTHORITY}^VN"]
    return [
        _message(
            application,
            f"N{patient:05}-{place}",
            f"ADT^{event}",
            f"EVN||202601011200{place:02}",
            person.format(place if event == "A08" else 0),
            "|".join(visit),
        )
        for place, event in enumerate(events)
    ]
