"""Every valid official example comes back as it was sent, by each way there is. https://hl7.org/fhir/R4/json.html"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.invalid_examples import INVALID_EXAMPLES
from tests.functional.conftest import Answer, Api, access_token, app, new_api, settings

__all__ = ["access_token", "app", "new_api", "settings"]

EXAMPLES = Path(__file__).parents[3] / "shared/data/fhir-r4/examples.zip"
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="the official examples are not here")


def valid_examples() -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(EXAMPLES) as archive:
        for path in sorted(archive.namelist()):
            name = Path(path).name
            if name.endswith(".json") and name not in INVALID_EXAMPLES:
                yield name, archive.read(path)


def digits(text: str) -> tuple[str, str]:
    """A number by its digits: an exponent may be written out, but 1.0 is not 1.00. Such as ("number", "1.00")"""
    return "number", format(Decimal(text), "f")


def parsed(text: bytes) -> Any:
    """JSON in which every number stands for its digits, and true is not 1."""
    return json.loads(text, parse_float=digits, parse_int=digits)


def content(resource: Any) -> Any:
    """A resource without what the server sets. The id as well: a POST chooses another one."""
    kept = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    return kept | ({"meta": meta} if meta else {})


def store(api: Api, body: bytes) -> Answer:
    resource = json.loads(body)
    resource_type, resource_id = resource["resourceType"], resource.get("id", "")
    if ID.fullmatch(resource_id):
        return api.put(f"{resource_type}/{resource_id}", body)
    return api.post(resource_type, body)


def test_examples_come_back_as_they_were_sent(new_api: Callable[..., Api]) -> None:
    others, consents = new_api(), new_api()
    checked = 0
    for name, body in valid_examples():
        sent = parsed(body)
        # What the consents among the examples withhold are other examples.
        api = consents if sent["resourceType"] == "Consent" else others
        made = store(api, body)
        # Some examples share a type and an id: then this is the next version.
        assert made.status in (200, 201), (name, made.data[:300])
        here = made.headers["Location"].partition("/fhir/")[2]
        path = here.partition("/_history/")[0]
        resource_type, _, resource_id = path.partition("/")
        found = parsed(api.get(f"{resource_type}?_id={resource_id}").data)["entry"]
        past = parsed(api.get(f"{path}/_history").data)["entry"]
        ways = {
            "answer": parsed(made.data),
            "read": parsed(api.get(path).data),
            "vread": parsed(api.get(here).data),
            "search": found[0]["resource"],
            "history": past[0]["resource"],
        }
        for way, got in ways.items():
            assert content(got) == content(sent), f"{name} by {way}"
            assert got["id"] == resource_id, f"{name} by {way}"
            assert got == ways["read"], f"{name} by {way}"
        checked += 1
    assert checked >= 370


def test_examples_stay_themselves_through_a_transaction_and_an_unchanging_patch(new_api: Callable[..., Api]) -> None:
    """Bundles rewrite references, and a patch writes what it has read: neither may touch anything else."""
    api = new_api()
    for name, body in list(valid_examples())[::12]:
        sent = parsed(body)
        entry = b'{"resource":%s,"request":{"method":"PUT","url":"%s/same"}}' % (
            re.sub(rb'"id"\s*:\s*"%s"' % re.escape(sent.get("id", "?").encode()), b'"id":"same"', body, count=1)
            if sent.get("id")
            else body.replace(b"{", b'{"id":"same",', 1),
            sent["resourceType"].encode(),
        )
        made = api.post("", b'{"resourceType":"Bundle","type":"transaction","entry":[%s]}' % entry)
        assert made.status == 200, (name, made.data[:300])
        path = f"{sent['resourceType']}/same"
        assert content(parsed(api.get(path).data)) == content(sent), name
        patch = [{"op": "test", "path": "/resourceType", "value": sent["resourceType"]}]
        assert api.patch(path, patch, Content_Type="application/json-patch+json").status == 200, name
        assert content(parsed(api.get(path).data)) == content(sent), name
