import pytest

from functions.errors import SettingsError
from functions.settings import read

SECRET = "HostName=h;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0"


def test_connection_strings_are_enough() -> None:
    settings = read({"IOTHUB_CONNECTION_STRING": SECRET, "AzureWebJobsStorage": "s"})
    assert settings.hub_connection_string == SECRET
    assert settings.storage_connection_string == "s"


def test_identities_need_only_names() -> None:
    settings = read(
        {"IOTHUB_HOSTNAME": "h.azure-devices.net", "AzureWebJobsStorage__accountName": "acc"}
    )
    assert settings.hub_hostname == "h.azure-devices.net"
    assert settings.table_service_url == "https://acc.table.core.windows.net"


def test_a_connection_string_wins_over_an_identity() -> None:
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


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "IOTHUB_CONNECTION_STRING"),
        ({"IOTHUB_CONNECTION_STRING": ""}, "IOTHUB_CONNECTION_STRING"),
        ({"IOTHUB_CONNECTION_STRING": SECRET}, "AzureWebJobsStorage"),
    ],
)
def test_what_is_missing_is_named(environment: dict[str, str], name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read(environment)


def test_a_secret_is_not_shown() -> None:
    settings = read({"IOTHUB_CONNECTION_STRING": SECRET, "AzureWebJobsStorage": "AccountKey=k"})
    assert "c2VjcmV0" not in repr(settings)
    assert "AccountKey" not in repr(settings)
