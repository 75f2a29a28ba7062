from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_server.bulk.bundles import is_processed
from fhir_server.bulk.session import Session
from tests.unit.bulk.loading import INVALID, bundle, load_bundle, patient, post, put, stored

ORGANIZATION = {"resourceType": "Organization", "identifier": [{"system": "urn:s", "value": "1"}]}
BY_QUERY = {"managingOrganization": {"reference": "Organization?identifier=urn:s|1"}}


@pytest.mark.parametrize("kind", ["transaction", "batch", "collection", "searchset"])
def test_bundles_that_are_processed(kind: str) -> None:
    assert is_processed(bundle(kind))


@pytest.mark.parametrize("resource", [bundle("document"), bundle("history"), patient(), [], {"resourceType": "Bundle"}])
def test_what_is_a_resource_like_others(resource: object) -> None:
    assert not is_processed(resource)


def test_transaction_is_loaded_once_with_its_links(session: Session, rows: Callable[[str], int]) -> None:
    urn = "urn:uuid:0b4b4a4e-0000-4000-8000-000000000001"
    content = bundle("transaction", post(ORGANIZATION, urn), put(patient(1, managingOrganization={"reference": urn})))
    assert load_bundle(session, content).loaded == 2
    reference = (stored(session, "Patient/p1") or {})["managingOrganization"]["reference"]
    assert stored(session, reference)
    outcome = load_bundle(session, content)
    assert (outcome.loaded, outcome.skipped) == (0, 2)
    assert rows("resource") == 2


def test_transaction_that_is_refused_leaves_nothing_and_tells_every_entry(
    session: Session, rows: Callable[[str], int]
) -> None:
    outcome = load_bundle(session, bundle("transaction", post(patient()), post(INVALID), post(INVALID)))
    assert outcome.loaded == rows("resource") == rows("load_progress") == 0
    assert [(failure.place.entry, failure.resource_type) for failure in outcome.failures] == [
        (1, "Patient"),
        (2, "Patient"),
    ]
    assert outcome.failures[0].issues[0].expression == "Bundle.entry[1].resource.active"


def test_data_and_note_are_one_transaction(
    session: Session, rows: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Session, "note", crash)
        with pytest.raises(KeyboardInterrupt):
            load_bundle(session, bundle("transaction", post(patient())))
    assert rows("resource") == 0
    assert load_bundle(session, bundle("transaction", post(patient()))).loaded == 1


def test_conditional_reference_that_matches_nothing_waits(session: Session) -> None:
    content = bundle("transaction", post(patient(**BY_QUERY)), post(patient()))
    outcome = load_bundle(session, content)
    assert (outcome.loaded, outcome.failures) == (0, [])
    assert [failure.place.entry for failure in outcome.waiting] == [0]
    load_bundle(session, bundle("transaction", post(ORGANIZATION)))
    assert load_bundle(session, content, frozenset({0})).loaded == 2


def test_entries_of_a_batch_stand_for_themselves(session: Session, rows: Callable[[str], int]) -> None:
    content = bundle("batch", post(patient()), post(INVALID), put(patient(1)), post(patient(**BY_QUERY)))
    outcome = load_bundle(session, content)
    assert outcome.loaded == rows("resource") == 2
    assert [failure.place.entry for failure in outcome.failures] == [1]
    assert outcome.failures[0].issues[0].expression == "Bundle.entry[1].resource.active"
    assert [failure.place.entry for failure in outcome.waiting] == [3]
    load_bundle(session, bundle("transaction", post(ORGANIZATION)))
    outcome = load_bundle(session, content, frozenset({3}))
    assert (outcome.loaded, outcome.skipped, outcome.failures) == (1, 0, [])
    outcome = load_bundle(session, content)
    assert (outcome.loaded, outcome.skipped) == (0, 3)
    assert [failure.place.entry for failure in outcome.failures] == [1]
    assert rows("resource") == 4


def test_batch_in_order_is_one_transaction(session: Session, rows: Callable[[str], int]) -> None:
    content = bundle("batch", *(post(patient()) for _ in range(5)))
    assert load_bundle(session, content).loaded == 5
    assert rows("load_progress") == 1
    assert load_bundle(session, content).skipped == 5


@pytest.mark.parametrize("kind", ["collection", "searchset"])
def test_collection_is_the_resources_in_it(session: Session, rows: Callable[[str], int], kind: str) -> None:
    outcome_entry = {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
    entries = [
        {"resource": patient(1)},
        {"resource": INVALID},
        {"fullUrl": "http://a/Patient/2"},
        {"resource": patient()},
    ]
    content = bundle(kind, *entries, outcome_entry)
    outcome = load_bundle(session, content)
    assert outcome.loaded == rows("resource") == 2
    assert [failure.place.entry for failure in outcome.failures] == [1]
    outcome = load_bundle(session, content)
    assert (outcome.loaded, outcome.skipped) == (0, 4)


def test_collection_with_links_keeps_them(session: Session, rows: Callable[[str], int]) -> None:
    urn = "urn:uuid:0b4b4a4e-0000-4000-8000-000000000001"
    linked = {"resource": patient(1, managingOrganization={"reference": urn})}
    content = bundle("collection", {"fullUrl": urn}, {"fullUrl": urn, "resource": ORGANIZATION}, linked)
    content["entry"][0].pop("fullUrl")
    assert load_bundle(session, content).failures == []
    reference = (stored(session, "Patient/p1") or {})["managingOrganization"]["reference"]
    assert stored(session, reference)
    assert rows("resource") == 2


def test_collection_with_links_tells_entries_by_their_own_numbers(session: Session) -> None:
    urn = "urn:uuid:0b4b4a4e-0000-4000-8000-000000000001"
    content = bundle("collection", {}, {"fullUrl": urn, "resource": INVALID})
    (failure,) = load_bundle(session, content).failures
    assert failure.place.entry == 1
    assert failure.issues[0].expression == "Bundle.entry[1].resource.active"


@pytest.mark.parametrize(
    "entry",
    [
        7,
        "text",
        None,
        {},
        {"a": 1},
        [[1]],
        [{"request": 1}],
        [{"resource": []}],
        [None],
        [{"resource": 1, "request": {}}],
    ],
)
@pytest.mark.parametrize("kind", ["transaction", "batch", "collection"])
def test_bundle_that_is_none_is_told_and_never_a_crash(session: Session, kind: str, entry: object) -> None:
    outcome = load_bundle(session, {"resourceType": "Bundle", "type": kind, "entry": entry})
    assert outcome.loaded == 0 or kind == "collection"
    told = [issue for failure in outcome.failures for issue in failure.issues]
    assert told or (kind == "collection" and not any(isinstance(e, dict) and "resource" in e for e in entry or []))  # type: ignore[union-attr]
