"""Conditional entries of bundles, and bundles at the same time. https://hl7.org/fhir/R4/http.html#trules"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.functional.bundles import (
    count,
    done,
    entry,
    failed,
    identified,
    observation,
    path,
    patient,
    post,
    put,
    statuses,
    transaction,
    urn,
    where,
)
from tests.functional.conftest import Answer, Api


def test_if_match(api: Api) -> None:
    api.put("Patient/1", patient(id="1"))
    assert statuses(api.post("", transaction(put(patient(id="1", active=True), ifMatch='W/"1"')))) == ["200"]
    both = transaction(post(identified("out")), put(patient(id="1"), ifMatch='W/"1"'))
    assert where(failed(api.post("", both), 412)) == ["Bundle.entry[1]"]
    assert count(api, "Patient?identifier=out") == 0
    assert failed(api.post("", transaction(put(patient(id="1"), ifNoneMatch="*"))), 412)
    assert failed(api.post("", transaction(entry("DELETE", "Patient/1", ifMatch='W/"9"'))), 412)
    assert api.get("Patient/1").headers["ETag"] == 'W/"2"'


def test_conditional_reads(api: Api) -> None:
    api.put("Patient/1", patient(id="1"))
    answer = api.post(
        "",
        transaction(
            entry("GET", "Patient/1", ifNoneMatch='W/"1"'),
            entry("GET", "Patient/1", ifModifiedSince="2099-01-01T00:00:00Z"),
            entry("GET", "Patient/1", ifModifiedSince="2001-01-01T00:00:00Z"),
            entry("GET", "Patient/1?_elements=active"),
            entry("GET", "Patient/1/_history/1"),
            entry("GET", "Patient/1/_history"),
        ),
    )
    assert statuses(answer) == ["304", "304", "200", "200", "200", "200"]
    made = done(answer)
    assert "resource" not in made[0]
    assert made[3]["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert made[5]["resource"]["type"] == "history"


def test_if_none_exist_and_references_to_what_exists(api: Api) -> None:
    there = api.post("Patient", identified("known"))
    known, unknown = urn(), urn()
    sent = transaction(
        post(observation(known)),
        post(observation(unknown)),
        post(identified("known"), known, ifNoneExist="identifier=urn:oid:1.2.3|known"),
        post(identified("unknown"), unknown, ifNoneExist="Patient?identifier=urn:oid:1.2.3|unknown"),
    )
    answer = api.post("", sent)
    assert statuses(answer) == ["201", "201", "200", "201"]
    made = done(answer)
    assert path(made[2]) == f"Patient/{there.id}"
    assert api.get(path(made[0])).json["subject"]["reference"] == f"Patient/{there.id}"
    assert api.get(path(made[1])).json["subject"]["reference"] == path(made[3])
    again = done(api.post("", sent))
    assert [path(e) for e in again[2:]] == [path(e) for e in made[2:]]
    api.post("Patient", identified("known"))
    assert where(failed(api.post("", sent), 412)) == ["Bundle.entry[2]"]


def test_the_same_conditional_create_twice_is_one_resource(api: Api) -> None:
    a, b = urn(), urn()
    answer = api.post(
        "",
        transaction(
            post(identified("1"), a, ifNoneExist="identifier=1"),
            post(observation(b)),
            post(identified("1"), b, ifNoneExist="identifier=1"),
        ),
    )
    assert statuses(answer) == ["201", "201", "200"]
    made = done(answer)
    assert path(made[0]) == path(made[2])
    assert api.get(path(made[1])).json["subject"]["reference"] == path(made[0])
    assert count(api, "Patient?identifier=1") == 1


def test_conditional_update_patch_and_delete(api: Api) -> None:
    api.put("Patient/u", identified("u", id="u"))
    api.put("Patient/p", identified("p", id="p"))
    api.put("Patient/d", identified("d", id="d"))
    change = {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "operation",
                "part": [
                    {"name": "type", "valueCode": "add"},
                    {"name": "path", "valueString": "Patient"},
                    {"name": "name", "valueString": "active"},
                    {"name": "value", "valueBoolean": True},
                ],
            }
        ],
    }
    updated, created = urn(), urn()
    answer = api.post(
        "",
        transaction(
            entry("PUT", "Patient?identifier=u", identified("u", gender="male"), updated),
            entry("PUT", "Patient?identifier=n", identified("n"), created),
            entry("PATCH", "Patient?identifier=p", change),
            entry("DELETE", "Patient?identifier=d"),
            entry("DELETE", "Patient?identifier=nobody"),
            post(observation(updated)),
            post(observation(created)),
        ),
    )
    assert statuses(answer) == ["200", "201", "200", "204", "204", "201", "201"]
    made = done(answer)
    assert api.get("Patient/u").json["gender"] == "male"
    assert api.get("Patient/p").json["active"] is True
    assert api.get("Patient/d").status == 410
    assert api.get(path(made[5])).json["subject"]["reference"] == "Patient/u"
    assert api.get(path(made[6])).json["subject"]["reference"] == path(made[1])
    overlap = transaction(put(patient(id="u")), entry("DELETE", "Patient?identifier=u"))
    assert failed(api.post("", overlap), 400)
    assert api.get("Patient/u").json["gender"] == "male"
    assert failed(api.post("", transaction(entry("PATCH", "Patient?identifier=nobody", change))), 404)


def test_conditional_references(api: Api) -> None:
    api.put("Patient/old", identified("old", id="old"))
    new = urn()
    answer = api.post(
        "",
        transaction(
            post(observation("Patient?identifier=urn:oid:1.2.3|old")),
            post(observation("Patient?identifier=urn%3Aoid%3A1.2.3%7Cnew")),
            post(identified("new"), new),
            post(identified("child", link=[{"other": {"reference": "Patient?identifier=new"}, "type": "refer"}])),
            post(observation("Patient?identifier=child", focus=[{"reference": new}])),
        ),
    )
    made = done(answer)
    assert api.get(path(made[0])).json["subject"]["reference"] == "Patient/old"
    assert api.get(path(made[1])).json["subject"]["reference"] == path(made[2])
    assert api.get(path(made[3])).json["link"][0]["other"]["reference"] == path(made[2])
    assert api.get(path(made[4])).json["subject"]["reference"] == path(made[3])
    assert count(api, f"Observation?subject={path(made[2])}") == 1
    api.post("Patient", identified("old"))
    issues = failed(api.post("", transaction(post(observation("Patient?identifier=old")))), 412)
    assert where(issues) == ["Bundle.entry[0].resource.subject.reference"]
    assert issues[0]["code"] == "multiple-matches"


def test_a_conditional_reference_that_a_later_write_makes_ambiguous_is_refused(api: Api) -> None:
    api.put("Patient/one", identified("twin", id="one"))
    other = identified("twin", link=[{"other": {"reference": "Patient?identifier=twin"}, "type": "refer"}])
    assert failed(api.post("", transaction(post(other))), 412)
    assert count(api, "Patient?identifier=twin") == 1


def test_parallel_overlapping_transactions_are_whole_and_never_fail_badly(new_api: Callable[..., Api]) -> None:
    api = new_api()

    def write(number: int) -> Answer:
        ids = [f"p{(number * 7 + offset) % 12}" for offset in range(8)]
        entries = [put(identified(f"by-{number}", id=name)) for name in ids[:6]]
        entries += [entry("DELETE", f"Patient/{name}") for name in ids[6:]]
        return api.post("", transaction(post(identified(f"new-{number}")), *entries))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(48)))
    assert {answer.status for answer in answers} <= {200, 409}
    assert any(answer.status == 200 for answer in answers)
    for number, answer in enumerate(answers):
        assert count(api, f"Patient?identifier=new-{number}") == (1 if answer.status == 200 else 0)
    succeeded = sum(answer.status == 200 for answer in answers)
    histories = [api.get(f"Patient/p{n}/_history?_count=1000").json for n in range(12)]
    methods = [made["request"]["method"] for history in histories for made in history["entry"]]
    assert methods.count("PUT") == 6 * succeeded
    for history in histories:
        numbers = [int(made["response"]["etag"][3:-1]) for made in history["entry"]]
        assert numbers == list(range(history["total"], 0, -1))


def test_parallel_transactions_create_a_patient_once(new_api: Callable[..., Api]) -> None:
    api = new_api()

    def write(number: int) -> Answer:
        who = urn()
        return api.post(
            "", transaction(post(identified("same"), who, ifNoneExist="identifier=same"), post(observation(who)))
        )

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(20)))
    assert sorted(statuses(answer)[0] for answer in answers) == ["200"] * 19 + ["201"]
    (who,) = {path(done(answer)[0]) for answer in answers}
    assert count(api, "Patient?identifier=same") == 1
    assert count(api, f"Observation?subject={who}") == 20
