"""How many devices one process can run, and the port that they connect to."""

import resource

import pytest

from simulator.cloud.connected_devices import (
    MAX_DEVICES,
    MAX_INSTALLING_DEVICES,
    allow_devices,
    check_device_port,
    device_ids,
)
from simulator.cloud.errors import CloudError
from simulator.cloud.options import CloudOptions


def test_devices_are_numbered_from_one() -> None:
    assert device_ids(2) == ["thermostat-1", "thermostat-2"]
    assert device_ids(0) == []


def test_a_hub_on_a_port_that_no_device_connects_to_is_refused() -> None:
    check_device_port(CloudOptions())

    with pytest.raises(CloudError, match="8883"):
        check_device_port(CloudOptions(hub_mqtt_port=18883))


def test_a_low_limit_of_open_files_is_raised() -> None:
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, former[1]))
    try:
        allow_devices(MAX_DEVICES, installing=False)
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, former)

    assert soft >= 3 * MAX_DEVICES


def test_more_devices_than_a_process_can_run_are_refused() -> None:
    with pytest.raises(CloudError, match=str(MAX_DEVICES)):
        allow_devices(MAX_DEVICES + 1, installing=False)


def test_devices_that_install_leave_room_for_their_downloads() -> None:
    assert MAX_INSTALLING_DEVICES < MAX_DEVICES
    with pytest.raises(CloudError, match=str(MAX_INSTALLING_DEVICES)):
        allow_devices(MAX_INSTALLING_DEVICES + 1, installing=True)
