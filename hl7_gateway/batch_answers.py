"""Acknowledgments of the messages of a batch, as a batch.

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.10.3.3 Acknowledging batches"
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hl7_gateway.escapes import escape
from hl7_gateway.problems import Malformed
from hl7_gateway.reading import ReadBatch
from hl7_gateway.segment import Delimiters, read_delimiters


def batch(found: ReadBatch, told: Sequence[bytes], control_id: str, now: datetime) -> bytes:
    """A batch of acknowledgments, in the order of the messages, with what is wrong with the batch in its trailer."""
    try:
        delimiters = read_delimiters("MSH" + found.header[3:])
    except Malformed:
        delimiters = Delimiters()
    cut = delimiters.field
    fields = [*found.header.split(cut), *[""] * 11]

    def sent(number: int) -> str:
        # Field 1 is the separator itself.
        return fields[number - 1]

    names = [sent(number) for number in (5, 6, 3, 4)]
    # BHS-11 and FHS-11 are ids of batches; MSH-11 is something else.
    reference = "" if found.header.startswith("MSH") else sent(11)
    head = ["BHS", delimiters.encoding, *names, f"{now:%Y%m%d%H%M%S%z}", "", "", "", control_id, reference]
    wrong = "; ".join(f"{one.place}: {one.said}" if one.place else one.said for one in found.batch.problems)
    tail = ["BTS", str(len(told)), escape(wrong, delimiters)]
    first, last = (cut.join(line).rstrip(cut).encode(found.codec, "replace") for line in (head, tail))
    return b"\r".join([first, *(one.rstrip(b"\r") for one in told), last]) + b"\r"
