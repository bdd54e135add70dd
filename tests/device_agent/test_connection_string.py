"""Test reading a device's connection string and choosing its authority."""

from pathlib import Path

import pytest

from device_agent.connection_string import ConnectionStringError, read_identity
from simulator.simulated_device.command import read_authority

KEY = "c2VjcmV0LWtleQ=="
IN_AZURE = f"HostName=fleet.azure-devices.net;DeviceId=d=1;SharedAccessKey={KEY}"
LOCAL = f"HostName=localhost;DeviceId=d1;SharedAccessKey={KEY}"


def test_the_id_and_the_host_are_read() -> None:
    read = read_identity(IN_AZURE)

    assert (read.device_id, read.dialled_host) == ("d=1", "fleet.azure-devices.net")
    assert not read.is_local


def test_a_certificate_replaces_the_key() -> None:
    assert not read_identity(LOCAL).is_x509
    read = read_identity("HostName=localhost;DeviceId=d1;x509=true")

    assert read.is_x509
    assert read.is_local


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10"])
def test_a_host_on_this_machine_is_local(host: str) -> None:
    assert read_identity(LOCAL.replace("localhost", host)).is_local


def test_a_gateway_is_the_host_to_connect_to() -> None:
    assert read_identity(f"{IN_AZURE};GatewayHostName=localhost").is_local


@pytest.mark.parametrize(
    ("unusable", "said"),
    [
        ("", "HostName, DeviceId, SharedAccessKey"),
        ("nonsense", "HostName, DeviceId, SharedAccessKey"),
        (f"HostName=localhost;SharedAccessKey={KEY}", "lacks DeviceId;"),
        ("HostName=localhost;DeviceId=d1;SharedAccessKey=", "lacks SharedAccessKey;"),
        (LOCAL.replace("localhost", "localhost:8883"), "no port"),
        ("HostName=localhost;x509=true", "lacks DeviceId;"),
        ("HostName=localhost;DeviceId=d1;x509=false", "lacks SharedAccessKey;"),
        (f"{LOCAL};x509=true", "both SharedAccessKey and x509=true"),
    ],
)
def test_an_invalid_string_is_explained_without_repeating_it(unusable: str, said: str) -> None:
    with pytest.raises(ConnectionStringError, match=said) as raised:
        read_identity(unusable)

    assert KEY not in str(raised.value)


def test_the_local_authority_is_trusted_for_local_hubs_only(tmp_path: Path) -> None:
    local = tmp_path / "ca.pem"
    assert read_authority(LOCAL, None, local) is None
    local.write_text("local")

    assert read_authority(LOCAL, None, local) == "local"
    assert read_authority(IN_AZURE, None, local) is None


def test_a_given_authority_has_precedence(tmp_path: Path) -> None:
    given, local = tmp_path / "given.pem", tmp_path / "ca.pem"
    given.write_text("given")
    local.write_text("local")

    assert read_authority(LOCAL, given, local) == "given"
    assert read_authority(IN_AZURE, given, local) == "given"
