"""Test queries through the real SDK to the local hub."""

from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub.models import Twin

from functions.errors import HubUnavailableError
from functions.hub_gateway import query_text
from functions.hub_gateway.iot_hub import IotHub, open_iot_hub
from functions.hub_gateway.port import ConditionError
from functions.rollouts.model.target import TargetDevice
from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address
from simulator.hub.model.faults import Action, Fault, FaultPlan
from simulator.hub.model.metering import Operation


def test_many_long_ids_take_several_queries(gateway: IotHub, hub: LocalHub) -> None:
    device_ids = [f"{'long-name-' * 10}{n:03d}" for n in range(150)]
    for device_id in device_ids:
        hub.create_device(device_id)
    assert set(gateway.query_twins(device_ids)) == set(device_ids)


def test_a_query_is_read_to_its_last_page(
    gateway: IotHub, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that 150 twins are read, although the hub returns at most 100 per page."""
    monkeypatch.setattr(query_text, "QUERY_ROWS", 150)
    device_ids = [f"p{n:03d}" for n in range(150)]
    for device_id in device_ids:
        hub.create_device(device_id)
    assert set(gateway.query_twins(device_ids)) == set(device_ids)


def test_matching_devices_come_in_pages_with_their_strata(gateway: IotHub, hub: LocalHub) -> None:
    models = ["a", 7, True, None]
    for number in range(120):
        hub.create_device(f"m{number:03d}")
        model = models[number % 4]
        tags = {"site": "berlin"} | ({} if model is None else {"model": model})
        _tag(gateway, f"m{number:03d}", tags)
    first = gateway.query_matching("tags.site = 'berlin'", ["tags.model", "tags.site"], None)
    assert len(first.devices) == 100
    assert first.cursor is not None
    rest = gateway.query_matching("tags.site = 'berlin'", ["tags.model", "tags.site"], first.cursor)
    assert rest.cursor is None
    found = [*first.devices, *rest.devices]
    assert len({device.device_id for device in found}) == 120
    assert {device.stratum for device in found} == {
        "a/berlin",
        "7/berlin",
        "True/berlin",
        "/berlin",
    }
    assert gateway.count_matching("tags.site = 'berlin' OR tags.site = 'nowhere'") == 120
    assert gateway.count_matching("tags.site = 'nowhere'") == 0
    assert gateway.query_matching("tags.site = 'nowhere'", [], None).devices == []
    some = gateway.query_devices(["m000", "m001", "ghost"], ["tags.model"])
    assert set(some) == {TargetDevice("m000", "a"), TargetDevice("m001", "7")}


def _tag(gateway: IotHub, device_id: str, tags: dict[str, Any]) -> None:
    gateway._registry.update_twin(device_id, Twin(tags=tags))  # noqa: SLF001 - the gateway writes no tags


@pytest.mark.parametrize("condition", ["tags.site =", "drop table devices", "1 = 1)", "' or 1 = 1"])
def test_an_invalid_condition_raises_with_the_hubs_message(gateway: IotHub, condition: str) -> None:
    for query in (
        lambda: gateway.query_matching(condition, [], None),
        lambda: gateway.count_matching(condition),
    ):
        with pytest.raises(ConditionError, match=r"\w"):
            query()


def test_an_unknown_cursor_raises(gateway: IotHub) -> None:
    with pytest.raises(ConditionError):
        gateway.query_matching("tags.site = 'berlin'", [], "bm9uc2Vuc2U=")


@pytest.mark.usefixtures("device")
def test_only_connected_devices_are_returned(gateway: IotHub, hub: LocalHub) -> None:
    hub.create_device("asleep")
    assert gateway.query_connections(["online", "asleep", "ghost"]) == {
        "online": True,
        "asleep": False,
    }


def test_a_condition_with_or_is_sent_unchanged(gateway: IotHub, hub: LocalHub) -> None:
    for device_id, site in (("or-1", "oslo"), ("or-2", "riga"), ("or-3", "rome")):
        hub.create_device(device_id)
        _tag(gateway, device_id, {"town": site})
    condition = "tags.town = 'oslo' OR tags.town = 'riga' AND NOT IS_DEFINED(tags.other)"
    found = gateway.query_matching(condition, [], None)
    assert {device.device_id for device in found.devices} == {"or-1", "or-2"}
    assert gateway.count_matching(condition) == 2


def test_devices_are_counted_by_the_version_that_they_report(
    gateway: IotHub, hub: LocalHub, device: IoTHubDeviceClient
) -> None:
    device.patch_twin_reported_properties({"firmwareVersion": "2.4.0"})
    ids = ["online", "silent-1", "silent-2"]
    for device_id in ids[1:]:
        hub.create_device(device_id)
    for device_id in ids:
        _tag(gateway, device_id, {"counted": True})
    expected = [(None, 2), ("2.4.0", 1)]
    by_condition = gateway.count_versions_matching("tags.counted = true")
    assert sorted(by_condition, key=lambda row: row[1], reverse=True) == expected
    by_ids = gateway.count_versions_of(ids)
    assert sorted(by_ids, key=lambda row: row[1], reverse=True) == expected


def test_a_condition_with_group_by_raises(gateway: IotHub, hub: LocalHub) -> None:
    hub.create_device("grouped")
    with pytest.raises(ConditionError):
        gateway.query_matching("deviceId = 'grouped' GROUP BY tags.site", ["tags.model"], None)


def test_the_hubs_message_names_the_fault_of_a_condition(gateway: IotHub) -> None:
    with pytest.raises(ConditionError, match="unexpected end"):
        gateway.query_matching("tags.site =", [], None)
    with pytest.raises(ConditionError, match="longer than 8192"):
        gateway.count_matching("x" * 8200)


def test_rows_that_are_not_devices_are_an_invalid_response(
    gateway: IotHub, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.create_device("nameless")
    monkeypatch.setattr(query_text, "_fields", lambda _: "tags AS something")
    for query in (
        lambda: gateway.query_matching("deviceId = 'nameless'", [], None),
        lambda: gateway.query_devices(["nameless"], []),
    ):
        with pytest.raises(HubUnavailableError, match="invalid"):
            query()


def test_no_devices_return_empty_results(gateway: IotHub) -> None:
    assert gateway.query_connections([]) == {}
    assert gateway.query_devices([], ["tags.model"]) == []
    assert gateway.query_twins([]) == {}


def test_devices_with_the_longest_ids_are_all_returned(gateway: IotHub, hub: LocalHub) -> None:
    device_ids = [f"{'l' * 125}{number:03d}" for number in range(100)]
    for device_id in device_ids:
        hub.create_device(device_id)
    assert {device.device_id for device in gateway.query_devices(device_ids, [])} == set(device_ids)
    assert gateway.query_connections(device_ids) == dict.fromkeys(device_ids, False)


def test_missing_values_make_one_stratum(gateway: IotHub, hub: LocalHub) -> None:
    hub.create_device("plain")
    paths = ["tags.none.such", "properties.reported.none"]
    assert gateway.query_devices(["plain"], paths) == [TargetDevice("plain", "/")]


def test_a_throttled_query_makes_the_hub_unavailable(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    throttling = Fault(action=Action.ERROR, operations=frozenset({Operation.QUERY}), status=429)
    options = HubOptions(
        certificates=tmp_path_factory.mktemp("certificates"),
        address=free_address(),
        https_port=0,
        faults=FaultPlan(faults=(throttling,)),
    )
    with LocalHub(options) as busy:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(busy.ca_file))
        gateway = open_iot_hub(busy.connection_string, None)
        for query in (
            lambda: gateway.query_twins(["d"]),
            lambda: gateway.query_matching("tags.a = 1", [], None),
            lambda: gateway.count_matching("tags.a = 1"),
        ):
            with pytest.raises(HubUnavailableError, match="429"):
                query()
