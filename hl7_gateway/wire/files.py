"""The messages in a file as bytes: one, several, a batch, or frames as they were recorded. docs/hl7.md"""

from __future__ import annotations

from hl7_gateway.problems import Malformed
from hl7_gateway.wire.batch import split
from hl7_gateway.wire.mllp import START, Frame, Frames


def messages(raw: bytes) -> list[bytes]:
    """Every message of a file, its segments ended by carriage returns. Raises Malformed where there is none."""
    if START in raw:
        frames = Frames(len(raw))
        found = [event.payload for event in frames.feed(raw) if isinstance(event, Frame)]
    else:
        # One character for each byte, whatever the character set: only line ends and three letters are looked at.
        text = raw.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
        found = [message.encode("latin-1") for message in split(text).messages]
    if not found:
        raise Malformed("There is no message in this file: each begins with MSH and its delimiters.")
    return [message.replace(b"\r\n", b"\r").replace(b"\n", b"\r") for message in found]
