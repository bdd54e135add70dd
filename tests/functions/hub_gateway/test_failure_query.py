"""Test the query for reported failures through the real SDK to the local hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.iot.device import IoTHubDeviceClient

from functions.hub_gateway import query_text
from functions.hub_gateway.iot_hub import IotHub
from functions.hub_gateway.port import FailureQuery
from functions.rollouts.model.target import TargetDevice
from simulator.hub import LocalHub

MINE, OTHERS = "98204564799993-91b72265b1f5", "98204564799993-0000000000ff"


@contextmanager
def connected(hub: LocalHub, device_id: str) -> Iterator[IoTHubDeviceClient]:
    client = IoTHubDeviceClient.create_from_connection_string(
        hub.create_device(device_id), server_verification_cert=hub.ca_file.read_text()
    )
    try:
        yield client
    finally:
        client.shutdown()


def report(hub: LocalHub, device_id: str, **reported: Any) -> None:
    with connected(hub, device_id) as client:
        client.patch_twin_reported_properties(reported)


def query(since: datetime, *versions: str) -> FailureQuery:
    return FailureQuery(MINE, since, versions)


def about(rollout_id: str) -> dict[str, Any]:
    return {"rolloutId": rollout_id, "attempt": 1, "errorCode": "flash"}


def test_failures_of_the_rollout_and_of_devices_that_name_none_are_found(
    gateway: IotHub, hub: LocalHub
) -> None:
    now = datetime.now(UTC)
    report(hub, "mine", firmwareStatus="failed", firmwareUpdate=about(MINE))
    report(hub, "shouting", firmwareStatus="FAILED", firmwareUpdate=about(MINE))
    report(hub, "others", firmwareStatus="failed", firmwareUpdate=about(OTHERS))
    report(hub, "nameless", firmwareStatus="failed")
    report(hub, "at-work", firmwareStatus="applying", firmwareUpdate=about(MINE))
    wrong = {"firmwareStatus": "completed", "firmwareUpdate": about(MINE)}
    report(hub, "wrong", **wrong, firmwareVersion="0.9")
    report(hub, "right", **wrong, firmwareVersion="2.4.0")
    report(hub, "reverted", **wrong | {"firmwareStatus": "standBy"}, firmwareVersion="1.0")
    report(hub, "silent", **wrong)

    def names(wanted: FailureQuery) -> set[str]:
        return {item.device_id for item in gateway.query_failures(wanted, None).devices}

    since = now - timedelta(minutes=1)
    assert names(query(since)) == {"mine", "shouting", "nameless"}
    assert names(query(since, "2.4.0", "it's \\2.4")) == {
        *("mine", "shouting", "nameless", "wrong", "reverted")
    }
    assert names(query(now + timedelta(minutes=1))) == set()


def test_a_device_that_fails_again_is_another_result(gateway: IotHub, hub: LocalHub) -> None:
    wanted = query(datetime.now(UTC) - timedelta(minutes=1))

    def found() -> TargetDevice:
        devices = gateway.query_failures(wanted, None).devices
        return next(item for item in devices if item.device_id == "twice")

    with connected(hub, "twice") as client:
        client.patch_twin_reported_properties(
            {"firmwareStatus": "failed", "firmwareUpdate": about(MINE)}
        )
        first = found()
        assert found() == first
        client.patch_twin_reported_properties({"firmwareStatus": "failed"})
        assert found().stratum > first.stratum


def test_a_version_that_is_reported_later_than_the_end_is_awaited(
    gateway: IotHub, hub: LocalHub
) -> None:
    since = datetime.now(UTC) - timedelta(minutes=1)
    with connected(hub, "late-version") as client:
        client.patch_twin_reported_properties({"firmwareVersion": "1.0"})
        client.patch_twin_reported_properties(
            {"firmwareStatus": "completed", "firmwareUpdate": about(MINE)}
        )
    found = {item.device_id for item in gateway.query_failures(query(since, "2.4.0"), None).devices}
    assert "late-version" not in found


def test_names_that_exceed_a_query_are_left_out_of_it() -> None:
    names = [f"{number:064}" for number in range(200)]
    text = query_text.matching_query(
        query_text.failure_condition(query(datetime.now(UTC), *names)), [query_text.STATUS_TIME]
    )
    assert len(text) <= query_text.MAX_QUERY_CHARACTERS
    assert "NIN" not in text
