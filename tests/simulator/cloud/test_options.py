"""Addresses and connection strings of a local cloud."""

from simulator.cloud.options import CloudOptions
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
