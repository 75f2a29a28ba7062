"""What a narrative may hold. https://hl7.org/fhir/R4/narrative.html#xhtml"""

from __future__ import annotations

import pytest

from fhir_server.fhirpath.xhtml import is_safe_narrative

HEAD = '<div xmlns="http://www.w3.org/1999/xhtml"'


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (f"{HEAD}><p>Blood <b>pressure</b>&#160;120</p></div>", True),
        (f'{HEAD}><img src="#a" alt="chart"/></div>', True),
        (
            f'{HEAD}><a href="https://example.org">x</a><table class="t"><tr><td colspan="2">y</td></tr></table></div>',
            True,
        ),
        (f"{HEAD}> \n </div>", False),
        (f"{HEAD}/>", False),
        (f"{HEAD}>x", False),
        ("<div>no namespace</div>", False),
        ('<p xmlns="http://www.w3.org/1999/xhtml">x</p>', False),
        (f"{HEAD}>x<script>alert(1)</script></div>", False),
        (f'{HEAD} onclick="x()">x</div>', False),
        (f'{HEAD}><a href=" java\nscript:x()">x</a></div>', False),
        (f'{HEAD}><iframe src="x"/>x</div>', False),
        (f"{HEAD}><form><input/></form>x</div>", False),
        (f"{HEAD}><?php x ?>x</div>", False),
        (f"<!DOCTYPE div [<!ENTITY a 'b'>]>{HEAD}>&a;</div>", False),
        ("not markup", False),
        (f"{HEAD}>\ud800</div>", False),
    ],
)
def test_is_safe_narrative(text: str, safe: bool) -> None:
    assert is_safe_narrative(text) is safe
