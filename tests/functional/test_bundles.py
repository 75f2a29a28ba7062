"""Batch and transaction over HTTP. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.functional.bundles import (
    Json,
    batch,
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
from tests.functional.conftest import Api


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


def test_updates_and_new_ids_together(api: Api) -> None:
    for number in range(0, 20, 2):
        api.put(f"Patient/p{number}", patient(id=f"p{number}"))
    api.delete("Patient/p4")
    answer = api.post("", transaction(*(put(patient(id=f"p{number}", active=True)) for number in range(20))))
    assert statuses(answer) == ["201" if n % 2 or n == 4 else "200" for n in range(20)]
    versions = [e["response"]["etag"] for e in done(answer)]
    assert versions == ['W/"3"' if n == 4 else 'W/"1"' if n % 2 else 'W/"2"' for n in range(20)]
    assert all(api.get(f"Patient/p{number}").json["active"] is True for number in range(20))


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
