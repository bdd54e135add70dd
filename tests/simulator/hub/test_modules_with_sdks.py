"""Modules with Microsoft's SDKs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from azure.iot.device import IoTHubModuleClient, MethodRequest, MethodResponse
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, QuerySpecification, Twin, TwinProperties

from simulator.hub import LocalHub
from tests.simulator.hub.test_with_sdks import refused
from tests.waiting import eventually

type ConnectModule = Callable[[str], IoTHubModuleClient]


@pytest.fixture
def connect_module(hub: LocalHub, service: IoTHubRegistryManager) -> Iterator[ConnectModule]:
    """Register and connect the module `name` of device `one`."""
    hub.create_device("one")
    trusted = hub.ca_file.read_text()
    with ExitStack() as clients:

        def client(name: str) -> IoTHubModuleClient:
            created = service.create_module_with_sas("one", name, "test", "", "")
            key = created.authentication.symmetric_key.primary_key
            host = hub.connection_string.partition(";")[0].rpartition(":")[0]
            made = IoTHubModuleClient.create_from_connection_string(
                f"{host};DeviceId=one;ModuleId={name};SharedAccessKey={key}",
                server_verification_cert=trusted,
            )
            clients.callback(made.shutdown)
            made.connect()
            return made

        yield client


def test_modules_are_created_listed_updated_and_deleted(
    hub: LocalHub, service: IoTHubRegistryManager
) -> None:
    hub.create_device("one")
    created = service.create_module_with_sas("one", "camera", "test", "", "")
    key = created.authentication.symmetric_key.primary_key
    service.update_module_with_sas("one", "camera", "other", created.etag, key, key)
    assert service.get_module("one", "camera").managed_by == "other"
    assert [module.module_id for module in service.get_modules("one")] == ["camera"]
    again = refused(lambda: service.create_module_with_sas("one", "camera", "x", "", ""))
    service.delete_module("one", "camera")
    assert again == (409, "ModuleAlreadyExistsOnDevice")
    assert refused(lambda: service.get_module("one", "camera")) == (404, "ModuleNotFound")


def test_twin_and_methods_reach_the_module(
    service: IoTHubRegistryManager, connect_module: ConnectModule
) -> None:
    module = connect_module("camera")
    patches: list[dict[str, Any]] = []

    def respond(request: MethodRequest) -> None:
        module.send_method_response(MethodResponse(request.request_id, 200, request.payload))

    module.on_method_request_received = respond
    module.on_twin_desired_properties_patch_received = patches.append
    module.patch_twin_reported_properties({"fps": 5})
    desired = Twin(properties=TwinProperties(desired={"fps": 9}))
    service.update_module_twin("one", "camera", desired, None)
    eventually(lambda: patches)

    call = CloudToDeviceMethod(method_name="echo", payload={"a": 1})
    response = service.invoke_device_module_method("one", "camera", call)
    twin = service.get_module_twin("one", "camera")
    found = service.query_iot_hub(
        QuerySpecification(query="SELECT * FROM devices.modules WHERE moduleId = 'camera'")
    )

    assert patches == [{"fps": 9, "$version": 2}]
    assert (response.status, response.payload) == (200, {"a": 1})
    assert twin.properties.reported["fps"] == 5
    assert [(row.device_id, row.module_id) for row in found.items] == [("one", "camera")]
    missing = refused(lambda: service.invoke_device_module_method("one", "motor", call))
    assert missing == (404, "404010")
    assert service.get_service_statistics().connected_device_count == 0
