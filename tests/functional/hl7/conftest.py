"""What several tests of the gateway begin with: another system, and a hospital's certificates. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functional.hl7.certificates import Authority, Issued
from tests.functional.hl7.outbound import System


@pytest.fixture
def system() -> Iterator[System]:
    """Another system, which listens."""
    other = System()
    other.up()
    yield other
    other.close()


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A hospital that vouches for its machines."""
    return Authority(tmp_path_factory.mktemp("hospital"), "hospital")


@pytest.fixture(scope="session")
def server(hospital: Authority) -> Issued:
    """What a gateway shows for itself."""
    return hospital.issue("gateway")


@pytest.fixture(scope="session")
def lab(hospital: Authority) -> Issued:
    """What a sender shows for itself."""
    return hospital.issue("lab")
