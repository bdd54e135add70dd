"""The virtual hub: its responses, their age, and what it counts and refuses."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import DailyQuotaError, HubUnavailableError
from functions.hub_gateway.port import FailureQuery
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    DeviceUnknown,
    Lost,
    MethodOutcome,
    NotDelivered,
    Responded,
)
from functions.rollouts.model.quotas import Quotas, Tier, quotas
from simulator.rehearsal.meter import ReportSlots
from simulator.rehearsal.rehearse import BEGINS
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.rehearsal.virtual_hub import VirtualHub
from simulator.simulated_fleet.shares import Fault
from tests.functions.builders import ROLLOUT_ID, at
from tests.simulator.rehearsal.builders import ManualClock, after, payload

S1 = quotas(Tier.S1, 1)


def make_hub(
    *devices: VirtualDevice, limits: Quotas | None = None
) -> tuple[VirtualHub, ManualClock]:
    clock = ManualClock()
    return VirtualHub(devices, clock, limits), clock


def fleet(count: int) -> list[VirtualDevice]:
    return [VirtualDevice(f"d{number}", stratum=f"s{number % 3}") for number in range(count)]


def invoke(hub: VirtualHub, *device_ids: str, **values: Any) -> list[MethodOutcome]:
    payloads = {device_id: payload(**values) for device_id in device_ids}
    outcomes = hub.invoke_all("firmwareUpdate", payloads).outcomes
    return [outcomes[device_id] for device_id in device_ids]


# -- direct methods


def test_each_device_of_a_batch_has_its_own_outcome() -> None:
    hub, _ = make_hub(
        VirtualDevice("online"), VirtualDevice("offline", offline=True), VirtualDevice("busy")
    )
    invoke(hub, "busy", rollout_id="other")

    online, offline, busy, unknown = invoke(hub, "online", "offline", "busy", "unknown")

    assert isinstance(online, Responded)
    assert online.response.status == 200
    assert offline == DeviceOffline()
    assert isinstance(busy, Responded)
    assert busy.response.status == 409
    assert unknown == DeviceUnknown()


def test_a_lost_request_starts_nothing_and_a_lost_response_starts_the_update() -> None:
    hub, _ = make_hub(VirtualDevice("a", lose_requests=1), VirtualDevice("b", lose_responses=1))

    assert [type(outcome) for outcome in invoke(hub, "a", "b")] == [Lost, Lost]
    assert hub.devices["a"].started == []
    assert hub.devices["b"].started == [(ROLLOUT_ID, 1)]

    assert [type(outcome) for outcome in invoke(hub, "a", "b")] == [Responded, Responded]
    assert hub.started == 2


def test_methods_over_the_limit_are_throttled_and_counted() -> None:
    hub, clock = make_hub(*fleet(1000), limits=S1)

    first = hub.invoke_all("firmwareUpdate", {name: payload() for name in hub.devices})
    refused = [name for name, item in first.outcomes.items() if isinstance(item, NotDelivered)]

    assert first.throttled == len(refused) == 1000 - hub.started
    assert 400 <= hub.started <= 450
    assert first.outcomes["d999"] == NotDelivered(
        "The hub throttled the method (429001).", throttled=True
    )
    assert first.seconds > 1

    clock.move_to(20)
    later = hub.invoke_all("firmwareUpdate", {name: payload() for name in refused[:40]})
    assert later.throttled == 0
    assert later.seconds < 1


def test_nothing_is_refused_without_quotas() -> None:
    hub, _ = make_hub(*fleet(5000))

    called = hub.invoke_all("firmwareUpdate", {name: payload() for name in hub.devices})

    assert called.throttled == 0
    assert hub.started == 5000


# -- reading


def test_a_query_is_as_old_as_its_lag_and_a_single_read_is_not() -> None:
    hub, clock = make_hub(VirtualDevice("a"))
    hub.query_lag = timedelta(seconds=15)
    invoke(hub, "a")
    clock.move_to(30)
    hub.disconnect("a")

    fresh = hub.read_twins(["a"])["a"]
    assert fresh is not None
    assert fresh.reported["firmwareStatus"] == "completed"
    assert not fresh.connected
    old = hub.query_twins(["a"])["a"]
    assert old.reported["firmwareStatus"] == "downloading"
    assert old.connected
    assert hub.query_connections(["a"]) == {"a": True}

    clock.move_to(45)
    assert hub.query_twins(["a"])["a"].reported["firmwareStatus"] == "completed"
    assert hub.query_connections(["a"]) == {"a": False}


def test_an_unknown_device_has_no_twin_in_a_single_read_and_is_missing_in_a_query() -> None:
    hub, _ = make_hub(VirtualDevice("a"))

    assert hub.read_twins(["a", "b"])["b"] is None
    assert set(hub.query_twins(["a", "b"])) == {"a"}
    assert [target.device_id for target in hub.query_devices(["a", "b"], ())] == ["a"]


def test_an_unreadable_twin_is_missing_and_an_error_if_it_is_the_only_one() -> None:
    hub, _ = make_hub(*fleet(2))
    hub.unreadable = {"d0"}

    assert set(hub.read_twins(["d0", "d1"])) == {"d1"}
    with pytest.raises(HubUnavailableError):
        hub.read_twins(["d0"])


def test_every_device_matches_any_condition_once_page_by_page() -> None:
    hub, _ = make_hub(*fleet(250))
    sizes, found = [], []
    page = hub.query_matching("tags.site = 'x'", ("tags.model",), None)
    while True:
        sizes.append(len(page.devices))
        found += [(target.device_id, target.stratum) for target in page.devices]
        if page.cursor is None:
            break
        page = hub.query_matching("tags.site = 'x'", ("tags.model",), page.cursor)

    assert sizes == [100, 100, 50]
    assert found == [(f"d{number}", f"s{number % 3}") for number in range(250)]
    assert hub.count_matching("*") == 250


def test_queries_over_the_limit_are_refused() -> None:
    hub, clock = make_hub(*fleet(1), limits=S1)

    for _ in range(20):
        hub.query_twins(["d0"])
    with pytest.raises(HubUnavailableError, match="429001"):
        hub.query_devices(["d0"] * 1000, ())
    assert 20 <= hub.operations.queries <= 25

    clock.move_to(60)
    assert hub.query_twins(["d0"])


# -- counting


def test_an_update_costs_a_method_and_three_reports() -> None:
    hub, _ = make_hub(VirtualDevice("a"))
    invoke(hub, "a")

    assert (hub.operations.methods, hub.operations.twin_updates) == (1, 3)
    assert hub.operations.messages == 2 + 3


def test_a_method_to_an_offline_device_costs_two_messages() -> None:
    hub, _ = make_hub(VirtualDevice("a", offline=True))
    invoke(hub, "a")

    assert (hub.operations.methods, hub.operations.messages) == (1, 2)


def test_reads_are_counted_each_and_queries_by_page_and_size() -> None:
    hub, _ = make_hub(*fleet(150))
    hub.read_twins(["d0", "d1", "d2"])
    assert (hub.operations.twin_reads, hub.operations.messages) == (3, 3)

    hub.query_twins(list(hub.devices))
    assert hub.operations.queries == 2
    assert hub.operations.messages == 3 + 20 + 10


def test_reading_who_is_connected_costs_a_query_for_each_hundred_devices() -> None:
    hub, _ = make_hub(*fleet(250))

    assert len(hub.query_connections(list(hub.devices))) == 250
    assert hub.operations.queries == 3
    assert hub.operations.messages == 3 + 3 + 2


def test_a_used_up_daily_quota_refuses_everything_until_midnight() -> None:
    limits = Quotas(methods=1000, twin_reads=1000, twin_updates=1000, queries=10, messages_a_day=50)
    hub, clock = make_hub(*fleet(20), limits=limits)

    called = hub.invoke_all("firmwareUpdate", {name: payload() for name in hub.devices})
    assert hub.started == 10
    assert called.throttled == 0
    assert called.outcomes.keys() == set(list(hub.devices)[:10])  # nothing more is sent
    with pytest.raises(DailyQuotaError):
        hub.read_twins(["d0"])

    clock.move_to(12 * 3600)
    assert isinstance(invoke(hub, "d19")[0], Responded)


# -- device reports over the limit


def test_reports_over_the_limit_are_stored_later_and_delay_the_next_stage() -> None:
    limits = Quotas(methods=1e6, twin_reads=1e6, twin_updates=50, queries=1e6, messages_a_day=1e9)
    devices = [VirtualDevice(f"d{number}", stage_seconds=(1, 1, 1, 1)) for number in range(1000)]
    hub, clock = make_hub(*devices, limits=limits)
    invoke(hub, *hub.devices)
    clock.move_to(1000)

    twins = hub.read_twins(list(hub.devices)).values()
    ended = sorted(twin.reported_at["firmwareStatus"] for twin in twins if twin)
    assert ended[-1] >= at(3000 / 50 - 1)
    assert ended[-1] <= at(3000 / 50 + 4)


@given(
    rate=st.sampled_from([0.5, 1.0, 7.0, 50.0]),
    due=st.lists(st.integers(0, 60), min_size=1, max_size=300),
)
def test_no_interval_lets_in_more_reports_than_its_rate(rate: float, due: list[int]) -> None:
    slots = ReportSlots(rate)
    # An interval begins at every multiple of 20 s after noon, at every rate.
    stored = [slots.reserve(after(seconds)) for seconds in due]

    assert all(got >= after(wanted) for got, wanted in zip(stored, due, strict=True))
    assert_within_rate([at - after(0) for at in stored], rate)


def assert_within_rate(times: Iterable[float], rate: float) -> None:
    """Assert that any 20 s hold the reports of 20 s, and of one interval at the borders."""
    in_order = sorted(times)
    most = rate * 20 + max(rate, 10)
    for number, begin in enumerate(in_order):
        assert sum(begin <= time < begin + 20 for time in in_order[number:]) <= most


def test_a_report_in_time_is_not_delayed_by_later_ones_reserved_before() -> None:
    slots = ReportSlots(10)
    late = [slots.reserve(after(30)) for _ in range(25)]

    assert slots.reserve(after(5)) == after(5)
    assert late[0] == after(30)
    assert all(first <= second for first, second in pairwise(late))
    assert late[-1] < after(33)


def test_failures_are_found_as_the_real_query_finds_them() -> None:
    """Check which devices are found: those of the rollout, and those that name none."""
    faults = {
        "failed": Fault.FAILING,
        "wrong": Fault.WRONG_VERSION,
        "reverted": Fault.REVERTING,
        "right": Fault.NONE,
        "hung": Fault.HANGING,
    }
    clock = VirtualClock(BEGINS)
    fleet = [VirtualDevice(name, fault=fault) for name, fault in faults.items()]
    fleet += [VirtualDevice("others", fault=Fault.FAILING)]
    fleet += [VirtualDevice("nameless", fault=Fault.FAILING, tutorial_only=True)]
    fleet += [VirtualDevice("idle", fault=Fault.FAILING)]
    hub = VirtualHub(fleet, clock)
    for name in [*faults, "nameless", "others"]:
        rollout = "r2" if name == "others" else "r1"
        payload = {"fwPackageUri": "https://p.example/f", "rolloutId": rollout, "version": "2.0"}
        hub.invoke_all("firmwareUpdate", {name: payload})

    def names(since: datetime, *versions: str) -> set[str]:
        page = hub.query_failures(FailureQuery("r1", since, versions), None)
        return {item.device_id for item in page.devices}

    assert names(BEGINS) == set()
    clock.now += timedelta(minutes=1)
    assert names(BEGINS) == {"failed", "nameless"}
    assert names(BEGINS, "2.0") == {"failed", "nameless", "wrong", "reverted"}
    assert names(clock.now) == set()
    hub.query_lag = timedelta(minutes=1)
    assert names(BEGINS, "2.0") == set()
