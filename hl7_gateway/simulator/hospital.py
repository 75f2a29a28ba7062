"""The simulated hospital: who is in which bed, what happens next, and the message that tells it. docs/hl7.md"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Final

from hl7_gateway.simulator import people
from hl7_gateway.simulator.laboratory import Order, order
from hl7_gateway.simulator.people import ATTENDING, AUTHORITY, DIAGNOSES, Person
from hl7_gateway.simulator.segments import Visit, al1, dg1, evn, msh, pid, pv1, segment, stamp, text

MIX: Final = {"ADT": 0.60, "ORU": 0.25, "other": 0.15}
"""What share of the messages is of which type."""

_REMEMBERED: Final = 500
"""How many people, orders and appointments are kept in mind: the hospital may run for months."""


def messages(seed: int, beds: int, start: datetime) -> Iterator[bytes]:
    """Messages without end; the same for the same seed, beds and start. ``start`` has a time zone."""
    hospital = Hospital(seed, beds, start)
    while True:
        yield hospital.next()


class Hospital:
    """Beds, the people in them, and what is still to be reported about them."""

    def __init__(self, seed: int, beds: int, start: datetime) -> None:
        if beds < 1:
            raise ValueError("A hospital has at least one bed.")
        # Simulated people need no randomness that nobody can foresee; a demonstration needs one that comes again.
        self._random = Random(seed)  # noqa: S311
        self._prefix = f"{seed % 100_000:05}"
        self._now = start
        self._sent = 0
        self._told = dict.fromkeys(MIX, 0)
        self._counters: dict[str, int] = {}
        wards = ("4N", "4S", "5N", "ICU")
        self._free = [f"{wards[n % 4]}^{400 + n // 8}^{'AB'[n // 4 % 2]}^{AUTHORITY}" for n in range(beds)]
        self._target = max(1, int(beds * 0.75))
        self._stays: list[Visit] = []
        self._visits: list[Visit] = []
        self._known: deque[Person] = deque(maxlen=_REMEMBERED)
        self._open: deque[Order] = deque(maxlen=_REMEMBERED)
        self._final: deque[Order] = deque(maxlen=_REMEMBERED)
        self._booked: deque[_Appointment] = deque(maxlen=_REMEMBERED)

    def next(self) -> bytes:
        """What happens next."""
        self._now += timedelta(seconds=self._random.randrange(5, 240))
        total = self._sent + 1
        kind = max(MIX, key=lambda name: MIX[name] * total - self._told[name])
        if kind == "ORU" and not (self._open or self._final or self._stays or self._visits):
            kind = "ADT"
        self._told[kind] += 1
        self._sent += 1
        head, lines = {"ADT": self._adt, "ORU": self._result, "other": self._other}[kind]()
        control_id = f"{self._prefix}-{self._sent:08}"
        return ("\r".join([msh(*head, control_id, self._now), *lines]) + "\r").encode()

    def _number(self, kind: str) -> str:
        self._counters[kind] = count = self._counters.get(kind, 0) + 1
        return f"{kind}{self._prefix}{count:06}"

    def _adt(self) -> _Told:
        random = self._random
        chances: list[tuple[Callable[[], _Told], float]] = [(self._register, 1.0 if len(self._visits) < 20 else 0.1)]
        if self._free:
            chances.append((self._admit, 3.0 if len(self._stays) < self._target else 0.3))
        if self._stays and self._free:
            chances.append((self._transfer, 1.0))
        if self._stays or self._visits:
            chances.append((self._update, 1.5))
            chances.append((self._discharge, 0.8 if len(self._stays) < self._target else 2.5))
        acts, weights = zip(*chances, strict=True)
        act: Callable[[], _Told] = random.choices(acts, weights)[0]
        return act()

    def _arrival(self, kind: str, bed: str) -> Visit:
        random = self._random
        here = {visit.person.number for visit in (*self._stays, *self._visits)}
        returning = [person for person in self._known if person.number not in here]
        if returning and random.random() < 0.3:
            person = random.choice(returning)
        else:
            person = people.person(random, self._number("M"))
            self._known.append(person)
        attending, diagnosis = random.choice(ATTENDING), random.choice(DIAGNOSES)
        return Visit(self._number("V"), person, kind, bed, attending, self._now, diagnosis)

    def _admit(self) -> _Told:
        visit = self._arrival("I", self._free.pop(self._random.randrange(len(self._free))))
        self._stays.append(visit)
        return ("ADT", "A01", "ADT_A01"), self._arrived(visit)

    def _register(self) -> _Told:
        emergency = self._random.random() < 0.5
        place = f"ED^{self._random.randrange(1, 9)}^A^{AUTHORITY}" if emergency else f"CLINIC^^^{AUTHORITY}"
        visit = self._arrival("E" if emergency else "O", place)
        self._visits.append(visit)
        return ("ADT", "A04", "ADT_A01"), self._arrived(visit)

    def _arrived(self, visit: Visit) -> list[str]:
        allergies = [al1(visit.person.allergy)] if visit.person.allergy else []
        return [evn(self._now), pid(visit.person, f"A{visit.number[1:]}"), pv1(visit), *allergies, dg1(visit)]

    def _transfer(self) -> _Told:
        visit = self._random.choice(self._stays)
        bed = self._free.pop(self._random.randrange(len(self._free)))
        self._free.append(visit.bed)
        visit.before, visit.bed = visit.bed, bed
        return ("ADT", "A02", "ADT_A02"), [evn(self._now), pid(visit.person), pv1(visit)]

    def _update(self) -> _Told:
        random = self._random
        visit = random.choice(self._stays + self._visits)
        person = visit.person
        what = random.randrange(4)
        if what == 0:
            person.street = people.street(random)
        elif what == 1:
            person.phone = "" if person.phone and random.random() < 0.2 else people.phone(random)
        elif what == 2:
            person.married = random.choice("SMDW")
        else:
            visit.attending = random.choice(ATTENDING)
        return ("ADT", "A08", "ADT_A01"), [evn(self._now), pid(person), pv1(visit)]

    def _discharge(self) -> _Told:
        visits = self._visits if self._visits and (not self._stays or self._random.random() < 0.5) else self._stays
        # Whoever came first is more likely to leave first.
        visit = visits.pop(min(self._random.randrange(len(visits)), self._random.randrange(len(visits))))
        if visits is self._stays:
            self._free.append(visit.bed)
        return ("ADT", "A03", "ADT_A03"), [evn(self._now), pid(visit.person), pv1(visit, self._now)]

    def _result(self) -> _Told:
        random = self._random
        present = self._stays + self._visits
        if self._open and (not present or random.random() < 0.5):
            reported = self._open.popleft()
        elif self._final and (not present or random.random() < 0.08):
            reported = self._final[random.randrange(len(self._final))]
        else:
            reported = order(random, self._number(""), random.choice(present), self._now)
        reported.advance(random)
        if reported.status == "P":
            self._open.append(reported)
        elif reported.status == "F":
            self._final.append(reported)
        return ("ORU", "R01", "ORU_R01"), reported.segments(self._now)

    def _other(self) -> _Told:
        random = self._random
        present = self._stays + self._visits
        if present and random.random() < 0.25:
            return self._note(random.choice(present))
        if self._booked and random.random() < 0.5:
            appointment = self._booked[random.randrange(len(self._booked))]
            event = random.choice(("S13", "S15", "S26"))
            if event == "S13":
                appointment.at += timedelta(days=random.randrange(1, 14))
            else:
                self._booked.remove(appointment)
        else:
            known = self._known[random.randrange(len(self._known))] if self._known else None
            person = known or people.person(random, self._number("M"))
            at = self._now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=random.randrange(24, 480))
            appointment = _Appointment(self._number("S"), person, random.choice(ATTENDING), at)
            self._booked.append(appointment)
            event = "S12"
        return ("SIU", event, "SIU_S12"), appointment.segments(event)

    def _note(self, visit: Visit) -> _Told:
        """A progress note, whose lines are observations of their own."""
        txa = {
            1: "1",
            2: "PN",
            3: "TX",
            4: stamp(self._now),
            5: visit.attending,
            12: f"{self._number('T')}^{AUTHORITY}",
            17: "AU",
            19: "AV",
        }
        said = (f"Seen on {self._now:%d %B}, nothing unusual.", f"Known: {visit.diagnosis[1]} & nothing else.")
        code = "11506-3^Progress note^LN"
        notes = [
            segment("OBX", {1: str(number), 2: "TX", 3: code, 4: str(number), 5: text(line), 11: "F"})
            for number, line in enumerate(said, 1)
        ]
        lines = [evn(self._now), pid(visit.person), pv1(visit), segment("TXA", txa), *notes]
        return ("MDM", "T02", "MDM_T02"), lines


_Told = tuple[tuple[str, str, str], list[str]]
"""Message type, event and structure, and the segments after the header."""


class _Appointment:
    """An appointment with one of the staff."""

    def __init__(self, number: str, person: Person, staff: str, at: datetime) -> None:
        self.number = number
        self.person = person
        self.staff = staff
        self.at = at

    def segments(self, event: str) -> list[str]:
        status = {"S12": "Booked", "S13": "Booked", "S15": "Cancelled", "S26": "Noshow"}[event]
        begin, end = stamp(self.at), stamp(self.at + timedelta(minutes=30))
        sch = {
            1: f"{self.number}^{AUTHORITY}",
            2: f"F{self.number}^{AUTHORITY}",
            6: f"{event}^{status}^L",
            7: "FOLLOWUP^Follow-up visit^HL70276",
            8: "NORMAL^Routine schedule request type^HL70277",
            9: "30",
            10: "min^minute^UCUM",
            11: f"^^30^{begin}^{end}",
            16: ATTENDING[0],
            20: ATTENDING[0],
            25: f"{status}^{status}^HL70278",
        }
        service = "11429006^Consultation^SCT"
        return [
            segment("SCH", sch),
            pid(self.person),
            segment("RGS", {1: "1", 2: "A"}),
            segment("AIS", {1: "1", 2: "A", 3: service, 4: begin, 7: "30", 8: "min^minute^UCUM"}),
            segment("AIL", {1: "1", 2: "A", 3: f"CLINIC^^^{AUTHORITY}"}),
            segment("AIP", {1: "1", 2: "A", 3: self.staff}),
        ]
