"""Devices that are deleted or disabled leave a rollout; passing errors of the hub stop none."""

import pytest
from azure.iot.hub import IoTHubRegistryManager

from simulator.cloud.local_cloud import LocalCloud
from simulator.cloud.options import CloudOptions
from tests.end_to_end.client import Api
from tests.end_to_end.fleet import Fleet
from tests.end_to_end.hub_side import put_faults
from tests.end_to_end.simulated_fleet import connected_fleet
from tests.waiting import eventually

DEVICES = 20
SOON = {"attempts": 3, "initialDelay": "PT1S", "maxDelay": "PT2S"}


def open_registry(options: CloudOptions) -> IoTHubRegistryManager:
    registry = IoTHubRegistryManager.from_connection_string(options.service_connection_string)
    registry.protocol.config.connection.verify = str(options.ca)
    return registry


def disable(registry: IoTHubRegistryManager, device_id: str) -> None:
    registry.update_device_with_sas(device_id, None, "", "", "disabled")


def test_deleted_and_disabled_devices_leave_offline_in_flight_and_in_their_soak(
    shared_cloud: LocalCloud, api: Api, fleet: Fleet
) -> None:
    registry = open_registry(shared_cloud.options)
    kinds = ("deleted", "disabled")
    away, slow, quick = ([f"{what}-{kind}" for kind in kinds] for what in ("away", "slow", "quick"))
    for device_id in away:
        fleet.register(device_id)
    for device_id in slow:
        fleet.start(device_id, stage_seconds=60)
    for device_id in (*quick, "stays"):
        fleet.start(device_id, stage_seconds=0.2)
    created = api.create(*away, *slow, *quick, "stays", soak="PT12S", retry=SOON)
    path = f"/rollouts/{created['id']}/devices"

    def has_begun() -> bool:
        states = {item["deviceId"]: item["state"] for item in api.get(path)["value"]}
        return (
            {states[name] for name in quick} == {"soaking"}
            and {states[name] for name in slow} <= {"accepted", "downloading"}
            and {states[name] for name in away} == {"queued"}
        )

    eventually(has_begun)
    for names in (away, slow, quick):
        registry.delete_device(names[0])
        disable(registry, names[1])
    ended = api.wait_for_end(created)
    reasons = {item["deviceId"]: item["skipReason"] for item in api.get(path)["value"]}
    gone = (away, slow, quick)
    expected = {names[0]: "deviceRemoved" for names in gone}
    expected |= {names[1]: "deviceDisabled" for names in gone}
    assert reasons == {**expected, "stays": None}
    assert ended["status"] == "completed"
    assert (ended["counts"]["completed"], ended["counts"]["skipped"]) == (1, 6)
    assert ended["counts"]["failed"] == 0


@pytest.mark.parametrize("operation", ["method", "twinRead"])
def test_one_error_of_each_kind_fails_no_device_of_a_healthy_rollout(
    shared_cloud: LocalCloud, api: Api, operation: str
) -> None:
    statuses = [404, 408, 429, 500, 501, 503, 504]
    prefix = f"errors-{operation}-".lower()
    faults = [
        {
            "action": "error",
            "devices": f"{prefix}*",
            "operations": [operation],
            "status": status,
            "count": 1,
        }
        for status in statuses
    ]
    with connected_fleet(
        shared_cloud.options, DEVICES, "--stage-seconds", "0", prefix=prefix
    ) as names:
        put_faults(shared_cloud.options, faults)
        try:
            ended = api.wait_for_end(api.create(*names, retry=SOON), seconds=90)
        finally:
            struck = put_faults(shared_cloud.options, [])
    assert (ended["status"], ended["counts"]["completed"]) == ("completed", DEVICES)
    assert operation != "method" or struck == [1] * len(statuses)
