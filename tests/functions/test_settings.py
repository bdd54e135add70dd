"""Test how settings are read, and that only one module reads the environment."""

import re
from datetime import timedelta

import pytest

from functions.errors import SettingsError
from functions.rollouts.model.quarantine import QuarantineRule
from functions.rollouts.model.quotas import Tier, quotas
from functions.settings.connections import AppIdentity, Connection
from functions.settings.environment import (
    DEFAULT_SCHEDULE,
    read,
    read_advance_schedule,
    read_public_url,
    read_tick_interval,
    read_trust_easy_auth,
)
from simulator.paths import REPOSITORY

SECRET = "HostName=h;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0"
ENOUGH = {"IOTHUB_CONNECTION_STRING": SECRET, "AzureWebJobsStorage": "s"}


def test_connection_strings_are_enough() -> None:
    settings = read({"IOTHUB_CONNECTION_STRING": SECRET, "AzureWebJobsStorage": "s"})
    assert settings.hub == Connection(connection_string=SECRET)
    assert settings.tables == settings.queue == Connection(connection_string="s")


def test_with_an_identity_names_are_enough() -> None:
    settings = read(
        {"IOTHUB_HOSTNAME": "h.azure-devices.net", "AzureWebJobsStorage__accountName": "acc"}
    )
    system = AppIdentity()
    assert settings.hub == Connection(address="h.azure-devices.net", identity=system)
    tables, queue = (f"https://acc.{name}.core.windows.net" for name in ("table", "queue"))
    assert settings.tables == Connection(address=tables, identity=system)
    assert settings.queue == Connection(address=queue, identity=system)


def test_a_connection_string_is_used_before_an_identity() -> None:
    settings = read(
        {
            "IOTHUB_CONNECTION_STRING": SECRET,
            "IOTHUB_HOSTNAME": "h",
            "IOTHUB_CLIENT_ID": "id",
            "AzureWebJobsStorage": "s",
            "AzureWebJobsStorage__accountName": "acc",
        }
    )
    assert settings.hub == Connection(connection_string=SECRET)
    assert settings.tables == settings.queue == Connection(connection_string="s")


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
    assert settings.tables.address == "https://t.example"
    assert settings.queue.address == "https://q.example"


HUB_IDENTITIES: list[tuple[dict[str, str], AppIdentity | None]] = [
    ({"IOTHUB_CONNECTION_STRING": SECRET, "IOTHUB_CLIENT_ID": "h"}, None),
    ({"IOTHUB_HOSTNAME": "h"}, AppIdentity()),
    ({"IOTHUB_HOSTNAME": "h", "IOTHUB_CLIENT_ID": ""}, AppIdentity()),
    ({"IOTHUB_HOSTNAME": "h", "IOTHUB_CLIENT_ID": "hub-id"}, AppIdentity(client_id="hub-id")),
]
STORAGE_IDENTITIES: list[tuple[dict[str, str], AppIdentity | None]] = [
    ({"": "s", "__clientId": "id"}, None),
    ({"__accountName": "a"}, AppIdentity()),
    ({"__accountName": "a", "__clientId": "id"}, AppIdentity(client_id="id")),
    (
        {"__accountName": "a", "__clientId": "id", "__credential": "managedidentity"},
        AppIdentity(client_id="id", managed_only=True),
    ),
    (
        {"__accountName": "a", "__credential": "managedIdentity"},
        AppIdentity(managed_only=True),
    ),
]


@pytest.mark.parametrize("azure_client_id", [None, "app-id"])
@pytest.mark.parametrize("hub", HUB_IDENTITIES)
@pytest.mark.parametrize("queue", STORAGE_IDENTITIES)
@pytest.mark.parametrize("tables", [None, *STORAGE_IDENTITIES])
def test_each_connection_has_its_own_identity(
    hub: tuple[dict[str, str], AppIdentity | None],
    queue: tuple[dict[str, str], AppIdentity | None],
    tables: tuple[dict[str, str], AppIdentity | None] | None,
    azure_client_id: str | None,
) -> None:
    environment = dict(hub[0])
    environment |= {f"AzureWebJobsStorage{name}": value for name, value in queue[0].items()}
    if tables:
        environment |= {f"ROLLOUT_TABLES{name}": value for name, value in tables[0].items()}
    if azure_client_id:
        environment["AZURE_CLIENT_ID"] = azure_client_id

    def expected(own: AppIdentity | None) -> AppIdentity | None:
        if own is None or own.client_id or own.managed_only:
            return own
        return AppIdentity(client_id=azure_client_id)

    settings = read(environment)
    assert settings.hub.identity == expected(hub[1])
    assert settings.queue.identity == expected(queue[1])
    assert settings.tables.identity == expected((tables or queue)[1])


@pytest.mark.parametrize(
    ("text", "trusted"),
    [("", False), ("false", False), ("0", False), ("true", True), (" True ", True), ("1", True)],
)
def test_app_service_authentication_is_trusted_only_if_the_setting_says_so(
    text: str, *, trusted: bool
) -> None:
    assert read_trust_easy_auth({"ROLLOUT_TRUST_EASY_AUTH": text}) is trusted
    assert read_trust_easy_auth({}) is False


def test_the_default_is_the_smallest_hub() -> None:
    assert read(ENOUGH).limits == quotas(Tier.S1, 1, 0.8, daily_share=0.3)
    empty = dict.fromkeys(("IOTHUB_TIER", "IOTHUB_UNITS", "ROLLOUT_QUOTA_SHARE"), "")
    assert read(ENOUGH | empty).limits == quotas(Tier.S1, 1, 0.8, daily_share=0.3)


def test_quotas_follow_tier_and_units() -> None:
    limits = read(ENOUGH | {"IOTHUB_TIER": "S2", "IOTHUB_UNITS": " 7 "}).limits
    assert limits == quotas(Tier.S2, 7, 0.8, daily_share=0.3)


@pytest.mark.parametrize(("text", "share"), [("50", 0.5), ("50%", 0.5), ("100", 1.0), ("1", 0.01)])
def test_the_share_is_used(text: str, share: float) -> None:
    assert read(ENOUGH | {"ROLLOUT_QUOTA_SHARE": text}).limits.share == share


def test_the_local_hub_may_be_faster() -> None:
    limits = read(ENOUGH | {"IOTHUB_THROTTLE_SCALE": "20"}).limits
    assert limits == quotas(Tier.S1, 1, 0.8, 20, 0.3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IOTHUB_TIER", "B1"),
        ("ROLLOUT_DAILY_SHARE", "0"),
        ("ROLLOUT_DAILY_SHARE", "101%"),
        ("ROLLOUT_DAILY_SHARE", "a third"),
        ("ROLLOUT_DAILY_SHARE", "nan"),
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
        ("ROLLOUT_TRUST_EASY_AUTH", "yes"),
        ("IOTHUB_THROTTLE_SCALE", "-2"),
        ("IOTHUB_THROTTLE_SCALE", "1e9"),
        ("ROLLOUT_ADVANCE_SCHEDULE", "PT30S"),
        ("ROLLOUT_ADVANCE_SCHEDULE", "30s"),
        ("ROLLOUT_ADVANCE_SCHEDULE", "*/10 * * *"),
        ("ROLLOUT_ADVANCE_SCHEDULE", "*/10 * * * * * *"),
        ("ROLLOUT_ADVANCE_SCHEDULE", "every 10 seconds, all day, please!"),
    ],
)
def test_the_error_names_an_invalid_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read(ENOUGH | {name: value})


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
    monkeypatch.setenv("ROLLOUT_ADVANCE_SCHEDULE", " ")
    assert read_advance_schedule() == DEFAULT_SCHEDULE
    monkeypatch.setenv("ROLLOUT_ADVANCE_SCHEDULE", "0 * * * * *")
    assert read_advance_schedule() == "0 * * * * *"


@pytest.mark.parametrize(
    "schedule",
    ["", " ", "*/30 * * * * *", "*/5 * * * *", " 0  30 9-17/2 1,15 Jan Mon-Fri ", "%SCHEDULE%"],
)
def test_a_schedule_that_the_host_may_know_is_accepted(schedule: str) -> None:
    assert read(ENOUGH | {"ROLLOUT_ADVANCE_SCHEDULE": schedule}) == read(ENOUGH)


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [
        ("*/10 * * * * *", 10),
        ("* * * * * *", 1),
        ("0 * * * * *", 60),
        ("0 */5 * * * *", 300),
        ("0 0 * * * *", None),
        ("*/10 * 1-5 * * *", None),
        ("%SCHEDULE%", None),
    ],
)
def test_the_longest_time_between_two_ticks(
    monkeypatch: pytest.MonkeyPatch, schedule: str, seconds: int | None
) -> None:
    monkeypatch.setenv("ROLLOUT_ADVANCE_SCHEDULE", schedule)
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert read_tick_interval() == expected


def test_nothing_else_reads_the_environment() -> None:
    reads = re.compile(r"os\.environ|getenv|from os import")
    files = [*(REPOSITORY / "functions").rglob("*.py"), REPOSITORY / "function_app.py"]
    readers = [path.name for path in files if reads.search(path.read_text(encoding="utf-8"))]
    assert readers == ["environment.py"]


def test_the_quarantine_is_off_unless_it_is_set() -> None:
    assert read(ENOUGH).quarantine is None
    assert read(ENOUGH | {"ROLLOUT_DEVICE_QUARANTINE": "off"}).quarantine is None
    rule = read(ENOUGH | {"ROLLOUT_DEVICE_QUARANTINE": "3 in P30D"}).quarantine
    assert rule == QuarantineRule(failures=3, period=timedelta(days=30))


@pytest.mark.parametrize(
    "text", ["1 in P30D", "3", "3 in 30", "3 in P366D", "3 in P0D", "0 in P1D"]
)
def test_an_invalid_quarantine_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="ROLLOUT_DEVICE_QUARANTINE must be off"):
        read(ENOUGH | {"ROLLOUT_DEVICE_QUARANTINE": text})


def test_the_share_of_the_day_is_read_and_f1_has_small_messages_and_one_unit() -> None:
    limits = read(ENOUGH | {"IOTHUB_TIER": "F1", "ROLLOUT_DAILY_SHARE": "12.5%"}).limits
    assert (limits.daily_messages, limits.block_bytes) == (1000, 512)
    with pytest.raises(SettingsError, match="IOTHUB_UNITS must be 1"):
        read(ENOUGH | {"IOTHUB_TIER": "F1", "IOTHUB_UNITS": "2"})


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", timedelta(days=400)), ("P400D", timedelta(days=400)), ("P1D", timedelta(days=1)),
        ("P0D", None), ("PT0S", None), (" PT1S ", timedelta(seconds=1)),
        ("P1DT12H", timedelta(hours=36)), ("P99999D", timedelta(days=99_999)),
    ],
)  # fmt: skip
def test_the_retention_is_read_and_zero_keeps_for_ever(text: str, length: timedelta | None) -> None:
    assert read({**ENOUGH, "ROLLOUT_RETENTION": text}).retention == length


@pytest.mark.parametrize(
    "text",
    [
        "400",
        "P",
        "PT",
        "P1DT",
        "P-1D",
        "-P1D",
        "P1.5D",
        "P1Y",
        "P1M",
        "P100000D",
        "p1d",
        "P\u0663D",
    ],
)
def test_an_invalid_retention_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(SettingsError, match=r"ROLLOUT_RETENTION must be .* such as P400D, or P0D"):
        read({**ENOUGH, "ROLLOUT_RETENTION": text})
