"""What a local cloud's options make of its addresses."""

from simulator.cloud.options import HUB_KEY, CloudOptions
from simulator.hub import HubOptions
from simulator.hub.local_hub import device_connection_string, service_connection_string
from simulator.hub.options import DEVELOPMENT_KEY


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


def test_they_are_those_of_the_hub_itself() -> None:
    for address in ("127.0.0.1", "127.0.0.2"):
        options = CloudOptions(address=address)
        hub = HubOptions(certificates=options.local_directory, address=address)
        service = service_connection_string(hub, options.hub_https_port)

        assert options.service_connection_string == service
        assert options.device_connection_string("d1", "k") == device_connection_string(
            hub, "d1", "k"
        )
    assert HUB_KEY == DEVELOPMENT_KEY


def test_a_demo_does_not_touch_the_data_that_up_keeps() -> None:
    kept, fresh = CloudOptions(keep_data=True), CloudOptions(keep_data=False)

    assert kept.azurite.location != fresh.azurite.location
