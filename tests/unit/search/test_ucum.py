"""Units of measure, held against the specification and against a second implementation. https://ucum.org/ucum"""

from __future__ import annotations

import csv
import random
import time
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from math import inf
from pathlib import Path

import pytest
import ucumvert
from hypothesis import given
from hypothesis import strategies as st
from ucumvert.parser import InvalidUcumError, get_ucum_parser, parse_ucum
from ucumvert.xml_util import get_units

from fhir_server.search import ucum

# Code, base units, factor and how many of the unit lie below zero; from the tables of https://ucum.org/ucum
SPECIFIED = [
    ("g", "g", "1", "0"),
    ("mg", "g", "1/1000", "0"),
    ("ug", "g", "1/1000000", "0"),
    ("kg", "g", "1000", "0"),
    ("t", "g", "1000000", "0"),
    ("[lb_av]", "g", "453.59237", "0"),
    ("[oz_av]", "g", "28.349523125", "0"),
    ("cm", "m", "1/100", "0"),
    ("[in_i]", "m", "0.0254", "0"),
    ("[ft_i]", "m", "0.3048", "0"),
    ("min", "s", "60", "0"),
    ("h", "s", "3600", "0"),
    ("d", "s", "86400", "0"),
    ("wk", "s", "604800", "0"),
    ("mo", "s", "2629800", "0"),
    ("a", "s", "31557600", "0"),
    ("ms", "s", "1/1000", "0"),
    ("/min", "s-1", "1/60", "0"),
    ("{beats}/min", "s-1", "1/60", "0"),
    ("Hz", "s-1", "1", "0"),
    ("L", "m3", "1/1000", "0"),
    ("l", "m3", "1/1000", "0"),
    ("mL", "m3", "1/1000000", "0"),
    ("fL", "m3", "1/1000000000000000000", "0"),
    ("mg/dL", "g.m-3", "10", "0"),
    ("g/L", "g.m-3", "1000", "0"),
    ("g%", "g.m-3", "10000", "0"),
    ("kg/m2", "g.m-2", "1000", "0"),
    ("kg.m-2", "g.m-2", "1000", "0"),
    ("mmol/L", "m-3.mol", "1", "0"),
    ("umol/L", "m-3.mol", "1/1000", "0"),
    ("meq/L", "m-3.mol", "1", "0"),
    ("U/L", "m-3.mol.s-1", "1/60000", "0"),
    ("10*3/uL", "m-3", "1000000000000", "0"),
    ("10*9/L", "m-3", "1000000000000", "0"),
    ("/uL", "m-3", "1000000000", "0"),
    ("N", "g.m.s-2", "1000", "0"),
    ("Pa", "g.m-1.s-2", "1000", "0"),
    ("kPa", "g.m-1.s-2", "1000000", "0"),
    ("mm[Hg]", "g.m-1.s-2", "133322", "0"),
    ("bar", "g.m-1.s-2", "100000000", "0"),
    ("J", "g.m2.s-2", "1000", "0"),
    ("kcal", "g.m2.s-2", "4184000", "0"),
    ("mV", "C-1.g.m2.s-2", "1", "0"),
    ("K", "K", "1", "0"),
    ("Cel", "K", "1", "273.15"),
    ("Cel{oral}", "K", "1", "273.15"),
    ("[degF]", "K", "5/9", "459.67"),
    ("[degRe]", "K", "5/4", "218.52"),
    ("mCel", "K", "1/1000", "273150"),
    ("[iU]", "[iU]", "1", "0"),
    ("[IU]", "[iU]", "1", "0"),
    ("k[IU]/mL", "[iU].m-3", "1000000000", "0"),
    ("[arb'U]", "[arb'U]", "1", "0"),
    ("[pH]", "[pH]", "1", "0"),
    ("dB[SPL]", "B[SPL]", "1/10", "0"),
    ("%", "1", "1/100", "0"),
    ("[ppm]", "1", "1/1000000", "0"),
    ("1", "1", "1", "0"),
    ("{score}", "1", "1", "0"),
    ("{a}{b}", "1", "1", "0"),
    ("10*", "1", "10", "0"),
    ("10^-2", "1", "1/100", "0"),
    ("g/g", "1", "1", "0"),
    ("dar", "m2", "10", "0"),
    ("dag", "g", "10", "0"),
    ("cd", "cd", "1", "0"),
    ("mL/min/{1.73_m2}", "m3.s-1", "1/60000000", "0"),
    ("mL/min/(173.10*-2.m2)", "m.s-1", "1/103800000", "0"),
    ("(8.h){shift}", "s", "28800", "0"),
    ("(/m)", "m-1", "1", "0"),
]
NUMBERS = st.one_of(
    st.integers(-(10**9), 10**9), st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=6)
)


@pytest.mark.parametrize(("code", "base", "factor", "below"), SPECIFIED)
def test_units_of_the_specification(code: str, base: str, factor: str, below: str) -> None:
    found = ucum.unit(code)
    assert found is not None
    assert found.base == base
    assert Fraction(found.factor, found.divisor) == Fraction(factor)
    assert Fraction(found.offset, found.divisor) == Fraction(factor) * Fraction(below)


@given(NUMBERS, st.sampled_from(SPECIFIED))
def test_numbers_in_base_units_are_correctly_rounded(number: int | Decimal, row: tuple[str, str, str, str]) -> None:
    code, _, factor, below = row
    found = ucum.unit(code)
    assert found is not None
    assert found.in_base(number) == float((Fraction(number) + Fraction(below)) * Fraction(factor))


@pytest.mark.parametrize(("code", "base", "factor", "below"), SPECIFIED)
def test_base_units_are_their_own_base(code: str, base: str, factor: str, below: str) -> None:
    assert ucum.unit(base) == ucum.Unit(base, 1, 0, 1)


@pytest.mark.parametrize(
    "code",
    [
        "", " ", "mg ", " mg", "milligram", "Mg/DL", "mmHg", "\u00b5g", "\u0663", "mg/", "/", "m//s", "m..s", "m2.",
        "(m", "m)", "()", "m{", "m}", "{a}m", "m{a}{b}", "m{\u00e4}", "m{a b}", "m0", "m-", "m+", "m100", "10*100", "0",
        "02", "10-3",
        "kmin", "kk", "k", "[in_i", "in_i]", "mm[hg]", "Cel/min", "2.Cel", "/Cel", "Cel2", "[degF].m",
        "[G]99", "Ym99.Ym99.Ym99", "(" * 17 + "m" + ")" * 17, "(" * 128, "[" * 128, "m." * 64 + "m",
        "{" + "a" * 127 + "}", "1" * 129, "m\x00", "m\n",
    ],
)  # fmt: skip
def test_what_is_no_unit(code: str) -> None:
    assert ucum.unit(code) is None


def test_as_deep_and_long_as_a_unit_can_be() -> None:
    assert ucum.unit("(" * 16 + "m" + ")" * 16) == ucum.unit("m")
    assert ucum.unit("m{" + "a" * 125 + "}") == ucum.unit("m")


@given(st.text(max_size=200) | st.text("mgsCel[]degF(){}./-+*^0123456789kud%'_", max_size=128))
def test_any_text_is_a_unit_or_none(text: str) -> None:
    found = ucum.unit(text)
    if found is not None:
        again = ucum.unit(found.base)
        assert again is None or again.base == found.base


def test_no_code_takes_long() -> None:
    pieces = [
        "m",
        "g",
        "[pi]",
        "[c]24",
        "[G]",
        "10*99",
        "a9",
        "(",
        ")",
        "1.",
        ".",
        "/",
        "[acr_br]-9",
        "{",
        "}",
        "9",
        "Cel",
    ]
    chance = random.Random(5)
    codes = ["".join(chance.choices(pieces, k=chance.randrange(1, 40)))[:128] for _ in range(5_000)]
    codes += ["[pi]9." * 20 + "m", "a" * 124 + "1234", "/[mi_us]-9" * 12, "m." * 63 + "m"]
    ucum.unit("m")
    start = time.process_time()
    for code in codes:
        ucum.unit(code)
    assert time.process_time() - start < len(codes) * 0.001


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (10**100_000, inf), (-(10**100_000), -inf), (inf, inf), (-inf, -inf), (0.5, 500.0),
        (Decimal("1e999999"), inf), (Decimal("-1e999999"), -inf), (Decimal("1e305"), 1e308), (Decimal("1e306"), inf),
        (Decimal("1e-999999"), 0.0), (Decimal("0e999999"), 0.0), (Decimal("0." + "3" * 100_000), 1000 / 3),
    ],
    ids=lambda _: "",
)  # fmt: skip
def test_numbers_of_any_size(number: float | Decimal, expected: float) -> None:
    kilogram = ucum.unit("kg")
    assert kilogram is not None
    assert kilogram.in_base(number) == expected


def test_vanishing_numbers_are_at_the_zero_of_their_scale() -> None:
    celsius = ucum.unit("Cel")
    assert celsius is not None
    assert celsius.in_base(Decimal("1e-999999")) == 273.15


EXAMPLES = Path(ucumvert.__file__).parent / "vendor" / "ucum_examples.tsv"


def codes() -> list[str]:
    """The official examples and every unit there is."""
    with EXAMPLES.open() as lines:
        return [row["UCUM_CODE"] for row in csv.DictReader(lines, delimiter="\t")] + get_units()


def test_the_same_codes_are_accepted_as_by_another_parser() -> None:
    parser = get_ucum_parser()
    wrong = [code[1:] for code in codes() if len(code) > 1]  # many of which are none
    seen: Counter[bool] = Counter()
    for code in codes() + wrong:
        try:
            parse_ucum(code, parser)
            expected = True
        except InvalidUcumError:
            expected = False
        # The grammar there lets a number carry an exponent and does not know which units no product can hold.
        if not any(special in code for special in ("Cel", "deg")) and not code[0].isdigit():
            assert (ucum.unit(code) is not None) is expected, code
            seen[expected] += 1
    assert seen[True] > 1_000
    assert seen[False] > 200


# Where Pint's own definition is another unit of the same name, is less precise than 1e-5, or has another system of
# electric units; ours are those of ucum-essence.xml.
OTHER_IN_PINT = {
    "[rd_br]", "[ch_br]", "[lk_br]", "[didot]", "[cicero]", "cal_[15]", "[Cal]", "[Btu]", "[in_i'H2O]", "[in_i'Hg]",
    "[LPF]", "'", "''", "Mx", "G", "Oe", "[cft_i]", "[cyd_i]", "[pH]", "g%",
}  # fmt: skip


def test_the_same_factors_as_pint() -> None:
    pint = ucumvert.PintUcumRegistry()
    compared = 0
    for code in codes():
        unit = ucum.unit(code)
        if unit is None or code in OTHER_IN_PINT or unit.base == "1":
            continue
        theirs = pint.from_ucum(code).to(pint.from_ucum(unit.base).units).magnitude
        assert unit.in_base(1) == pytest.approx(theirs, rel=1e-5), code
        compared += 1
    assert compared > 900
