"""Test how settings are read, and that only `settings` reads the environment."""

import re

import pytest

from functions.errors import SettingsError
from functions.rollouts.model.quotas import Tier, quotas
from functions.settings import DEFAULT_SCHEDULE, read, read_advance_schedule, read_public_url
from simulator.paths import REPOSITORY

SECRET = "HostName=h;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0"
ENOUGH = {"IOTHUB_CONNECTION_STRING": SECRET, "AzureWebJobsStorage": "s"}


def test_connection_strings_are_enough() -> None:
    settings = read({"IOTHUB_CONNECTION_STRING": SECRET, "AzureWebJobsStorage": "s"})
    assert settings.hub_connection_string == SECRET
    assert settings.storage_connection_string == "s"


def test_with_an_identity_names_are_enough() -> None:
    settings = read(
        {"IOTHUB_HOSTNAME": "h.azure-devices.net", "AzureWebJobsStorage__accountName": "acc"}
    )
    assert settings.hub_hostname == "h.azure-devices.net"
    assert settings.table_service_url == "https://acc.table.core.windows.net"
    assert settings.queue_service_url == "https://acc.queue.core.windows.net"


def test_a_connection_string_is_used_before_an_identity() -> None:
    settings = read(
        {
            "IOTHUB_CONNECTION_STRING": SECRET,
            "IOTHUB_HOSTNAME": "h",
            "AzureWebJobsStorage": "s",
            "AzureWebJobsStorage__accountName": "acc",
        }
    )
    assert settings.hub_hostname is None
    assert settings.table_service_url is None
    assert settings.queue_service_url is None


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "IOTHUB_CONNECTION_STRING"),
        ({"IOTHUB_CONNECTION_STRING": ""}, "IOTHUB_CONNECTION_STRING"),
        ({"IOTHUB_CONNECTION_STRING": SECRET}, "AzureWebJobsStorage"),
        ({"IOTHUB_HOSTNAME": "h", "AzureWebJobsStorage": ""}, "AzureWebJobsStorage"),
        (
            {"IOTHUB_HOSTNAME": "h", "AzureWebJobsStorage__tableServiceUri": "https://t.example"},
            "AzureWebJobsStorage",
        ),
    ],
)
def test_the_error_names_a_missing_setting(environment: dict[str, str], name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read(environment)


def test_repr_shows_no_secret() -> None:
    settings = read({"IOTHUB_CONNECTION_STRING": SECRET, "AzureWebJobsStorage": "AccountKey=k"})
    assert "c2VjcmV0" not in repr(settings)
    assert "AccountKey" not in repr(settings)


def test_the_two_services_may_have_their_own_urls() -> None:
    settings = read(
        {
            "IOTHUB_HOSTNAME": "h",
            "AzureWebJobsStorage__tableServiceUri": "https://t.example",
            "AzureWebJobsStorage__queueServiceUri": "https://q.example",
            "AzureWebJobsStorage__accountName": "acc",
        }
    )
    assert settings.table_service_url == "https://t.example"
    assert settings.queue_service_url == "https://q.example"


def test_the_default_is_the_smallest_hub() -> None:
    assert read(ENOUGH).limits == quotas(Tier.S1, 1, 0.8)
    empty = dict.fromkeys(("IOTHUB_TIER", "IOTHUB_UNITS", "ROLLOUT_QUOTA_SHARE"), "")
    assert read(ENOUGH | empty).limits == quotas(Tier.S1, 1, 0.8)


def test_quotas_follow_tier_and_units() -> None:
    limits = read(ENOUGH | {"IOTHUB_TIER": "S2", "IOTHUB_UNITS": " 7 "}).limits
    assert limits == quotas(Tier.S2, 7, 0.8)


@pytest.mark.parametrize(("text", "share"), [("50", 0.5), ("50%", 0.5), ("100", 1.0), ("1", 0.01)])
def test_the_share_is_used(text: str, share: float) -> None:
    assert read(ENOUGH | {"ROLLOUT_QUOTA_SHARE": text}).limits.share == share


def test_the_local_hub_may_be_faster() -> None:
    limits = read(ENOUGH | {"IOTHUB_THROTTLE_SCALE": "20"}).limits
    assert limits == quotas(Tier.S1, 1, 0.8, 20)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IOTHUB_TIER", "F1"),
        ("IOTHUB_TIER", "s1"),
        ("IOTHUB_TIER", "B2"),
        ("IOTHUB_UNITS", "0"),
        ("IOTHUB_UNITS", "201"),
        ("IOTHUB_UNITS", "1.5"),
        ("IOTHUB_UNITS", "many"),
        ("IOTHUB_UNITS", "nan"),
        ("IOTHUB_UNITS", "-1"),
        ("ROLLOUT_QUOTA_SHARE", "0"),
        ("ROLLOUT_QUOTA_SHARE", "101%"),
        ("ROLLOUT_QUOTA_SHARE", "inf"),
        ("ROLLOUT_QUOTA_SHARE", "half"),
        ("IOTHUB_THROTTLE_SCALE", "0"),
        ("IOTHUB_THROTTLE_SCALE", "-2"),
        ("IOTHUB_THROTTLE_SCALE", "1e9"),
    ],
)
def test_the_error_names_an_invalid_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read(ENOUGH | {name: value})


def test_the_identitys_client_id_is_read() -> None:
    settings = read({**ENOUGH, "AzureWebJobsStorage__clientId": "id-1"})
    assert settings.identity_client_id == "id-1"
    assert read(ENOUGH).identity_client_id is None


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", None),
        ("https://rollouts.example", "https://rollouts.example"),
        ("https://rollouts.example/", "https://rollouts.example"),
        ("HTTPS://Rollouts.example:8443/a/b-c/", "HTTPS://Rollouts.example:8443/a/b-c"),
        ("http://[::1]:7071/api", "http://[::1]:7071/api"),
    ],
)
def test_a_public_url_is_read_without_its_last_slash(text: str, url: str | None) -> None:
    assert read_public_url({"ROLLOUT_PUBLIC_URL": text}) == url
    read(ENOUGH | {"ROLLOUT_PUBLIC_URL": text})


@pytest.mark.parametrize(
    "text",
    [
        "rollouts.example", "/api", "ftp://rollouts.example", "https://", "https:///api",
        "https://ada:secret@rollouts.example", "https://rollouts.example/?a=b",
        "https://rollouts.example/#f", "https://rollouts.example/a b", "https://a\nb.example",
        "https://rollouts.example/a//b", "https://rollouts.example/../x", "https://r.example/.",
        "https://rollouts.example:99999", "https://rollouts.example:0", "https://rollouts.example:x",
        "https://rollouts.example/{id}", "https://ro\u00e4.example",
        "https://r.example/" + "x" * 2000,
    ],
)  # fmt: skip
def test_an_invalid_public_url_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="ROLLOUT_PUBLIC_URL must be") as caught:
        read(ENOUGH | {"ROLLOUT_PUBLIC_URL": text})
    assert "secret" not in str(caught.value)


def test_the_schedule_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLOUT_ADVANCE_SCHEDULE", raising=False)
    assert read_advance_schedule() == DEFAULT_SCHEDULE
    monkeypatch.setenv("ROLLOUT_ADVANCE_SCHEDULE", "0 * * * * *")
    assert read_advance_schedule() == "0 * * * * *"


def test_nothing_else_reads_the_environment() -> None:
    reads = re.compile(r"os\.environ|getenv|from os import")
    files = [*(REPOSITORY / "functions").rglob("*.py"), REPOSITORY / "function_app.py"]
    readers = [path.name for path in files if reads.search(path.read_text(encoding="utf-8"))]
    assert readers == ["settings.py"]
