"""What is read of a ValueSet. https://hl7.org/fhir/R4/valueset.html"""

from __future__ import annotations

import msgspec

from fhir_server.terminology.budget import Budget
from fhir_server.terminology.value_set import Expansion, ValueSet


def test_the_parts_that_matter_are_read() -> None:
    read = msgspec.json.decode(
        b'{"url":"u","version":"1","text":{"div":"x"},"compose":{"inactive":false,"include":[{"system":"s","version":"2",'
        b'"concept":[{"code":"a","display":"A"}],"filter":[{"property":"p","op":"=","value":"v"}],"valueSet":["w",null]}]}}',
        type=ValueSet,
    )
    assert read.compose is not None
    include = read.compose.include[0]
    assert (read.url, read.version, read.compose.inactive, include.system, include.version) == (
        "u",
        "1",
        False,
        "s",
        "2",
    )
    assert (include.concept[0].code, include.filter[0].op, include.value_set) == ("a", "=", ("w", None))


def test_an_expansion_lists_what_can_be_selected_in_order() -> None:
    read = msgspec.json.decode(
        b'{"contains":[{"system":"s","code":"a","abstract":true,"contains":[{"system":"s","code":"b","contains":'
        b'[{"system":"s","code":"c"}]},{"display":"d"}]},{"system":"t","code":"e"}]}',
        type=Expansion,
    )
    assert list(read.codes(Budget())) == [("s", "b"), ("s", "c"), ("t", "e")]
