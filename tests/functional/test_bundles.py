"""Batch and transaction over HTTP. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.functional.conftest import Answer, Api

Json = dict[str, Any]


def urn() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def patient(**elements: Any) -> Json:
    return {"resourceType": "Patient", **elements}


def identified(value: str, **elements: Any) -> Json:
    return patient(identifier=[{"system": "urn:oid:1.2.3", "value": value}], **elements)


def observation(subject: str, **elements: Any) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": subject},
        **elements,
    }


def entry(method: str, url: str, resource: Json | None = None, full_url: str = "", **request: str) -> Json:
    made: Json = {"request": {"method": method, "url": url, **request}}
    if full_url:
        made["fullUrl"] = full_url
    if resource is not None:
        made["resource"] = resource
    return made


def post(resource: Json, full_url: str = "", **request: str) -> Json:
    return entry("POST", resource["resourceType"], resource, full_url, **request)


def put(resource: Json, full_url: str = "", **request: str) -> Json:
    return entry("PUT", f"{resource['resourceType']}/{resource['id']}", resource, full_url, **request)


def transaction(*entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": "transaction", **({"entry": list(entries)} if entries else {})}


def batch(*entries: Json) -> Json:
    return transaction(*entries) | {"type": "batch"}


def done(answer: Answer, kind: str = "transaction-response") -> list[Json]:
    assert answer.status == 200, answer.data
    assert answer.json["resourceType"] == "Bundle"
    assert answer.json["type"] == kind
    entries: list[Json] = answer.json.get("entry", [])
    return entries


def statuses(answer: Answer, kind: str = "transaction-response") -> list[str]:
    return [entry["response"]["status"][:3] for entry in done(answer, kind)]


def path(made: Json) -> str:
    """ "Patient/1" from the location of an entry's response."""
    location: str = made["response"]["location"]
    return location.partition("/_history/")[0]


def failed(answer: Answer, status: int) -> list[Json]:
    assert answer.status == status, answer.data
    assert answer.json["resourceType"] == "OperationOutcome"
    issues: list[Json] = answer.json["issue"]
    return issues


def where(issues: list[Json]) -> list[str]:
    return [issue["expression"][0] for issue in issues]


def count(api: Api, query: str) -> int:
    total: int = api.get(f"{query}&_summary=count").json["total"]
    return total


def test_transaction_creates_and_rewrites_everywhere_a_reference_can_stand(api: Api) -> None:
    who, picture = urn(), urn()
    text = f'<p><a href="{who}">x</a> <img src="{picture}" alt="y"/> {who}</p>'
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'
    sent = observation(
        who,
        text={"status": "generated", "div": div},
        contained=[{"resourceType": "Specimen", "id": "s", "subject": {"reference": who}}],
        specimen={"reference": "#s"},
        extension=[
            {"url": "http://example.org/uri", "valueUri": who},
            {"url": "http://example.org/picture", "valueAttachment": {"url": picture}},
            {"url": "http://example.org/deep", "extension": [{"url": "who", "valueReference": {"reference": who}}]},
            {"url": "http://example.org/text", "valueString": who},
            {"url": "http://example.org/canonical", "valueCanonical": who},
        ],
        identifier=[{"system": "urn:ietf:rfc:3986", "value": who}],
        _status={"extension": [{"url": "http://example.org/by", "valueReference": {"reference": who}}]},
        note=[{"text": who, "authorReference": {"reference": who}}],
    )
    image = {"resourceType": "Binary", "contentType": "image/png", "data": "AAAA"}
    answer = api.post("", transaction(post(sent), post(patient(), who), post(image, picture)))
    made = done(answer)
    assert [e["response"]["status"] for e in made] == ["201 Created"] * 3
    assert all(e["response"]["etag"] == 'W/"1"' and e["response"]["lastModified"] for e in made)
    assert all("resource" not in e for e in made)
    weight, patient_path, binary_path = (path(e) for e in made)
    got = api.get(weight).json
    assert got["subject"]["reference"] == patient_path
    assert got["contained"][0]["subject"]["reference"] == patient_path
    assert got["specimen"]["reference"] == "#s"
    extensions = got["extension"]
    assert extensions[0]["valueUri"] == patient_path
    assert extensions[1]["valueAttachment"]["url"] == binary_path
    assert extensions[2]["extension"][0]["valueReference"]["reference"] == patient_path
    assert extensions[3]["valueString"] == who
    assert extensions[4]["valueCanonical"] == who
    assert got["identifier"][0]["value"] == who
    assert got["_status"]["extension"][0]["valueReference"]["reference"] == patient_path
    assert got["note"] == [{"text": who, "authorReference": {"reference": patient_path}}]
    assert got["text"]["div"] == div.replace(f'"{who}"', f'"{patient_path}"').replace(
        f'"{picture}"', f'"{binary_path}"'
    )
    assert count(api, f"Observation?subject={patient_path}") == 1


def test_relative_reference_resolves_against_the_base_of_its_own_full_url(api: Api) -> None:
    base = "http://elsewhere.example.org/fhir"
    made = done(
        api.post(
            "",
            transaction(
                post(patient(id="7"), f"{base}/Patient/7"),
                post(observation("Patient/7"), f"{base}/Observation/1"),
                post(observation("Patient/7"), urn()),
                post(observation(f"{base}/Patient/7/_history/3"), urn()),
            ),
        )
    )
    who = path(made[0])
    assert who != "Patient/7"
    assert api.get(path(made[1])).json["subject"]["reference"] == who
    assert api.get(path(made[2])).json["subject"]["reference"] == "Patient/7"
    assert api.get(path(made[3])).json["subject"]["reference"] == f"{who}/_history/1"


def test_circular_references(api: Api) -> None:
    a, b = urn(), urn()
    other = {"other": {"reference": ""}, "type": "seealso"}
    made = done(
        api.post(
            "",
            transaction(
                post(patient(link=[other | {"other": {"reference": b}}]), a),
                post(patient(link=[other | {"other": {"reference": a}}]), b),
            ),
        )
    )
    first, second = path(made[0]), path(made[1])
    assert api.get(first).json["link"][0]["other"]["reference"] == second
    assert api.get(second).json["link"][0]["other"]["reference"] == first


def test_extension_asks_for_the_version_that_the_transaction_makes(api: Api) -> None:
    api.put("Patient/old", patient(id="old"))
    api.put("Patient/old", patient(id="old", active=True))
    new, old = urn(), urn()
    asks = [{"url": "http://hl7.org/fhir/StructureDefinition/resolve-as-version-specific", "valueBoolean": True}]

    def about(target: str) -> Json:
        return {
            "resourceType": "Provenance",
            "recorded": "2026-11-25T00:00:00Z",
            "agent": [{"who": {"display": "x"}}],
            "target": [{"reference": target, "extension": asks}],
        }

    made = done(
        api.post(
            "",
            transaction(
                post(about(new)), post(about(old)), post(patient(), new), put(patient(id="old", active=False), old)
            ),
        )
    )
    assert api.get(path(made[0])).json["target"][0]["reference"] == f"{path(made[2])}/_history/1"
    assert api.get(path(made[1])).json["target"][0]["reference"] == "Patient/old/_history/3"


def test_order_is_delete_post_put_get_whatever_the_bundle_says(api: Api) -> None:
    api.put("Patient/gone", identified("gone", id="gone"))
    api.put("Patient/there", identified("there", id="there"))
    answer = api.post(
        "",
        transaction(
            entry("GET", "Patient/there"),
            entry("GET", "Patient?identifier=new"),
            entry("HEAD", "Patient/there"),
            put(patient(id="there", active=True)),
            post(identified("gone"), ifNoneExist="identifier=gone"),
            post(identified("new")),
            entry("DELETE", "Patient/gone"),
        ),
    )
    made = done(answer)
    assert statuses(answer) == ["200", "200", "200", "200", "201", "201", "204"]
    assert made[0]["resource"]["active"] is True
    assert made[0]["resource"]["meta"]["versionId"] == "2"
    assert made[1]["resource"]["total"] == 1
    assert made[1]["resource"]["entry"][0]["resource"]["id"] == path(made[5]).partition("/")[2]
    assert "resource" not in made[2]
    assert api.get("Patient/gone").status == 410


@pytest.mark.parametrize("size", [1000, 2500])
def test_many_entries(api: Api, size: int) -> None:
    who = urn()
    answer = api.post("", transaction(post(patient(), who), *(post(observation(who)) for _ in range(size - 1))))
    made = done(answer)
    assert len({e["response"]["location"] for e in made}) == size
    assert count(api, f"Observation?subject={path(made[0])}") == size - 1


def test_an_empty_transaction_is_no_error(api: Api) -> None:
    assert done(api.post("", transaction())) == []


def test_representation_on_request(api: Api) -> None:
    answer = api.post("", transaction(post(patient(active=True))), Prefer="return=representation")
    (made,) = done(answer)
    assert made["resource"]["active"] is True
    assert made["fullUrl"].endswith(path(made))
    outcome = done(api.post("", transaction(post(patient())), Prefer="return=OperationOutcome"))
    assert outcome[0]["response"]["outcome"]["resourceType"] == "OperationOutcome"


def test_every_invalid_entry_is_reported_at_once_and_nothing_is_written(api: Api) -> None:
    who = urn()
    issues = failed(
        api.post(
            "",
            transaction(
                post(identified("kept-out"), who),
                post(patient(birthDate="2021-02-30", gender="x")),
                post(observation(who, valueQuantity={"value": "1"})),
                post(observation("Practitioner?identifier=1", issued="yesterday")),
            ),
        ),
        422,
    )
    found = where(issues)
    assert "Bundle.entry[1].resource.birthDate" in found
    assert "Bundle.entry[1].resource.gender" in found
    assert any(at.startswith("Bundle.entry[2].resource.value") for at in found)
    assert "Bundle.entry[3].resource.issued" in found
    assert count(api, "Patient?identifier=kept-out") == 0


def test_reference_target_types_are_checked_after_rewriting(api: Api) -> None:
    practice = urn()
    issues = failed(
        api.post(
            "",
            transaction(
                post({"resourceType": "Organization", "name": "x"}, practice),
                post({"resourceType": "Condition", "subject": {"reference": practice}}),
            ),
        ),
        422,
    )
    assert where(issues) == ["Bundle.entry[1].resource.subject.reference"]


@pytest.mark.parametrize(
    ("bundle", "status", "at"),
    [
        ({"resourceType": "Bundle", "type": "collection"}, 400, "Bundle.type"),
        ({"resourceType": "Bundle"}, 400, "Bundle.type"),
        (transaction() | {"entry": []}, 400, "Bundle.entry"),
        (transaction() | {"entry": {}}, 400, "Bundle.entry"),
        (transaction() | {"entries": []}, 400, "Bundle"),
        (transaction({"resource": patient()}), 400, "Bundle.entry[0]"),
        (transaction("x"), 400, "Bundle.entry[0]"),  # type: ignore[arg-type]
        (transaction(post(patient()) | {"fullURL": "x"}), 400, "Bundle.entry[0]"),
        (transaction(post(patient()) | {"fullUrl": 7}), 400, "Bundle.entry[0].fullUrl"),
        (transaction({"request": []}), 400, "Bundle.entry[0].request"),
        (transaction(entry("POST", "")), 400, "Bundle.entry[0].request.url"),
        (transaction(entry("LINK", "Patient/1")), 400, "Bundle.entry[0].request.method"),
        (transaction(entry("POST", "Patient")), 400, "Bundle.entry[0].resource"),
        (transaction(entry("POST", "Patient", observation("Patient/1"))), 400, "Bundle.entry[0].resource"),
        (transaction(entry("PUT", "Patient/1", patient(id="2"))), 400, "Bundle.entry[0].resource.id"),
        (transaction(entry("PUT", "Patient", patient(id="2"))), 400, "Bundle.entry[0].request.url"),
        (transaction(entry("POST", "Patient/1", patient())), 405, "Bundle.entry[0].request.url"),
        (transaction(entry("GET", "Patent/1")), 404, "Bundle.entry[0].request.url"),
        (transaction(entry("GET", "http://other.example.org/Patient/1")), 400, "Bundle.entry[0].request.url"),
        (transaction(entry("POST", "Patient/$validate", patient())), 400, "Bundle.entry[0].request.url"),
        (transaction(entry("GET", "Patient/missing")), 404, "Bundle.entry[0]"),
        (transaction(entry("DELETE", "Patient")), 400, "Bundle.entry[0].request.url"),
        (transaction(entry("DELETE", "Patient/1", patient())), 400, "Bundle.entry[0].resource"),
        (transaction(post(patient(), ifNoneExist="")), 400, "Bundle.entry[0]"),
        (transaction(post(patient(), ifMatch='W/"1", W/"2"')), 400, "Bundle.entry[0].request.ifMatch"),
        (
            transaction(entry("GET", "Patient/1", ifModifiedSince="soon")),
            400,
            "Bundle.entry[0].request.ifModifiedSince",
        ),
        (transaction(entry("PATCH", "Patient/1", patient())), 400, "Bundle.entry[0].resource"),
        (transaction(put(patient(id="a")), entry("DELETE", "Patient/a")), 400, "Bundle.entry[0].request.url"),
        (transaction(post(patient(), "urn:uuid:1"), post(patient(), "urn:uuid:1")), 400, "Bundle.entry[1].fullUrl"),
        (
            transaction(post(identified("1"), ifNoneExist="identifier=1"), post(patient(), ifNoneExist="identifier=1")),
            400,
            "Bundle.entry[1].request",
        ),
        (
            transaction(post(observation("Patient?identifier=nobody"))),
            412,
            "Bundle.entry[0].resource.subject.reference",
        ),
        (transaction(post(observation("Patient?identifer=1"))), 400, "Bundle.entry[0].resource.subject.reference"),
        (transaction(post(observation("Patient?_count=1"))), 400, "Bundle.entry[0].resource.subject.reference"),
    ],
)
def test_refusals_say_where(api: Api, bundle: Json, status: int, at: str) -> None:
    assert where(failed(api.post("", bundle), status)) == [at]


def test_the_status_is_that_of_the_first_entry_that_fails(api: Api) -> None:
    issues = failed(
        api.post(
            "", transaction(post(patient()), entry("GET", "Nothing/1"), entry("LINK", "Patient"), post(patient()))
        ),
        404,
    )
    assert where(issues) == ["Bundle.entry[1].request.url", "Bundle.entry[2].request.method"]


def test_failure_after_writes_leaves_nothing(api: Api) -> None:
    failed(api.post("", transaction(post(identified("half")), entry("GET", "Patient/missing"))), 404)
    assert count(api, "Patient?identifier=half") == 0


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


def test_updates_and_new_ids_together(api: Api) -> None:
    for number in range(0, 20, 2):
        api.put(f"Patient/p{number}", patient(id=f"p{number}"))
    api.delete("Patient/p4")
    answer = api.post("", transaction(*(put(patient(id=f"p{number}", active=True)) for number in range(20))))
    assert statuses(answer) == ["201" if n % 2 or n == 4 else "200" for n in range(20)]
    versions = [e["response"]["etag"] for e in done(answer)]
    assert versions == ['W/"3"' if n == 4 else 'W/"1"' if n % 2 else 'W/"2"' for n in range(20)]
    assert all(api.get(f"Patient/p{number}").json["active"] is True for number in range(20))


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


def test_patch_entries(api: Api) -> None:
    api.put("Patient/1", patient(id="1"))
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2FjdGl2ZSIsInZhbHVlIjp0cnVlfV0=",
    }
    assert statuses(api.post("", transaction(entry("PATCH", "Patient/1", binary)))) == ["200"]
    assert api.get("Patient/1").json["active"] is True
    assert failed(api.post("", transaction(entry("PATCH", "Patient/1", binary | {"data": "e30x"}))), 400)


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


def test_entries_are_decided_one_by_one(new_api: Callable[..., Api]) -> None:
    full = new_api()
    full.put("Patient/1", identified("1", id="1"))
    api = new_api("system/Patient.r system/Observation.c", full.slug)
    allowed = transaction(entry("GET", "Patient/1"), post(observation("Patient/1")))
    assert statuses(api.post("", allowed)) == ["200", "201"]
    refused = transaction(post(observation("Patient/1")), post(identified("2")), entry("DELETE", "Patient/1"))
    issues = failed(api.post("", refused), 403)
    assert where(issues) == ["Bundle.entry[1].request", "Bundle.entry[2].request"]
    assert "system/Patient.c" in issues[0]["diagnostics"]
    # To find by criteria is to search, which neither r nor c permits.
    by_query = transaction(post(observation("Patient?identifier=1")))
    assert failed(api.post("", by_query), 403)
    assert count(full, "Observation?subject=Patient/1") == 1


def test_batch_entries_stand_for_themselves(api: Api) -> None:
    api.put("Patient/1", identified("1", id="1"))
    answer = api.post(
        "",
        batch(
            post(patient(gender="x")),
            post(identified("2")),
            entry("GET", "Patient/missing"),
            entry("GET", "Patient/1"),
            "nonsense",  # type: ignore[arg-type]
            entry("DELETE", "Patient/1"),
            post(identified("2"), ifNoneExist="identifier=2"),
            entry("GET", "Patient?identifier=2"),
        ),
    )
    made = done(answer, "batch-response")
    assert statuses(answer, "batch-response") == ["422", "201", "404", "410", "400", "204", "200", "200"]
    outcome = made[0]["response"]["outcome"]
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[0].resource.gender"]
    assert made[4]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[4]"]
    assert made[7]["resource"]["total"] == 1


def test_batch_decides_each_entry(new_api: Callable[..., Api]) -> None:
    api = new_api("system/Patient.c")
    answer = api.post("", batch(post(patient()), entry("GET", "Patient?active=true")))
    assert statuses(answer, "batch-response") == ["201", "403"]


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
