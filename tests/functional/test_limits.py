"""What is too long, too deep, too many or untrue has a clear answer, in bounded time and memory.
https://hl7.org/fhir/R4/http.html#Status-Codes"""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.factories.hostile import TEXTS, holds, send
from tests.functional.test_hostile import BUNDLE, FHIR, FHIRPATH_PATCH, JSON_PATCH, PATIENT, VALIDATE, Attacker, attack

__all__ = ["attack"]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """CPU time of this process, with room for a slow machine."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < seconds


def patient(**elements: Any) -> bytes:
    return json.dumps({"resourceType": "Patient", **elements}).encode()


PRACTITIONERS = [{"reference": f"Practitioner/{n}"} for n in range(25_000)]


@pytest.mark.parametrize(
    ("elements", "what"),
    [
        pytest.param(
            {"identifier": [{"system": "urn:s", "value": str(n)} for n in range(30_000)]},
            "identifier=urn:s|29999",
            marks=pytest.mark.attack,
        ),
        ({"name": [{"family": f"Family{n}"} for n in range(40_000)]}, "name=family39999"),
        ({"generalPractitioner": PRACTITIONERS}, "general-practitioner=Practitioner/24999"),
        ({"identifier": [{"system": "urn:s", "value": "same"}] * 30_000}, "identifier=urn:s|same"),
    ],
    ids=["identifiers", "names", "links", "the same identifier"],
)  # fmt: skip
def test_very_many_values_in_one_resource(attack: Attacker, elements: dict[str, Any], what: str) -> None:
    """Accepted, and then found by each of them; or refused for their number. Never half of them."""
    body = patient(**elements)
    with within(20):
        answer = attack("POST", "Patient", body, Content_Type=FHIR)
        if answer.status == 201:
            assert attack("GET", f"Patient?{what}").json["total"] == 1
            path = answer.headers["Location"].partition("/fhir/")[2].partition("/_history")[0]
            assert (
                attack(
                    "PUT",
                    path,
                    body.replace(b'"Patient",', b'"Patient","id":"%s",' % path[8:].encode(), 1),
                    Content_Type=FHIR,
                ).status
                == 200
            )
            assert attack("DELETE", path).status in (200, 204)
            assert attack("GET", f"Patient?{what}").json["total"] == 0
        else:
            assert answer.status in (413, 422)


def many_codings(count: int, letter: str) -> dict[str, Any]:
    return {"coding": [{"system": "urn:s", "code": f"{letter}{n}"} for n in range(count)]}


@pytest.mark.parametrize("count", [10, 800])
def test_composites_that_multiply(attack: Attacker, count: int) -> None:
    """Each coding of the code with each of the value: 800 times 800 would be 2.5 million index rows of 200 KB."""
    pair = {"code": many_codings(count, "c"), "valueCodeableConcept": many_codings(count, "v")}
    observation = {"resourceType": "Observation", "status": "final", **pair}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": observation, "request": {"method": "POST", "url": "Observation"}}],
    }
    with within(3):
        for path, document in (("Observation", observation), ("", bundle)):
            answer = attack("POST", path, json.dumps(document).encode(), Content_Type=FHIR)
            if count == 10:
                assert answer.status in (200, 201)
                assert attack("GET", "Observation?code-value-concept=c9$v9").json["total"] >= 1
            else:
                assert answer.status == 413
                assert answer.json["issue"][0]["code"] == "too-costly"


@pytest.mark.parametrize(
    "text", ["x" * 1_048_576, "é" * 500_000, "😀" * 300_000, "\u0130" * 400_000], ids=["x", "é", "emoji", "İ"]
)
def test_long_strings(attack: Attacker, text: str) -> None:
    resource = {"resourceType": "Patient", "id": "long", "name": [{"family": text}]}
    body = json.dumps(resource, ensure_ascii=False).encode()
    with within(10):
        assert attack("PUT", "Patient/long", body, Content_Type=FHIR).status == 201
        assert attack("GET", "Patient/long").json["name"][0]["family"] == text
        for element, value in (("address", [{"city": text}]), ("identifier", [{"value": text, "system": "urn:s"}])):
            other = {"resourceType": "Patient", "id": element, element: value}
            assert (
                attack(
                    "PUT", f"Patient/{element}", json.dumps(other, ensure_ascii=False).encode(), Content_Type=FHIR
                ).status
                == 201
            )
        assert attack("GET", f"Patient?name={text[:20]}".encode().decode("latin-1")).json["total"] == 1
        assert attack("GET", f"Patient?name:exact={text[:2000]}".encode().decode("latin-1")).json["total"] == 0


def test_a_longer_string_is_refused(attack: Attacker) -> None:
    answer = attack("POST", "Patient", patient(name=[{"family": "x" * 1_048_577}]), Content_Type=FHIR)
    assert answer.status == 422


def test_a_url_of_many_characters(attack: Attacker) -> None:
    assert attack("GET", "Patient?name=" + "x" * 16_000).status == 400
    assert attack("GET", "Patient?name=" + "x" * 17_000).status == 414
    assert attack("GET", "Patient/" + "x" * 17_000).status == 414
    assert attack("GET", "Patient?" + "&" * 15_000).status in (200, 400)
    assert attack("GET", "Patient?" + "name=a&" * 2_000).status == 400
    assert (
        attack("POST", "Patient/_search", b"name=a&" * 280_000, Content_Type="application/x-www-form-urlencoded").status
        == 400
    )
    assert attack(
        "POST", "Patient/_search", b"&" * 1_900_000, Content_Type="application/x-www-form-urlencoded"
    ).status in (200, 400)


@pytest.mark.parametrize("text", [*TEXTS, "é\ufffd", "a" * 10_000], ids=range(len(TEXTS) + 2))
def test_any_text_in_an_element_comes_back_or_is_refused(attack: Attacker, text: str) -> None:
    answer = attack("PUT", "Patient/text", patient(id="text", name=[{"family": text}]), Content_Type=FHIR)
    assert answer.status in (201, 422)
    if answer.status == 201:
        assert attack("GET", "Patient/text").json["name"][0]["family"] == text


@pytest.mark.parametrize("character", ["\\u0000", "\\ud800", "\\udfff", "\\ud800\\u0041", "\\u0001"])
def test_characters_that_no_string_of_fhir_may_hold(attack: Attacker, character: str) -> None:
    templates = (
        '{"name":[{"family":"a%s"}]',
        '{"id":"%s"',
        '{"identifier":[{"system":"urn:%s"}]',
        '{"text":{"status":"generated","div":"%s"}',
        '{"%s":1',
        '{"extension":[{"url":"u","valueString":"%s"}]',
        '{"meta":{"source":"%s"}',
    )
    for template in templates:
        body = (template % character).encode() + b',"resourceType":"Patient"}'
        assert attack("POST", "Patient", body, Content_Type=FHIR).status in (400, 422)
    for path, kind in (("Patient/p", JSON_PATCH), ("Patient/p", FHIR), ("", FHIR), ("Patient/$validate", FHIR)):
        document = {JSON_PATCH: [{"op": "add", "path": "/name/0/family", "value": "@"}], FHIR: FHIRPATH_PATCH}[kind]
        method = "PATCH"
        if path != "Patient/p":
            method, document = "POST", BUNDLE if path == "" else VALIDATE
        text = (
            json.dumps(document).replace('"@"', '"F"').replace('"F"', f'"{character}"').replace('"N"', f'"{character}"')
        )
        answer = attack(method, path, text.encode(), Content_Type=kind)
        assert answer.status in (400, 422) or character in ("\\u0001", "\\u0000"), (path, answer.data)
        assert attack("GET", "Patient/p").json["name"] == PATIENT["name"]


@pytest.mark.parametrize("place", ["%00", "a%00b", "%ED%A0%80", "%C0%80", "%F5%80%80%80", "\xff"])
def test_bytes_that_no_url_of_ours_may_hold(attack: Attacker, place: str) -> None:
    for path in (f"Patient/{place}", f"{place}", f"Patient/p/_history/{place}", f"Patient/{place}/_history",
             f"Patient?_id={place}",
                 f"Patient?name:exact={place}", f"Patient?{place}=1", f"Patient?_sort={place}",
                 f"Patient?_cursor={place}",
                 f"_history?_since={place}", f"Patient?identifier={place}|{place}",
                 f"Patient?organization={place}"):  # fmt: skip
        assert attack("GET", path).status in (400, 404), path
    for slug in (place, f"clinic{place}"):
        answer = holds(send(attack.api.app, "GET", f"/t/{slug}/fhir/metadata"))
        assert answer.status == 404
    assert attack("POST", "Patient", patient(), Content_Type=FHIR, If_None_Exist=f"name={place}").status == 400


@pytest.mark.parametrize("length", [1, 63, 64, 65, 5000])
def test_lengths_of_ids(attack: Attacker, length: int) -> None:
    resource_id, body = "a" * length, patient(id="a" * length)
    expected = 201 if length <= 64 else 404
    assert attack("PUT", f"Patient/{resource_id}", body, Content_Type=FHIR).status == expected
    assert attack("GET", f"Patient/{resource_id}").status == (200 if length <= 64 else 404)
    assert attack("GET", f"Patient/{resource_id}/_history/1").status == (200 if length <= 64 else 404)
    transaction = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": {"resourceType": "Patient", "id": resource_id}, "request": {"method": "PUT",
        "url": f"Patient/{resource_id}"}}]}  # fmt: skip
    assert attack("POST", "", json.dumps(transaction).encode(), Content_Type=FHIR).status == (
        200 if length <= 64 else 404
    )


@pytest.mark.parametrize(
    "number",
    [
        "1e401",
        "1e-401",
        "1" * 401,
        "9" * 5000,
        "1e999999999",
        "1e-999999999",
        "1e99999999999999999999",
        "0e999999999999",
    ],
)
def test_numbers_beyond_reason(attack: Attacker, number: str) -> None:
    body = b'{"resourceType":"Patient","extension":[{"url":"u","valueDecimal":%s}]}' % number.encode()
    with within(2):
        assert attack("POST", "Patient", body, Content_Type=FHIR).status in (400, 422)
        patch = b'[{"op":"add","path":"/extension/-","value":{"url":"u","valueDecimal":%s}}]' % number.encode()
        assert attack("PATCH", "Patient/p", patch, Content_Type=JSON_PATCH).status in (400, 422)
        for query in ("value-quantity", "code-value-quantity=a$1&value-quantity", "value-quantity=gt1&value-quantity"):
            for prefix in ("", "gt", "ap", "sa"):
                assert attack("GET", f"Observation?{query}={prefix}{number}").status in (200, 400)
        for name in ("_count", "_lastUpdated", "_since"):
            attack("GET", f"Patient?{name}={number}")
            attack("GET", f"Patient/_history?{name}={number}")
        assert attack("GET", f"Patient/p/_history/{number}").status == 404
        assert attack("GET", "Patient/p", If_None_Match=f'W/"{number[:64]}"').status == 200
        assert attack("PUT", "Patient/p", patient(id="p"), Content_Type=FHIR, If_Match=f'W/"{number[:64]}"').status in (
            400,
            412,
        )


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("[", "]"), ('{"a":', "}"), ('{"contained":[', "]}"), ('{"url":"u","extension":[', "]}")],
    ids="[{ce",
)
@pytest.mark.parametrize("depth", [100, 900, 2000, 100_000])
def test_deep_nesting_in_every_kind_of_body(attack: Attacker, opening: str, closing: str, depth: int) -> None:
    deep = (opening * depth + ("1" if opening.endswith(":") else "") + closing * depth).encode()
    patch = json.dumps(FHIRPATH_PATCH).encode()
    bodies = (
        ("POST", "Patient", FHIR, deep),
        ("POST", "Patient", FHIR, b'{"resourceType":"Patient","extension":[%s]}' % deep),
        ("POST", "Patient", FHIR, b'{"resourceType":"Patient","contained":[%s]}' % deep),
        ("PUT", "Patient/p", FHIR, b'{"resourceType":"Patient","id":"p","zzz":%s}' % deep),
        ("PATCH", "Patient/p", JSON_PATCH, b'[{"op":"add","path":"/extension/-","value":%s}]' % deep),
        ("PATCH", "Patient/p", JSON_PATCH, b'[{"op":"test","path":"/extension","value":%s}]' % deep),
        ("PATCH", "Patient/p", FHIR, patch.replace(b'"N"', deep)),
        ("PATCH", "Patient/p", FHIR, patch.replace(b"Patient.name[0].family", b"(" * depth)),
        (
            "POST",
            "Patient/$validate",
            FHIR,
            b'{"resourceType":"Parameters","parameter":[{"name":"resource","resource":%s}]}' % deep,
        ),
        ("POST", "Patient/$validate", FHIR, deep),
        ("POST", "", FHIR, b'{"resourceType":"Bundle","type":"transaction","entry":[%s]}' % deep),
        ("POST", "", FHIR, b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":%s}]}' % deep),
    )
    with within(20):
        for method, path, content_type, body in bodies:
            answer = attack(method, path, body, Content_Type=content_type)
            if "$validate" in path or b'"batch"' in body:
                assert answer.status in (200, 400, 413, 422)
            elif answer.status == 200:
                # Nothing but empty arrays, which a patch takes out.
                assert (content_type, opening) in ((JSON_PATCH, "["), (JSON_PATCH, '{"contained":['))
            else:
                assert answer.status in (400, 413, 422), (path, answer.status)
    assert attack("GET", "Patient/p").json["name"] == PATIENT["name"]


@pytest.mark.parametrize("hollow", ["{}", '{"extension":[]}', '{"a":{"b":[{}]}}', "null", "[]"])
def test_a_patch_with_a_hollow_value_takes_nothing_away(attack: Attacker, hollow: str) -> None:
    for kind in ("valueString", "valueHumanName", "valueQuantity"):
        text = json.dumps(FHIRPATH_PATCH).replace('"N"', hollow)
        text = text.replace('"valueString": ' + hollow, f'"{kind}": {hollow}')
        assert attack("PATCH", "Patient/p", text.encode(), Content_Type=FHIR).status == 400
    assert attack("GET", "Patient/p").json["name"] == PATIENT["name"]


def test_patches_cannot_nest_or_grow_a_resource_without_end(attack: Attacker) -> None:
    """Each doubles what is there: 40 of them would make a petabyte."""
    doubling = [{"op": "copy", "from": "/name", "path": "/name/0/given/0"}] * 40
    with within(5):
        assert attack("PATCH", "Patient/p", json.dumps(doubling).encode(), Content_Type=JSON_PATCH).status in (
            400,
            413,
            422,
        )
        doubling = [{"op": "copy", "from": "/contained", "path": "/contained/-"}] * 40
        assert attack("PATCH", "Patient/p", json.dumps(doubling).encode(), Content_Type=JSON_PATCH).status in (
            400,
            413,
            422,
        )
        doubling = [{"op": "copy", "from": "/name/0", "path": "/name/-"}] * 200_00
        attack("PATCH", "Patient/p", json.dumps(doubling).encode(), Content_Type=JSON_PATCH)


@pytest.mark.parametrize(
    "query",
    [
        "name=" + "a" * 4000 + "!",
        "name:contains=" + "%25_" * 1000,
        "_lastUpdated=" + "9" * 4000,
        "birthdate=" + "2020-" * 800,
        "identifier=" + "\\" * 8000,
        "identifier=" + "|" * 8000,
        "name=" + "a%2C" * 900,
        "_sort=" + "_id," * 2000,
        "_elements=" + "name," * 2000,
        "_cursor=" + "A" * 10_000,
        "general-practitioner=" + "http://" * 1500,
        "telecom=" + " " * 10_000,
        "_" * 10_000 + "=1",
        "nam" * 3000 + "=1",
    ],
    ids=lambda query: query[:20],
)
def test_expressions_that_backtrack_elsewhere(attack: Attacker, query: str) -> None:
    with within(1.5):
        attack("GET", f"Patient?{query}")
    with within(1.5):
        attack("DELETE", f"Patient?{query}")


@pytest.mark.parametrize(
    "header",
    [
        "If-Match",
        "If-None-Match",
        "If-Modified-Since",
        "Prefer",
        "Accept",
        "Accept-Encoding",
        "Authorization",
        "If-None-Exist",
        "Content-Type",
    ],
)
@pytest.mark.parametrize("piece", [";", ",", " ", '"', "W/", "a;q=0,", "(", "return=x,"])
def test_headers_that_backtrack_elsewhere(attack: Attacker, header: str, piece: str) -> None:
    with within(1.5):
        attack("PUT", "Patient/p", patient(id="p"), **{"Content-Type": FHIR, header: piece * 20_000})
        attack("GET", "Patient/p", **{header: piece * 20_000})


@pytest.mark.parametrize("path", ["a.where(" * 50, "Patient" + ".a" * 20_000, "1+" * 5000 + "1", "(" * 5000,
         "'" + "a" * 100_000, "Patient.name.where(family.matches('(a+)+$'))",
                                  "Patient.name.repeat($this)", "Patient.repeat(name | identifier | $this)",
                                  "Patient" + "[0]" * 10_000, "Patient.descendants()" * 200])  # fmt: skip
def test_fhirpath_of_clients(attack: Attacker, path: str) -> None:
    document = json.dumps(FHIRPATH_PATCH).replace("Patient.name[0].family", path).encode()
    with within(3):
        assert attack("PATCH", "Patient/p", document, Content_Type=FHIR).status in (400, 422)


def test_keys_that_stand_twice(attack: Attacker) -> None:
    """JSON leaves open which one counts; here it is the last one, for validation, storage and index alike."""
    body = (
        b'{"resourceType":"Observation","resourceType":"Patient","id":"q","id":"twice",'
        b'"name":[{"family":"First"}],"name":[{"family":"Second"}]}'
    )
    assert attack("PUT", "Patient/twice", body, Content_Type=FHIR).status == 201
    assert attack("GET", "Patient/twice").json["name"] == [{"family": "Second"}]
    assert attack("GET", "Patient?name=first").json["total"] == 0
    assert attack("GET", "Patient?name=second").json["total"] == 1


def test_bodies_in_gzip(attack: Attacker) -> None:
    good = gzip.compress(patient(name=[{"family": "Zip"}]))
    plain: dict[str, str] = {"Content_Type": FHIR, "Content_Encoding": "gzip"}
    assert attack("POST", "Patient", good, **plain).status == 201
    for broken in (
        b"",
        good[:-1],
        good[:10],
        good + b"rest",
        b"\x1f\x8b" + b"\0" * 100,
        patient(),
        good[:20] + b"\xff" * 20,
    ):
        assert attack("POST", "Patient", broken, **plain).status == 400, broken
    # What follows the first member would be lost: https://www.rfc-editor.org/rfc/rfc1952#page-5
    assert attack("POST", "Patient", good + good, **plain).status == 400
    tracemalloc.start()
    bomb = gzip.compress(b" " * 200_000_000)
    tracemalloc.reset_peak()
    with within(2):
        assert attack("POST", "Patient", bomb, **plain).status == 413
        assert attack("POST", "Patient", gzip.compress(bomb), **plain).status == 400
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert attack("POST", "Patient", good, Content_Type=FHIR, Content_Encoding="br").status == 415
    assert attack("POST", "Patient", good, Content_Type=FHIR, Content_Encoding="gzip, gzip").status == 415


def test_lengths_that_are_untrue(attack: Attacker) -> None:
    body = patient()
    for length in ("-1", "abc", "²", "٣", "1e3", "0x10", " 5", "9" * 400, "+5", "5, 5"):
        assert attack("POST", "Patient", body, Content_Type=FHIR, length=length).status in (400, 413), length
    assert attack("POST", "Patient", body, Content_Type=FHIR, length=str(len(body) + 1)).status == 400
    assert attack("POST", "Patient", body, Content_Type=FHIR, length=str(len(body) - 1)).status == 400
    assert attack("POST", "Patient", body, Content_Type=FHIR, length="0").status == 400
    # Chunked: WSGI has no length then.
    assert attack("POST", "Patient", body, Content_Type=FHIR, length="").status == 201
    assert attack("POST", "Patient", b" " * 2_000_001, Content_Type=FHIR, length="").status == 413
    assert attack("POST", "Patient", b" " * 2_000_001, Content_Type=FHIR).status == 413


def test_paths_between_and_around_the_base(attack: Attacker) -> None:
    app, slug, sent = attack.api.app, attack.api.slug, {"Authorization": f"Bearer {attack.api.access_token}"}
    for path in ("/t//fhir/Patient", "/t/../fhir/Patient", "/t/%2e%2e/fhir/Patient", f"/t/{slug}x/fhir/Patient",
             f"/t/{slug.upper()}/fhir/Patient",
                 f"/t/{slug}%00/fhir/Patient", f"/t/{slug}%20/fhir/Patient", "/t/%E2%80%AE/fhir/Patient",
                 f"/t/{'a' * 5000}/fhir/Patient"):  # fmt: skip
        assert holds(send(app, "GET", path, headers=sent)).status in (400, 401, 403, 404), path
    for path in (
        "Patient/p/",
        "Patient/p//",
        "/Patient/p",
        "//Patient/p",
        "Patient//p",
        "Patient/./p",
        "Patient/../Patient/p",
        "Patient/p/../p",
    ):
        answer = holds(send(app, "GET", f"/t/{slug}/fhir/{path}", headers=sent))
        assert answer.status == (200 if path in ("Patient/p/", "Patient/p//") else 404), path
    for path in (
        "/",
        "/t",
        "/t/",
        f"/t/{slug}",
        f"/t/{slug}/",
        f"/t/{slug}/fhirx",
        f"/t/{slug}//fhir/Patient",
        "//t/x/fhir",
        "/fhir",
        "/fhir/Patient",
        "/%00",
    ):
        assert send(app, "GET", path, headers=sent).status in (308, 404), path


@pytest.mark.parametrize("host", ["evil.example", ".localhost:8080", "localhost:8080", "a.b.localhost:8080",
         "%00.localhost:8080", "é.localhost:8080", "a" * 5000 + ".localhost:8080",
                                  "..localhost:8080", "x\x00.localhost:8080", "/.localhost:8080",
                                  "@evil.example/.localhost:8080", "xlocalhost:8080", ""])  # fmt: skip
def test_host_names_that_are_no_tenants(attack: Attacker, host: str) -> None:
    sent = {"Authorization": f"Bearer {attack.api.access_token}", "Host": host}
    for path in ("/fhir/Patient/p", "/fhir", "/fhir/metadata"):
        answer = send(attack.api.app, "GET", path, headers=sent)
        assert answer.status in (403, 404)
        assert b"family" not in answer.data
    # By path, the Host header means nothing, and no link is made of it.
    answer = holds(send(attack.api.app, "GET", f"/t/{attack.api.slug}/fhir/Patient?name=f", headers=sent))
    assert answer.status == 200
    assert {link["url"].partition("/t/")[0] for link in answer.json["link"]} == {"http://localhost:8080"}


@pytest.mark.parametrize("evil", ["x\r\nX-Evil: 1", "x\nX-Evil: 1", "x\x00", "x" * 65, "é", "<script>", "", "x y"])
def test_header_values_are_not_echoed_unless_harmless(attack: Attacker, evil: str) -> None:
    answer = attack("GET", "Patient/p", X_Request_Id=evil, Origin=evil)
    assert answer.headers["X-Request-Id"] != evil
    assert answer.headers.get("Access-Control-Allow-Origin", "*") == "*"
    assert attack("GET", "Patient/p", X_Request_Id="mine-1").headers["X-Request-Id"] == "mine-1"
