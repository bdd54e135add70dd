"""What is asked by query, through the real SDK to the local hub."""

from typing import Any

import pytest
from azure.iot.hub.models import Twin

from functions.errors import HubUnavailableError
from functions.hub_gateway import query_text
from functions.hub_gateway.iot_hub import IotHub, open_iot_hub
from functions.hub_gateway.port import ConditionError
from functions.rollouts.rollout.start_order import TargetDevice
from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address
from simulator.hub.model.faults import Action, Fault, FaultPlan
from simulator.hub.model.metering import Operation


def test_many_twins_take_several_queries(gateway: IotHub, hub: LocalHub) -> None:
    device_ids = [f"{'long-name-' * 10}{n:03d}" for n in range(150)]
    for device_id in device_ids:
        hub.create_device(device_id)
    assert set(gateway.twins(device_ids)) == set(device_ids)


def test_a_query_is_read_to_its_last_page(
    gateway: IotHub, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub gives at most 100 twins a page, whatever it is asked for."""
    monkeypatch.setattr(query_text, "QUERY_ROWS", 150)
    device_ids = [f"p{n:03d}" for n in range(150)]
    for device_id in device_ids:
        hub.create_device(device_id)
    assert set(gateway.twins(device_ids)) == set(device_ids)


def test_a_condition_is_matched_page_by_page_with_the_values_that_waves_are_spread_over(
    gateway: IotHub, hub: LocalHub
) -> None:
    models = ["a", 7, True, None]
    for number in range(120):
        hub.create_device(f"m{number:03d}")
        model = models[number % 4]
        tags = {"site": "berlin"} | ({} if model is None else {"model": model})
        _tag(gateway, f"m{number:03d}", tags)
    first = gateway.matches("tags.site = 'berlin'", ["tags.model", "tags.site"], None)
    assert len(first.members) == 100
    assert first.cursor is not None
    rest = gateway.matches("tags.site = 'berlin'", ["tags.model", "tags.site"], first.cursor)
    assert rest.cursor is None
    found = [*first.members, *rest.members]
    assert len({member.device_id for member in found}) == 120
    assert {member.stratum for member in found} == {
        "a/berlin",
        "7/berlin",
        "True/berlin",
        "/berlin",
    }
    assert gateway.count("tags.site = 'berlin' OR tags.site = 'nowhere'") == 120
    assert gateway.count("tags.site = 'nowhere'") == 0
    assert gateway.matches("tags.site = 'nowhere'", [], None).members == []
    some = gateway.members(["m000", "m001", "ghost"], ["tags.model"])
    assert set(some) == {TargetDevice("m000", "a"), TargetDevice("m001", "7")}


def _tag(gateway: IotHub, device_id: str, tags: dict[str, Any]) -> None:
    gateway._registry.update_twin(device_id, Twin(tags=tags))  # noqa: SLF001 - tags are set by hand


@pytest.mark.parametrize("condition", ["tags.site =", "drop table devices", "1 = 1)", "' or 1 = 1"])
def test_a_condition_that_is_none_is_refused_in_the_hubs_words(
    gateway: IotHub, condition: str
) -> None:
    for ask in (
        lambda: gateway.matches(condition, [], None),
        lambda: gateway.count(condition),
    ):
        with pytest.raises(ConditionError, match=r"\w"):
            ask()


def test_a_cursor_that_the_hub_does_not_know_is_refused(gateway: IotHub) -> None:
    with pytest.raises(ConditionError):
        gateway.matches("tags.site = 'berlin'", [], "bm9uc2Vuc2U=")


@pytest.mark.usefixtures("device")
def test_only_the_connected_are_named(gateway: IotHub, hub: LocalHub) -> None:
    hub.create_device("asleep")
    assert gateway.connected(["online", "asleep", "ghost"]) == {"online"}


def test_a_condition_may_hold_an_or_and_nothing_is_added_that_would_change_it(
    gateway: IotHub, hub: LocalHub
) -> None:
    for device_id, site in (("or-1", "oslo"), ("or-2", "riga"), ("or-3", "rome")):
        hub.create_device(device_id)
        _tag(gateway, device_id, {"town": site})
    condition = "tags.town = 'oslo' OR tags.town = 'riga' AND NOT IS_DEFINED(tags.other)"
    found = gateway.matches(condition, [], None)
    assert {member.device_id for member in found.members} == {"or-1", "or-2"}
    assert gateway.count(condition) == 2


def test_what_is_no_condition_cannot_make_rows_that_are_no_devices(
    gateway: IotHub, hub: LocalHub
) -> None:
    hub.create_device("grouped")
    with pytest.raises(ConditionError):
        gateway.matches("deviceId = 'grouped' GROUP BY tags.site", ["tags.model"], None)


def test_the_hub_says_what_is_wrong_with_a_condition(gateway: IotHub) -> None:
    with pytest.raises(ConditionError, match="ends too early"):
        gateway.matches("tags.site =", [], None)
    with pytest.raises(ConditionError, match="longer than 8192"):
        gateway.count("x" * 8200)


def test_rows_that_are_no_devices_are_an_answer_that_cannot_be_read(
    gateway: IotHub, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.create_device("nameless")
    monkeypatch.setattr(query_text, "_fields", lambda _: "tags AS something")
    for ask in (
        lambda: gateway.matches("deviceId = 'nameless'", [], None),
        lambda: gateway.members(["nameless"], []),
    ):
        with pytest.raises(HubUnavailableError, match="cannot be read"):
            ask()


def test_nobody_is_asked_about_no_devices(gateway: IotHub) -> None:
    assert gateway.connected([]) == frozenset()
    assert gateway.members([], ["tags.model"]) == []
    assert gateway.twins([]) == {}


def test_devices_with_the_longest_ids_are_all_found(gateway: IotHub, hub: LocalHub) -> None:
    device_ids = [f"{'l' * 125}{number:03d}" for number in range(100)]
    for device_id in device_ids:
        hub.create_device(device_id)
    assert {member.device_id for member in gateway.members(device_ids, [])} == set(device_ids)
    assert gateway.connected(device_ids) == frozenset()


def test_paths_that_no_device_has_make_one_stratum(gateway: IotHub, hub: LocalHub) -> None:
    hub.create_device("plain")
    paths = ["tags.none.such", "properties.reported.none"]
    assert gateway.members(["plain"], paths) == [TargetDevice("plain", "/")]


def test_a_hub_that_throttles_queries_is_unavailable(
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
        for ask in (
            lambda: gateway.twins(["d"]),
            lambda: gateway.matches("tags.a = 1", [], None),
            lambda: gateway.count("tags.a = 1"),
        ):
            with pytest.raises(HubUnavailableError, match="429"):
                ask()
