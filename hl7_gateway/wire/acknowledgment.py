"""Acknowledgments: MSH, MSA and ERR in the form of the sender's version, with the sender's delimiters.

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.9.2 Message response using the original processing rules"
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from hl7_gateway.escapes import escape
from hl7_gateway.message import Delimiters, Heading, Message, Segment, heading
from hl7_gateway.problems import Malformed, Place, Refused
from hl7_gateway.wire import charset
from hl7_gateway.wire.versions import USUAL, VERSIONS, before

Code = Literal["AA", "AE", "AR", "CA", "CE", "CR"]

CONDITIONS: Final = {
    0: "Message accepted",
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    103: "Table value not found",
    104: "Value too long",
    200: "Unsupported message type",
    201: "Unsupported event code",
    202: "Unsupported processing id",
    203: "Unsupported version id",
    204: "Unknown key identifier",
    205: "Duplicate key identifier",
    206: "Application record locked",
    207: "Application internal error",
}
"""Table 0357. https://terminology.hl7.org/CodeSystem-v2-0357.html"""

_HEADER: Final = 16_384
_UNSENDABLE: Final = re.compile(r"[\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class Problem:
    """What an ERR segment tells. ``code`` is of table 0357, ``severity`` of table 0516: E, W or I."""

    code: int
    place: Place | None
    said: str
    severity: str = "E"


class Modes(NamedTuple):
    """When the sender wants an accept and an application acknowledgment: AL, NE, ER or SU of table 0155.

    ``accept`` is "" in the original mode, in which the application acknowledgment is the only one.
    """

    accept: str
    application: str

    @property
    def original(self) -> bool:
        """Whether one AA, AE or AR is all."""
        return not self.accept


def modes(message: Message) -> Modes:
    """What MSH-15 and MSH-16 ask for. Where one is sent and the other is not, the other is not wanted."""
    return message.heading.noted(_modes)


def _modes(heading: Heading) -> Modes:
    accept, application = heading.accept.strip().upper(), heading.answer.strip().upper()
    if not accept and not application:
        return Modes("", "AL")
    return Modes(_condition(accept), _condition(application))


def _condition(sent: str) -> str:
    # Who sends what there is not, is answered rather than left to wait.
    return sent if sent in ("AL", "NE", "ER", "SU") else "AL" if sent else "NE"


def wanted(condition: str, successful: bool) -> bool:
    """Whether an acknowledgment is sent under a condition of table 0155."""
    return condition == "AL" or condition == ("SU" if successful else "ER")


def acknowledge(
    received: Message | bytes,
    code: Code,
    control_id: str,
    problems: Sequence[Problem | Refused],
    now: datetime,
    *,
    expected: int | None = None,
) -> bytes:
    """The acknowledgment of a message, without its frame.

    ``received`` is its bytes where they did not parse, of which as much is answered as can be read. ``control_id`` is
    the acknowledgment's own (MSH-10), ``expected`` the sequence number for MSA-4. What problems say goes into it, so
    that it must not quote the message.
    """
    header = received.header if isinstance(received, Message) else _header(received)
    if isinstance(received, Message):
        form = received.heading.noted(_form)
    else:
        form = _form(heading(header.raw) if header is not None else None)
    answer, delimiters = form.answer, form.answer.delimiters
    told = [_told(problem) for problem in problems]
    msa = ["MSA", code, _sent(header, 10), _text(told, answer), str(expected) if expected is not None else ""]
    rest = [answer.line(msa), *answer.errors(told)]
    encoded, alphabet = _encoded("".join((form.names, *rest)), form)
    own = control_id if control_id.isalnum() else escape(control_id, delimiters)
    at = _stamp(now.replace(microsecond=0) if now.microsecond else now)
    msh = f"{form.start}{at}{form.middle}{own}{form.end}{alphabet}"
    return ("\r".join([answer.line([msh]), *rest]) + "\r").encode(encoded, "replace")


class _Form(NamedTuple):
    """How a sender is answered: an MSH before its time, between that and its control id, and up to its MSH-18.

    ``alphabet`` is the character set that the sender names, as it was sent, and ``codec`` reads it.
    """

    answer: _Answer
    names: str
    start: str
    middle: str
    end: str
    codec: str
    alphabet: str


def _form(said: Heading | None) -> _Form:
    header = said.segment if said is not None else None
    version = said.version if said is not None and said.version in VERSIONS else USUAL
    answer = _Answer(header.delimiters if header is not None else Delimiters(), version)
    cut = answer.delimiters.field
    names = cut.join([_sent(header, number) for number in (5, 6, 3, 4)])
    event = header.first(9).component(2).raw if header is not None else ""
    conditions = ["NE", "NE"] if header is not None and (header[15] or header[16]) else ["", ""]
    start = cut.join(["MSH", answer.delimiters.encoding, names, ""])
    middle = cut.join(["", "", answer.type(event), ""])
    end = cut.join(["", _sent(header, 11) or "P", version, "", "", *conditions, "", ""])
    return _Form(answer, names, start, middle, end, *_alphabet(_sent(header, 18), answer.delimiters))


@lru_cache(maxsize=8)
def _stamp(now: datetime) -> str:
    return f"{now:%Y%m%d%H%M%S}" + (f"{now:%z}" if now.tzinfo else "")


def _header(raw: bytes) -> Segment | None:
    """The MSH of bytes that are no message as a whole."""
    text = raw[:_HEADER].decode("utf-8", "replace").lstrip("\ufeff\x00\r\n\t ")
    try:
        return Message(re.split(r"[\r\n]", text, maxsplit=1)[0]).header
    except Malformed:
        return None


def _sent(header: Segment | None, number: int) -> str:
    """A field as the sender wrote it, escapes and components included."""
    found = header[number] if header is not None else ""
    return found if found.isprintable() else _UNSENDABLE.sub(" ", found)


def _told(problem: Problem | Refused) -> Problem:
    if isinstance(problem, Problem):
        return problem
    return Problem(problem.code, problem.place, problem.said)


def _text(told: list[Problem], answer: _Answer) -> str:
    # From 2.5 on, ERR has a field for people.
    if not told or not before(answer.version, "2.5"):
        return ""
    first = told[0]
    return escape(f"{first.place}: {first.said}" if first.place else first.said, answer.delimiters)


def _alphabet(declared: str, delimiters: Delimiters) -> tuple[str, str]:
    first = declared.split(delimiters.repetition)[0] if delimiters.repetition else declared
    codec = charset.codec(first)
    return ("ascii", "") if codec is None or codec.startswith(("utf-16", "utf-32")) else (codec, first)


def _encoded(text: str, form: _Form) -> tuple[str, str]:
    """The codec for what is sent, and MSH-18: the sender's character set where it has all characters."""
    codec, first = form.codec, form.alphabet
    if text.isascii():
        return codec, first
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return "utf-8", "UNICODE UTF-8"
    return codec, first


@dataclass(frozen=True, slots=True)
class _Answer:
    """How lines are written for a sender."""

    delimiters: Delimiters
    version: str

    def line(self, fields: list[str]) -> str:
        text = self.delimiters.field.join(fields)
        return text.rstrip(self.delimiters.field)

    def parts(self, parts: Sequence[str]) -> str:
        cut = self.delimiters.component
        return cut.join(parts).rstrip(cut)

    def type(self, event: str) -> str:
        event = _UNSENDABLE.sub(" ", event)
        if not event or before(self.version, "2.3.1"):
            return "ACK"
        return self.parts(("ACK", event, "ACK"))

    def errors(self, told: list[Problem]) -> list[str]:
        if before(self.version, "2.5"):
            return [self.line(["ERR", self._locations(told)])] if told else []
        return [self.line(self._error(problem)) for problem in told]

    def _error(self, problem: Problem) -> list[str]:
        code = (str(problem.code), self._condition(problem), "HL70357")
        said = escape(problem.said, self.delimiters)
        return ["ERR", "", self._place(problem.place), self.parts(code), problem.severity, "", "", "", said]

    def _condition(self, problem: Problem) -> str:
        return escape(CONDITIONS.get(problem.code, ""), self.delimiters)

    def _place(self, place: Place | None) -> str:
        if place is None:
            return ""
        repetition = place.repetition or (1 if place.component else 0)
        numbers = (place.field, repetition, place.component, place.subcomponent)
        return self.parts((place.segment, str(place.number), *(str(number) if number else "" for number in numbers)))

    def _locations(self, told: list[Problem]) -> str:
        """ERR-1 as it was before 2.5: segment, which one, field, and the code."""
        cut = self.delimiters.repetition
        return cut.join(self._location(problem) for problem in (told if cut else told[:1]))

    def _location(self, problem: Problem) -> str:
        place, inner = problem.place, self.delimiters.subcomponent
        code = str(problem.code)
        if inner and not before(self.version, "2.3"):
            code = inner.join((code, self._condition(problem), "HL70357"))
        if place is None:
            return self.parts(("", "", "", code))
        return self.parts((place.segment, str(place.number), str(place.field) if place.field else "", code))
