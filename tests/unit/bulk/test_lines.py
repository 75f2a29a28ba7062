from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from fhir_server.bulk import lines
from fhir_server.bulk.session import Session
from fhir_server.r4.subset import SUBSETTED
from tests.unit.bulk.loading import INVALID, batch, bundle, load_lines, patient, positions, post, put, stored


def test_with_an_id_it_is_put_there_and_without_one_created(session: Session, rows: Callable[[str], int]) -> None:
    outcome = load_lines(session, patient(1), patient(), patient())
    assert (outcome.loaded, outcome.skipped, outcome.failures) == (3, 0, [])
    assert rows("resource") == 3
    assert rows("idx_token") > 0
    assert (stored(session, "Patient/p1") or {})["meta"]["versionId"] == "1"


def test_what_is_there_becomes_the_next_version(session: Session, rows: Callable[[str], int]) -> None:
    load_lines(session, patient(1), patient(2))
    outcome = load_lines(session, patient(3), patient(1, active=True), patient(4))
    assert outcome.loaded == 3
    found = stored(session, "Patient/p1") or {}
    assert (found["active"], found["meta"]["versionId"]) == (True, "2")
    assert rows("resource_history") == 1


def test_id_that_comes_twice_in_a_batch_ends_as_the_last_one(session: Session) -> None:
    load_lines(session, patient(1, active=True), patient(2), patient(1, active=False))
    found = stored(session, "Patient/p1") or {}
    assert (found["active"], found["meta"]["versionId"]) == (False, "2")


def test_what_is_wrong_holds_up_no_other_and_is_told_by_line(session: Session, rows: Callable[[str], int]) -> None:
    outcome = load_lines(
        session, patient(1), INVALID, b"", b"{no json", None, [1], {"id": "x"}, patient("/"), patient(2)
    )
    assert outcome.loaded == rows("resource") == 2
    told = {failure.place.line: failure.issues[0] for failure in outcome.failures}
    assert sorted(told) == [2, 4, 5, 6, 7, 8]
    assert told[2].expression == "Patient.active"
    assert "not JSON" in told[4].diagnostics
    assert "longer than" in told[5].diagnostics
    assert told[8].expression == "Patient.id"
    assert [failure.resource_type for failure in outcome.failures if failure.place.line in (2, 6)] == ["Patient", ""]


def test_second_time_nothing_is_loaded(session: Session, rows: Callable[[str], int]) -> None:
    load_lines(session, patient(), patient(1))
    outcome = load_lines(session, patient(), patient(1))
    assert (outcome.loaded, outcome.skipped) == (0, 2)
    assert rows("resource") == 2
    assert rows("resource_history") == 0


def test_second_time_only_what_failed_is_tried(session: Session, rows: Callable[[str], int]) -> None:
    given = [patient(), INVALID, patient(), b"{"]
    assert sorted(positions(load_lines(session, *given))) == [1, 3]
    outcome = load_lines(session, *given)
    assert (outcome.loaded, outcome.skipped) == (0, 2)
    assert sorted(positions(outcome)) == [1, 3]
    assert rows("resource") == 2


def test_again_loads_everything_anew(
    session: Session, new_session: Callable[..., Session], rows: Callable[[str], int]
) -> None:
    load_lines(session, patient(), patient(1), INVALID)
    outcome = load_lines(new_session(again=True), patient(), patient(1), INVALID)
    assert (outcome.loaded, outcome.skipped, positions(outcome)) == (2, 0, [2])
    assert rows("resource") == 3
    assert rows("resource_history") == 1
    outcome = load_lines(session, patient(), patient(1), INVALID)
    assert (outcome.loaded, outcome.skipped, positions(outcome)) == (0, 2, [2])


def test_data_and_note_are_one_transaction(
    session: Session, rows: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Session, "note", _crash)
        with pytest.raises(KeyboardInterrupt):
            load_lines(session, patient(), patient(1))
    assert rows("resource") == rows("load_progress") == 0
    assert load_lines(session, patient(), patient(1)).loaded == 2


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def test_bundle_on_a_line_is_processed(session: Session, rows: Callable[[str], int]) -> None:
    given = [
        patient(1),
        bundle("transaction", post(patient()), put(patient(2))),
        bundle("document", {}) | {"entry": []},
    ]
    outcome = load_lines(session, *given)
    assert outcome.loaded == 3
    # The document is a resource as good as any, save that this one is not valid.
    assert positions(outcome) == [2]
    outcome = load_lines(session, *given)
    assert (outcome.loaded, outcome.skipped) == (0, 2)
    assert rows("resource") == 3


def test_bundle_that_was_loaded_before_a_crash_is_not_loaded_again(
    session: Session, rows: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [patient(1), bundle("transaction", post(patient()))]
    with monkeypatch.context() as patched:
        patched.setattr("fhir_server.bulk.resources.load", _crash)
        with pytest.raises(KeyboardInterrupt):
            load_lines(session, *given)
    assert rows("resource") == 1
    outcome = load_lines(session, *given)
    assert (outcome.loaded, outcome.skipped) == (1, 1)
    assert rows("resource") == 2


def test_bundle_that_waits_is_tried_alone(session: Session, rows: Callable[[str], int]) -> None:
    reference = {"reference": "Practitioner?identifier=urn:npi|1"}
    waiting = bundle("transaction", post(patient(generalPractitioner=[reference])))
    work = batch(patient(), INVALID, waiting, patient())
    outcome = lines.load(session, work)
    assert outcome.loaded == 2
    assert [failure.position for failure in outcome.waiting] == [2]
    practitioner = {"resourceType": "Practitioner", "id": "a", "identifier": [{"system": "urn:npi", "value": "1"}]}
    load_lines(session, practitioner)
    outcome = lines.load(session, replace(work, only=frozenset({2})))
    assert (outcome.loaded, outcome.skipped, outcome.failures, outcome.waiting) == (1, 0, [], [])
    assert positions(lines.load(session, work)) == [1]
    assert rows("resource") == 4


def test_resource_that_postgresql_cannot_store_fails_alone(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = lines.resources.prepare

    def spoilt(*arguments: object) -> object:
        write = prepare(*arguments)  # type: ignore[arg-type]
        return replace(write, body=b'{"language":"\\u0000"}') if b'"active":false' in (write.body or b"") else write

    monkeypatch.setattr(lines.resources, "prepare", spoilt)
    outcome = load_lines(session, patient(1), patient(2, active=False), patient(3))
    assert outcome.loaded == 2
    assert positions(outcome) == [1]
    assert "SQLSTATE 22P05" in outcome.failures[0].issues[0].diagnostics
    assert stored(session, "Patient/p1")
    assert stored(session, "Patient/p2") is None
    assert stored(session, "Patient/p3")


def test_deep_nesting_is_an_issue(session: Session) -> None:
    deep = b'{"resourceType":"Patient","extension":' + b'[{"extension":' * 5000 + b"1" + b"}]" * 5000 + b"}"
    outcome = load_lines(session, deep, patient(1))
    assert outcome.loaded == 1
    assert positions(outcome) == [0]


@pytest.mark.parametrize("given", [patient(2), bundle("transaction", put(patient(2)))])
def test_defect_of_ours_holds_up_no_other(
    session: Session, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, given: dict[str, object]
) -> None:
    def broken(resource: dict[str, object]) -> None:
        if resource.get("id") == "p2":
            raise KeyError("secret")

    monkeypatch.setattr("fhir_server.validation.validate", broken)
    outcome = load_lines(session, patient(1), given, patient(3))
    assert outcome.loaded == 2
    assert positions(outcome) == [1]
    assert outcome.failures[0].issues[0].diagnostics == "Unexpected KeyError: this is a defect, please report it."
    assert "unexpected error while loading" in caplog.text


def test_a_part_of_a_resource_does_not_replace_the_whole(session: Session) -> None:
    """An export with _elements is tagged so. https://hl7.org/fhir/R4/search.html#elements"""
    load_lines(session, patient(1, active=True))
    part = patient(1, meta={"tag": [SUBSETTED]})
    (failure,) = load_lines(session, part).failures
    assert (failure.issues[0].code, failure.issues[0].expression) == ("business-rule", "Patient.meta.tag")
    assert (stored(session, "Patient/p1") or {})["active"] is True
