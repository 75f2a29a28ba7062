from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fhir_server.settings import ConfigurationError, Settings, documented


def test_defaults_need_nothing_to_be_set() -> None:
    settings = Settings.from_env({})
    assert (settings.port, settings.data_dir, settings.database_url) == (8080, Path("var"), None)
    assert settings.public_url == "http://localhost:8080"
    assert settings.web_workers >= 1
    assert settings.pool_size == settings.web_threads + 1


def test_values_are_read_by_the_name_in_capitals() -> None:
    environ = {
        "PORT": "9000",
        "DATA_DIR": "/srv/fhir",
        "DATABASE_URL": "postgres://u:p@db/fhir",
        "BASE_URL": "https://fhir.example.org/",
        "PRODUCTION": "yes",
        "UNRELATED": "x",
    }
    settings = Settings.from_env(environ)
    assert settings.port == 9000
    assert settings.data_dir == Path("/srv/fhir")
    assert settings.database_url == "postgresql://u:p@db/fhir"
    assert settings.public_url == settings.issuer == "https://fhir.example.org"
    assert settings.production is True


def test_hosts_and_networks_are_written_in_one_way() -> None:
    assert Settings.from_env({"OUTBOUND_ALLOW": " IdP.example, 10.2.0.0/16,,::1"}).outbound_allow == (
        "idp.example,10.2.0.0/16,::1"
    )


def test_empty_value_is_as_good_as_none() -> None:
    assert Settings.from_env({"PORT": " ", "DATABASE_URL": ""}) == Settings.from_env({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("PORT", "80 80"),
        ("PRODUCTION", "perhaps"),
        ("LOG_LEVEL", "loud"),
        ("BASE_URL", "fhir.example.org"),
        ("BASE_URL", "https://x/?a=b"),
        ("DATABASE_URL", "mysql://u:p@h/d"),
        ("MAX_BODY_BYTES", "64MB"),
        ("EMBEDDED_SHARED_BUFFERS", "lots"),
        ("OUTBOUND_ALLOW", "10.2.0.1/16"),
        ("OUTBOUND_ALLOW", "idp.example,10.2.0"),
        ("OUTBOUND_ALLOW", "https://idp.example"),
        ("OUTBOUND_ALLOW", "*.example"),
    ],
)
def test_wrong_value_is_one_sentence_that_names_the_setting(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({name: value})
    sentence = str(caught.value)
    assert sentence.startswith(f"{name} must be ")
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_secret_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({"DATABASE_URL": "mysql://user:hunter2@host/fhir"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="MLLP_ALERT_URL must be an address") as caught:
        Settings.from_env({"MLLP_ALERT_URL": "alerts.example/hook?key=hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "https://alerts.example:99999/hunter2",
        "https://alerts.example:0/hunter2",
        "https://alerts.example:x/hunter2",
        "https://[alerts.example/hunter2",
        "https://alerts.example/hunter2 two",
        "https://user:hunter2@alerts.example/",
        "ftp://alerts.example/hunter2",
    ],
)
def test_an_address_for_alerts_that_nobody_can_call_is_refused_at_the_start(address: str) -> None:
    with pytest.raises(ConfigurationError, match="MLLP_ALERT_URL must be an address") as caught:
        Settings.from_env({"MLLP_ALERT_URL": address})
    assert "hunter2" not in str(caught.value)


def test_production_needs_a_base_url() -> None:
    with pytest.raises(ConfigurationError, match="BASE_URL"):
        Settings.from_env({"PRODUCTION": "1"})


def test_every_setting_is_documented_with_one_sentence() -> None:
    rows = documented()
    assert [row.name.lower() for row in rows] == [field.name for field in dataclasses.fields(Settings)]
    for row in rows:
        assert row.sentence.endswith("."), row.name
        assert row.kind, row.name


def test_documented_default_is_the_default() -> None:
    for row, field in zip(documented(), dataclasses.fields(Settings), strict=True):
        if not field.metadata["shown_default"] and row.default:
            assert Settings.from_env({row.name: row.default}) == Settings.from_env({}), row.name
