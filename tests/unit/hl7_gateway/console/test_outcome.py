"""What a message would do, as a page tells it."""

from __future__ import annotations

from hl7_gateway.console.outcome import Tally, outcome
from hl7_gateway.problems import Place, Refused
from hl7_gateway.replaying import Preview


def test_what_goes_stands_before_what_comes_in_its_place() -> None:
    preview = Preview(
        {"Patient/a": (['name[10].family = "X"', 'gender = "male"'], ['gender = "female"', 'name[2].family = "Y"'])},
        ["PID-7: a date"],
        None,
        frozenset({"Patient/b"}),
    )
    told = outcome(preview)
    (changed,) = told.changed
    assert [f"{one.sign} {one.text}" for one in changed.elements] == [
        '- gender = "male"',
        '+ gender = "female"',
        '+ name[2].family = "Y"',
        '- name[10].family = "X"',
    ]
    assert (changed.is_new, changed.left, told.problem, told.warnings) == (False, 0, "", ("PID-7: a date",))


def test_many_elements_are_counted_rather_than_shown() -> None:
    lines = [f"note[{n}].text = 1" for n in range(1000)]
    (changed,) = outcome(Preview({"Patient/a": ([], lines)}, [], None, frozenset({"Patient/a"}))).changed
    assert (len(changed.elements), changed.left, changed.is_new) == (300, 700, True)


def test_several_are_told_in_numbers() -> None:
    tally = Tally()
    for name in ("a", "b"):
        tally.add(
            Preview(
                {f"Patient/{name}": ([], ["x = 1"]), "Location/1": (["y = 1"], [])}, [], None, frozenset({"Patient/a"})
            )
        )
    tally.add(Preview({}, [], None))
    for _ in range(2):
        tally.add(Preview({}, [], Refused(101, "AE", Place("PID", field=3), "required")))
    assert (tally.tried, tally.stored, tally.dead, tally.unchanged) == (5, 3, 2, 1)
    assert list(tally.lines()) == ["new: 1 Patient", "changed: 2 Locations and 1 Patient"]
    assert tally.problems == {"101 PID-3: required": 2}
