"""docs/hl7-mapping.md tells of the tables that there are."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.hl7_gateway.conversion.test_samples import SAMPLES

ROOT = Path(__file__).resolve().parents[4]
GUIDE = SAMPLES.parent / "v2-to-fhir"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("document_hl7", ROOT / "scripts/document_hl7.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_tables_of_today() -> None:
    module, text = script(), (ROOT / "docs/hl7-mapping.md").read_text()
    assert module.page(text, None) == text, "run scripts/document_hl7.py"


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not on this machine")
def test_the_page_tells_what_of_the_guide_is_not_read() -> None:
    module, text = script(), (ROOT / "docs/hl7-mapping.md").read_text()
    assert module.page(text, GUIDE) == text, "run scripts/document_hl7.py with the guide's directory"
