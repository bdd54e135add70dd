"""The hub as Microsoft's own SDKs see it."""

from azure.iot.device import IoTHubDeviceClient, MethodRequest, MethodResponse
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

from simulator.hub import LocalHub
from tests.simulator.hub.conftest import Connect


def echo(client: IoTHubDeviceClient) -> None:
    """Answer every method with 200 and what was sent."""

    def answer(request: MethodRequest) -> None:
        payload = {"name": request.name, "got": request.payload}
        client.send_method_response(MethodResponse(request.request_id, 200, payload))

    client.on_method_request_received = answer


def test_a_direct_method_reaches_the_device_and_its_answer_comes_back(
    hub: LocalHub, service: IoTHubRegistryManager, connect: Connect
) -> None:
    echo(connect(hub.create_device("one")))

    answer = service.invoke_device_method(
        "one", CloudToDeviceMethod(method_name="firmwareUpdate", payload={"a": [1, None]})
    )

    assert (answer.status, answer.payload) == (
        200,
        {"name": "firmwareUpdate", "got": {"a": [1, None]}},
    )
