"""Messages out of files. docs/hl7.md"""

from __future__ import annotations

from pathlib import Path

import pytest

from hl7_gateway.problems import Malformed
from hl7_gateway.wire.files import messages
from hl7_gateway.wire.mllp import frame

SAMPLES = Path("/work/shared/data/hl7v2")
ONE = b"MSH|^~\\&|A\rPID|1||\xe9\x85\r"
TWO = b"MSH|^~\\&|B\rPID|2\r"


@pytest.mark.parametrize(
    "raw",
    [
        ONE + TWO,
        b"\xef\xbb\xbf" + ONE.replace(b"\r", b"\n") + TWO.replace(b"\r", b"\r\n"),
        frame(ONE) + frame(TWO),
        b"FHS|^~\\&\rBHS|^~\\&\r" + ONE + TWO + b"BTS|2\rFTS|1\r",
    ],
)
def test_every_kind_of_file(raw: bytes) -> None:
    assert messages(raw) == [ONE, TWO]


@pytest.mark.parametrize("raw", [b"", b"{}", b"\x0b"])
def test_a_file_without_a_message(raw: bytes) -> None:
    with pytest.raises(Malformed):
        messages(raw)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the sample messages")
def test_every_sample_is_one_message() -> None:
    for path in SAMPLES.glob("*.hl7"):
        (only,) = messages(path.read_bytes())
        assert only.startswith(b"MSH|")
        assert only.count(b"\r") >= 3
