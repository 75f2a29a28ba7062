"""The demo clinics as transactions: the same every time, complete in themselves. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from fhir_server.demo import TENANTS, transaction_bundles
from fhir_server.r4 import json

_DIGEST = """
import hashlib, sys
from datetime import date
from fhir_server.demo import transaction_bundles
from fhir_server.r4 import json
bundles = transaction_bundles("hillside", date(2026, 11, 25))
sys.stdout.write(hashlib.sha256(b"".join(map(json.dumps, bundles))).hexdigest())
"""


def test_another_process_makes_the_same_bytes() -> None:
    """Hash seeds differ between the processes, so an order taken from a set would show."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert re.fullmatch("[0-9a-f]{64}", digests.pop())


def test_ids_stay_while_days_pass() -> None:
    """Loading the demo again on a later day updates the people, it does not double them."""
    first, later = (
        [entry["request"]["url"] for bundle in transaction_bundles("riverside", day) for entry in bundle["entry"]]
        for day in (date(2026, 11, 25), date(2026, 11, 26))
    )
    patients = [url for url in first if url.startswith("Patient/")]
    assert patients == [url for url in later if url.startswith("Patient/")]
    assert len(set(first) & set(later)) > 0.97 * len(first)


def test_an_unknown_clinic_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        list(transaction_bundles("seaside", date(2026, 11, 25)))


def test_every_entry_puts_its_resource_at_its_own_address(bundles: list[dict[str, Any]]) -> None:
    entries = [entry for bundle in bundles for entry in bundle["entry"]]
    for entry in entries:
        resource = entry["resource"]
        assert entry["request"] == {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
        assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", entry["fullUrl"])
    assert len({entry["request"]["url"] for entry in entries}) == len(entries)
    assert len({entry["fullUrl"] for entry in entries}) == len(entries)


def test_the_clinics_share_no_full_url() -> None:
    one, other = (
        {entry["fullUrl"] for bundle in transaction_bundles(tenant, date(2026, 11, 25)) for entry in bundle["entry"]}
        for tenant in TENANTS
    )
    assert not one & other


def test_every_reference_leads_into_the_same_or_the_first_bundle(bundles: list[dict[str, Any]]) -> None:
    shared = _addresses(bundles[0])
    for bundle in bundles:
        known = shared | _addresses(bundle)
        assert not {ref for entry in bundle["entry"] for ref in _references(entry["resource"])} - known


def test_counts(bundles: list[dict[str, Any]], records: list[list[dict[str, Any]]]) -> None:
    counts = Counter(entry["resource"]["resourceType"] for bundle in bundles for entry in bundle["entry"])
    people = {"riverside": 60, "hillside": 30}[bundles[0]["entry"][0]["resource"]["id"]]
    assert counts["Patient"] == counts["Account"] == counts["CareTeam"] == counts["RelatedPerson"] == people
    assert len(counts) == 39
    assert all(counts.values())
    assert all(record[0]["resourceType"] == "Patient" for record in records)
    assert all(60 <= len(record) <= 130 for record in records)
    assert 60 <= sum(map(len, records)) / people <= 100


def test_decimals_keep_the_digits_a_laboratory_reports(records: list[list[dict[str, Any]]]) -> None:
    written = b"".join(json.dumps(resource) for record in records for resource in record if _is_lab(resource))
    creatinine = re.findall(rb'"value":([0-9.]+),"unit":"ng/dL"', written)
    assert creatinine
    assert all(re.fullmatch(rb"\d\.\d\d", value) for value in creatinine)


def test_attachments_are_what_they_say(records: list[list[dict[str, Any]]]) -> None:
    documents = [each for record in records for each in record if each["resourceType"] == "DocumentReference"]
    for attachment in (document["content"][0]["attachment"] for document in documents):
        data = base64.b64decode(attachment["data"])
        assert len(data) == attachment["size"]
        assert hashlib.sha1(data).digest() == base64.b64decode(attachment["hash"])
        assert data.decode().endswith("\n")


def test_names_in_many_scripts() -> None:
    written = "".join(
        name.get("family", "")
        for tenant in TENANTS
        for bundle in transaction_bundles(tenant, date(2026, 11, 25))
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Patient"
        for name in entry["resource"]["name"]
    )
    for script in ("[áéíóúñ]", "[\u0400-\u04ff]", "[\u0600-\u06ff]", "[\u4e00-\u9fff]", "[\u1ea0-\u1ef9]", "\u02bb"):
        assert re.search(script, written), script


@pytest.mark.parametrize("day", [date(2024, 2, 29), date(2027, 1, 1), date(2027, 3, 28), date(2030, 12, 31)])
@pytest.mark.parametrize("tenant", TENANTS)
def test_any_day_will_do(tenant: str, day: date) -> None:
    bundles = list(transaction_bundles(tenant, day))
    assert len(bundles) == {"riverside": 61, "hillside": 31}[tenant]
    addresses = [entry["request"]["url"] for bundle in bundles for entry in bundle["entry"]]
    assert len(set(addresses)) == len(addresses)


def _addresses(bundle: dict[str, Any]) -> set[str]:
    return {entry["request"]["url"] for entry in bundle["entry"]}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def _is_lab(resource: dict[str, Any]) -> bool:
    return resource["resourceType"] == "Observation" and "specimen" in resource
