"""Automatic configurations with Microsoft's Python SDK."""

from collections.abc import Iterator
from typing import Any

import pytest
from azure.iot.hub import IoTHubConfigurationManager, IoTHubRegistryManager
from azure.iot.hub.models import (
    Configuration,
    ConfigurationContent,
    ConfigurationMetrics,
    ConfigurationQueriesTestInput,
)

from simulator.hub import HubOptions, LocalHub
from tests.simulator.hub.test_with_sdks import refused
from tests.waiting import eventually


@pytest.fixture
def options(options: HubOptions) -> HubOptions:
    return HubOptions(
        certificates=options.certificates,
        address=options.address,
        https_port=0,
        mqtt_port=0,
        configuration_seconds=0.05,
    )


@pytest.fixture
def configurations(hub: LocalHub) -> Iterator[IoTHubConfigurationManager]:
    manager = IoTHubConfigurationManager.from_connection_string(hub.connection_string)
    manager.protocol.config.connection.verify = str(hub.ca_file)
    yield manager
    manager.protocol.close()


def configuration(**fields: Any) -> Configuration:
    content = ConfigurationContent(device_content={"properties.desired.a": {"b": 1}})
    metric = "SELECT deviceId FROM devices WHERE properties.reported.a = 1"
    return Configuration(
        id="one",
        content=content,
        target_condition="*",
        priority=1,
        metrics=ConfigurationMetrics(queries={"done": metric}),
        **fields,
    )


def test_a_configuration_is_created_applied_updated_and_deleted(
    hub: LocalHub, service: IoTHubRegistryManager, configurations: IoTHubConfigurationManager
) -> None:
    hub.create_device("one")
    created = configurations.create_configuration(configuration())
    eventually(lambda: "a" in service.get_twin("one").properties.desired)
    eventually(
        lambda: configurations.get_configuration("one").system_metrics.results["appliedCount"] == 1
    )
    assert configurations.get_configuration("one").metrics.results == {"done": 0}
    assert [one.id for one in configurations.get_configurations()] == ["one"]
    again = refused(lambda: configurations.create_configuration(configuration()))

    changed = configuration(labels={"x": "y"})
    configurations.update_configuration(changed, created.etag)
    stale = refused(lambda: configurations.update_configuration(changed, created.etag))
    configurations.delete_configuration("one")
    eventually(lambda: "a" not in service.get_twin("one").properties.desired)

    assert again == (409, "ConfigurationAlreadyExists")
    assert stale == (412, "PreconditionFailed")
    gone = refused(lambda: configurations.get_configuration("one"))
    assert gone == (404, "ConfigurationNotFound")


def test_queries_are_tried_and_content_is_applied_to_one_device(
    hub: LocalHub, service: IoTHubRegistryManager, configurations: IoTHubConfigurationManager
) -> None:
    hub.create_device("one")
    wrong = ConfigurationQueriesTestInput(
        target_condition="tags.a =", custom_metric_queries={"m": "SELECT * FROM devices"}
    )
    tried = configurations.test_configuration_queries(wrong)
    assert "unexpected end" in tried.target_condition_error
    assert tried.custom_metric_query_errors == {}

    content = ConfigurationContent(
        device_content={"properties.desired.x": 1},
        modules_content={"camera": {"properties.desired": {"fps": 5}}},
    )
    configurations.apply_configuration_on_edge_device("one", content)
    assert service.get_twin("one").properties.desired["x"] == 1
    assert service.get_module_twin("one", "camera").properties.desired["fps"] == 5
    assert service.get_module("one", "camera").managed_by == "iotEdge"
