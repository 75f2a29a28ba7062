"""Escape sequences in the text of a field, resolved.

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.7 Use of escape sequences" """

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hl7_gateway.message import Delimiters


def unescape(raw: str, delimiters: Delimiters) -> str:
    """The text that is meant: \\F\\ \\S\\ \\T\\ \\R\\ \\E\\ become delimiters, \\.br\\ a line end, \\X41\\ characters.

    Highlighting (\\H\\, \\N\\) is left out, sequences that are unknown are kept as they are.
    """
    escape = delimiters.escape
    if not escape or escape not in raw:
        return raw
    pieces = raw.split(escape)
    out = [pieces[0]]
    index = 1
    while index < len(pieces):
        piece = pieces[index]
        if index + 1 == len(pieces):
            # An escape character that nothing closes stands for itself.
            out.append(escape + piece)
            break
        found = _meaning(piece, delimiters)
        if found is None:
            out.append(escape + piece)
            index += 1
            continue
        out += (found, pieces[index + 1])
        index += 2
    return "".join(out)


def _meaning(sequence: str, delimiters: Delimiters) -> str | None:
    plain = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "H": "",
        "N": "",
        ".br": "\n",
    }.get(sequence)
    if plain is not None:
        return plain
    if sequence[:1] == "X" and len(sequence) % 2 == 1 and len(sequence) > 1:
        try:
            return bytes.fromhex(sequence[1:]).decode("latin-1")
        except ValueError:
            return None
    return None
