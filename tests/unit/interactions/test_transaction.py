"""A transaction that has to be run again gives what it would have given at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from psycopg.errors import DeadlockDetected

from fhir_server.access.policy import EVERYTHING
from fhir_server.errors import Conflict, FhirError, PreconditionFailed, TooLarge
from fhir_server.interactions import bundle, transaction
from fhir_server.interactions.context import Context, Limits
from fhir_server.r4 import json
from fhir_server.store.session import Database
from fhir_server.store.store import Store

T = TypeVar("T")
Json = dict[str, Any]


class Losing(Store):
    """A store whose transactions lose against a parallel one at their end, so many times."""

    losses = 1

    def transaction(self, work: Callable[[Store], T]) -> T:
        left = [self.losses]

        def run(inner: Store) -> T:
            result = work(inner)
            if left[0]:
                left[0] -= 1
                raise DeadlockDetected
            return result

        return super().transaction(run)


def losing(ctx: Context, pool: Database, losses: int = 1) -> Context:
    store = Losing(pool, ctx.store.hasher, ctx.store.tenant_id)
    store.__class__ = type("LosingSo", (Losing,), {"losses": losses, "__slots__": ()})
    return ctx.within(store, ctx.access)


def patient(value: str, **elements: Any) -> Json:
    return {"resourceType": "Patient", "identifier": [{"value": value}], **elements}


def observation(subject: str) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": subject},
    }


def entry(method: str, url: str, resource: Json | None = None, full_url: str = "", **request: str) -> Json:
    made: Json = {"request": {"method": method, "url": url, **request}}
    return made | ({"resource": resource} if resource else {}) | ({"fullUrl": full_url} if full_url else {})


def everything() -> Json:
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            entry("POST", "Patient", patient("new"), "urn:uuid:1", ifNoneExist="identifier=new"),
            entry("POST", "Patient", patient("there"), "urn:uuid:2", ifNoneExist="identifier=there"),
            entry("PUT", "Patient?identifier=by-query", patient("by-query"), "urn:uuid:3"),
            entry("PUT", "Patient/known", patient("known", id="known"), "urn:uuid:4"),
            entry("DELETE", "Patient/gone"),
            entry("POST", "Observation", observation("urn:uuid:1")),
            entry("POST", "Observation", observation("urn:uuid:2")),
            entry("POST", "Observation", observation("urn:uuid:3")),
            entry("POST", "Observation", observation("urn:uuid:4")),
            entry("POST", "Observation", observation("Patient?identifier=new")),
            entry("GET", "Patient?identifier=new"),
        ],
    }


@pytest.mark.parametrize("losses", [0, 1, 3])
def test_repeated_attempts(context: Callable[..., Context], pool: Database, losses: int) -> None:
    ctx = context()
    for value in ("there", "known", "gone"):
        url, resource = f"Patient/{value}", patient(value, id=value)
        bundle.run(ctx, {"resourceType": "Bundle", "type": "batch", "entry": [entry("PUT", url, resource)]})
    response = bundle.run(losing(ctx, pool, losses), everything())
    assert response.body is not None
    made = json.parse(response.body)["entry"]
    assert [e["response"]["status"][:3] for e in made] == [
        "201", "200", "201", "200", "204", "201", "201", "201", "201", "201", "200",
    ]  # fmt: skip
    paths = [e["response"].get("location", "").partition("/_history/")[0] for e in made]
    subjects = []
    for path in paths[5:10]:
        stored = ctx.store.read(EVERYTHING, *path.split("/"))
        assert stored is not None
        assert stored.version == 1
        subjects.append(json.parse(stored.to_bytes())["subject"]["reference"])
    assert subjects == [paths[0], "Patient/there", paths[2], "Patient/known", paths[0]]
    assert made[10]["resource"]["total"] == 1
    known = ctx.store.read(EVERYTHING, "Patient", "known")
    assert known is not None
    assert known.version == 2


def test_one_that_always_loses_is_refused(context: Callable[..., Context], pool: Database) -> None:
    with pytest.raises(Conflict):
        bundle.run(losing(context(), pool, 99), everything())


def test_it_joins_a_transaction_that_is_under_way(context: Callable[..., Context]) -> None:
    ctx = context()

    class Undone(Exception):
        pass

    def work(store: Store) -> None:
        transaction.run(ctx.within(store, ctx.access), {"entry": [entry("PUT", "Patient/1", patient("1", id="1"))]})
        assert store.read(EVERYTHING, "Patient", "1") is not None
        raise Undone

    with pytest.raises(Undone):
        ctx.store.transaction(work)
    assert ctx.store.read(EVERYTHING, "Patient", "1") is None


def test_entries_are_limited(context: Callable[..., Context]) -> None:
    ctx = context()
    limited = Context(
        ctx.tenant, ctx.principal, ctx.access, ctx.store, ctx.base_url, limits=Limits(max_bundle_entries=2)
    )
    with pytest.raises(TooLarge):
        bundle.run(limited, {"resourceType": "Bundle", "type": "batch", "entry": [1, 2, 3]})


@pytest.mark.parametrize(
    "body", [None, [], "x", 7, {"resourceType": "Patient"}, {"resourceType": "Bundle", "type": ["batch"]}]
)
def test_what_is_no_bundle_is_refused(context: Callable[..., Context], body: Any) -> None:
    with pytest.raises(FhirError):
        bundle.run(context(), body)


def test_look_ups_are_limited(context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.interactions.bundle_lookup.MAX_QUERIES", 3)
    entries = [entry("POST", "Observation", observation(f"Patient?identifier={number}")) for number in range(5)]
    with pytest.raises(FhirError) as raised:
        bundle.run(context(), {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert isinstance(raised.value, TooLarge)
    assert raised.value.issues[0].expression == "Bundle.entry[3].resource.subject.reference"


def test_an_answer_lists_so_many_conditional_references(
    context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.interactions.bundle_lookup.MAX_REPORTED", 3)
    performers = [{"reference": f"Patient?identifier={number % 2}"} for number in range(50)]
    one = entry("POST", "Observation", observation("Patient/1") | {"performer": performers})
    with pytest.raises(PreconditionFailed) as raised:
        bundle.run(context(), {"resourceType": "Bundle", "type": "transaction", "entry": [one]})
    assert [issue.expression for issue in raised.value.issues] == [
        f"Bundle.entry[0].resource.performer[{number}].reference" for number in range(3)
    ]
