"""Addresses, connection strings and folders of a local cloud, and the options of its commands."""

import fcntl
from decimal import Decimal
from pathlib import Path

import pytest

from simulator.cloud.errors import CloudError
from simulator.cloud.local_cloud import run_cloud
from simulator.cloud.options import CloudOptions, DemoOptions, UpOptions
from simulator.connection_strings import DEVELOPMENT_KEY
from simulator.hub import HubOptions


def test_the_connection_strings_are_those_of_the_contract() -> None:
    options = CloudOptions()

    assert options.service_connection_string == (
        "HostName=localhost:8443;SharedAccessKeyName=iothubowner;"
        "SharedAccessKey=bG9jYWwtaHViLW9ubHktbm90LWEtc2VjcmV0LWtleSE="
    )
    assert options.device_connection_string("d1", "key") == (
        "HostName=localhost;DeviceId=d1;SharedAccessKey=key"
    )
    assert options.api_url == "http://localhost:7071/api"


def test_the_hub_has_the_same_ports_name_and_key() -> None:
    for address in ("127.0.0.1", "127.0.0.2"):
        cloud = CloudOptions(address=address)
        hub = HubOptions(certificates=cloud.local_directory, address=address)

        assert (hub.https_port, hub.mqtt_port) == (cloud.hub_https_port, cloud.hub_mqtt_port)
        assert f"HostName={hub.host_name}:{hub.https_port};" in cloud.service_connection_string
        assert f"HostName={hub.host_name};" in cloud.device_connection_string("d1", "k")
        assert hub.key == DEVELOPMENT_KEY


def test_a_demo_does_not_touch_the_data_that_up_keeps() -> None:
    kept, fresh = CloudOptions(keep_data=True), CloudOptions(keep_data=False)

    assert kept.azurite.location != fresh.azurite.location


def test_each_address_has_a_folder_of_its_own() -> None:
    first, second = CloudOptions(), CloudOptions(address="127.0.0.2")
    assert second.local_directory == first.local_directory / "127.0.0.2"
    assert second.azurite.location != first.azurite.location
    assert CloudOptions(address="127.0.0.2", local_directory=Path("/a")).ca == Path("/a/ca.pem")


def test_a_second_cloud_in_a_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = CloudOptions(local_directory=tmp_path, host_port=17071)
    monkeypatch.setattr("simulator.cloud.ports.check", lambda _: None)
    with (tmp_path / "cloud.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CloudError, match=r"FLEET_ADDRESS=127\.0\.0\.2"), run_cloud(options):
            pytest.fail("it has started")


def test_a_bad_story_needs_enough_devices_for_a_gate() -> None:
    assert DemoOptions(story="bad", cloud=CloudOptions()).device_count == 30
    assert DemoOptions(cloud=CloudOptions()).device_count == 3
    with pytest.raises(ValueError, match="at least 15 devices, not 14"):
        DemoOptions(story="bad", devices=14, cloud=CloudOptions())


def test_devices_that_install_have_no_share_of_failures() -> None:
    with pytest.raises(ValueError, match="--install"):
        UpOptions(install=True, fail=Decimal(20))
