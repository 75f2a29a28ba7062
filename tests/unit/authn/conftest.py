from __future__ import annotations

import pytest

from tests.unit.authn.https_servers import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The certificate authority of the tests' HTTPS servers."""
    return Authority(tmp_path_factory.mktemp("authority"))
