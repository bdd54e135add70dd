"""Test that failures are noticed within two ticks, long before their devices are due."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import HubUnavailableError
from functions.hub_gateway.port import ConditionError, DevicePage, FailureQuery
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import FailureGate, Retry, RetryOn, Share, Strategy
from functions.rollouts.rollout.operator_commands import Caller, pause
from functions.use_cases import commands
from functions.use_cases.create import create
from functions.use_cases.failure_searches import FailureSearches
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.rehearsal.virtual_update import FACTORY_VERSION
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import World, device, devices

# Devices usually take an hour, so that none is due within these tests.
USUAL = 3600.0
TOLERANT = FailureGate(acceptable=Share(9_800), unacceptable=Share(9_900))
TWO_TICKS = 2


def start(world: World, strategy: Strategy | None = None, usual: float = USUAL) -> str:
    """Create a rollout whose devices usually take long, and start all of them."""
    strategy = strategy or Strategy(failure_gate=TOLERANT)
    rollout_id = world.create(strategy).rollout.id
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    measured = replace(snapshot.rollout.measured, finished=100, finish_seconds=100 * usual)
    world.stores.rollouts.save(snapshot, replace(snapshot.rollout, measured=measured))
    while world.rollout(rollout_id).counts.queued:
        world.tick()
    return rollout_id


def failing(count: int, seconds: float = 60, **more: Any) -> list[VirtualDevice]:
    """Make devices of which each reports a failure `seconds` after its start."""
    return devices(count, stage=seconds / 3, **{"fault": Fault.FAILING, **more})


def failures(world: World, rollout_id: str) -> int:
    return world.rollout(rollout_id).counts.failed


def test_failures_are_noticed_within_two_ticks() -> None:
    world = World(failing(50))
    rollout_id = start(world)
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS)
    assert failures(world, rollout_id) == 50
    assert {item.error.code for item in world.updates(rollout_id) if item.error} == {
        ErrorCode.REPORTED
    }


def test_devices_that_name_no_rollout_are_noticed() -> None:
    world = World(failing(50, tutorial_only=True))
    rollout_id = start(world)
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS)
    assert failures(world, rollout_id) == 50


def test_an_earlier_failure_of_a_device_that_names_no_rollout_is_not_taken_for_a_new_one() -> None:
    world = World(failing(30, tutorial_only=True))
    first = start(world)
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS)
    assert failures(world, first) == 30
    for item in world.hub.devices.values():
        item.fault, item.stage_seconds = Fault.HANGING, (300.0, 300.0, 300.0, 300.0)
    second = world.create(Strategy(failure_gate=TOLERANT)).rollout.id
    world.ticks(6)
    assert world.rollout(second).counts.updating == 30
    assert failures(world, second) == 0


def test_devices_that_complete_with_another_version_are_noticed() -> None:
    world = World(failing(50, fault=Fault.WRONG_VERSION))
    rollout_id = start(world)
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS)
    assert failures(world, rollout_id) == 50


def test_another_version_is_no_failure_for_a_strategy_that_does_not_verify_it() -> None:
    world = World(failing(50, fault=Fault.WRONG_VERSION))
    rollout_id = start(world, Strategy(failure_gate=TOLERANT, verify_version=False))
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS)
    assert failures(world, rollout_id) == 0


def test_devices_that_revert_in_their_soak_are_noticed() -> None:
    """Check it in a long soak, which alone would observe them every 5 hours."""
    world = World(devices(50, stage=20, fault=Fault.REVERTING))
    for item in world.hub.devices.values():
        item.stage_seconds = (20, 20, 20, 1_000)
    rollout_id = start(world, Strategy(failure_gate=TOLERANT, soak=timedelta(hours=20)), usual=60)
    world.ticks(20)
    assert world.rollout(rollout_id).counts.soaking == 50
    world.ticks(80 + 30)
    assert failures(world, rollout_id) == 50


def test_devices_that_revert_while_others_start_are_noticed_within_two_ticks() -> None:
    world = World([*devices(400, stage=5, fault=Fault.REVERTING)], limits=quotas(Tier.S1, 1, 0.8))
    for item in world.hub.devices.values():
        item.stage_seconds = (1, 1, 1, 12)
    strategy = Strategy(failure_gate=TOLERANT, soak=timedelta(hours=20))
    rollout_id = start(world, strategy, usual=3)
    assert failures(world, rollout_id) >= 100
    world.ticks(TWO_TICKS + 4)  # a page of 100 in each tick
    assert failures(world, rollout_id) == 400


def test_a_failure_is_read_once() -> None:
    world = World([*failing(30), *[device(f"slow-{n}", stage=1000) for n in range(30)]])
    rollout_id = start(world)
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS)
    assert failures(world, rollout_id) == 30
    lookups = _count_lookups(world)
    world.ticks(12)
    assert world.hub.operations.queries > 0
    assert lookups == [], "failures that are recorded were read again"


def _count_lookups(world: World) -> list[Sequence[str]]:
    """Record the devices that the store finds from now on."""
    lookups: list[Sequence[str]] = []
    store: Any = world.stores.rollouts
    find_blocks = store.find_blocks

    def recording(snapshot: Any, device_ids: Sequence[str]) -> Mapping[str, int]:
        lookups.append(device_ids)
        found: Mapping[str, int] = find_blocks(snapshot, device_ids)
        return found

    store.find_blocks = recording
    return lookups


def test_a_device_that_fails_again_is_noticed_again() -> None:
    world = World(failing(40))
    retry = Retry(attempts=2, on=frozenset({RetryOn.REPORTED}), initial_delay=timedelta(seconds=1))
    rollout_id = start(world, Strategy(failure_gate=TOLERANT, retry=retry))
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS)
    assert {item.attempt for item in world.updates(rollout_id)} == {2}
    while world.rollout(rollout_id).counts.queued:
        world.tick()
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS)
    assert failures(world, rollout_id) == 40


def test_more_failures_than_a_page_has_are_all_found() -> None:
    world = World(failing(350))
    rollout_id = start(world)
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS + 3)
    assert failures(world, rollout_id) == 350


def test_failures_of_other_devices_are_left_alone() -> None:
    """Check devices that failed and name no rollout."""
    others = [device(f"other-{n}", fault=Fault.FAILING, tutorial_only=True) for n in range(5)]
    world = World([*devices(40, stage=500), *others])
    for item in others:
        item.receive_method({"fwPackageUri": "https://p.example/x"}, world.now.timestamp())
    mine = tuple(name for name in world.hub.devices if name.startswith("d-"))
    rollout_id = create_for(world, mine)
    lookups = _count_lookups(world)
    world.ticks(20)
    assert len(lookups) == 1, "strangers are found once"
    assert failures(world, rollout_id) == 0


def create_for(world: World, ids: tuple[str, ...]) -> str:
    request = world.request(*ids, strategy=Strategy(failure_gate=TOLERANT))
    return create(world.services, request, None).rollout.id


def test_few_devices_in_flight_need_no_search() -> None:
    world = World(failing(20))
    searched = _count_searches(world)
    start(world)
    world.ticks(10)
    assert searched == []


def _count_searches(world: World) -> list[FailureQuery]:
    searched: list[FailureQuery] = []
    hub: Any = world.hub
    query_failures = hub.query_failures

    def recording(query: FailureQuery, cursor: str | None) -> DevicePage:
        searched.append(query)
        found: DevicePage = query_failures(query, cursor)
        return found

    hub.query_failures = recording
    return searched


def test_a_paused_rollout_is_searched_and_a_cancelled_one_is_not() -> None:
    world = World(failing(50))
    rollout_id = start(world)
    commands.run_command(world.services, rollout_id, pause, Caller("ada"))
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS)
    assert failures(world, rollout_id) == 50

    world = World(failing(50))
    rollout_id = start(world)
    commands.cancel(world.services, rollout_id, Caller("ada"))
    searched = _count_searches(world)
    world.ticks(10)
    assert searched == []


def test_a_search_costs_at_most_one_query_for_five_devices_then_ever_fewer() -> None:
    world = World(devices(100, stage=10_000))
    searched = _count_searches(world)
    rollout_id = start(world, Strategy(timeout=timedelta(hours=12)))
    world.ticks(360)
    assert world.rollout(rollout_id).counts.updating == 100
    first_hour = len(searched)
    assert first_hour <= 100 / 5 + 10
    world.ticks(360)
    assert len(searched) - first_hour <= 4


@pytest.mark.parametrize(
    "error", [HubUnavailableError("503"), ConditionError("no such function")], ids=["down", "no"]
)
def test_a_search_that_the_hub_rejects_stops_nothing_else(error: Exception) -> None:
    world = World(failing(50))
    hub: Any = world.hub

    def fail(query: FailureQuery, cursor: str | None) -> DevicePage:  # noqa: ARG001
        raise error

    hub.query_failures = fail
    rollout_id = start(world)
    world.ticks(int(USUAL / 10) + 10)
    assert failures(world, rollout_id) == 50


def test_a_cursor_that_the_hub_has_forgotten_begins_the_search_again() -> None:
    world = World(failing(250))
    hub: Any = world.hub
    query_failures = hub.query_failures
    forgotten: list[str] = []

    def forgetful(query: FailureQuery, cursor: str | None) -> DevicePage:
        if cursor is not None and not forgotten:
            forgotten.append(cursor)
            raise ConditionError("the continuation token is invalid")
        found: DevicePage = query_failures(query, cursor)
        return found

    hub.query_failures = forgetful
    rollout_id = start(world)
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS + 6)
    assert forgotten
    assert failures(world, rollout_id) == 250


def test_a_query_that_lags_shows_a_failure_later_and_it_is_not_missed() -> None:
    world = World(failing(50))
    rollout_id = start(world)
    world.hub.query_lag = timedelta(seconds=70)
    world.pass_time(seconds=60)
    world.ticks(4)
    assert failures(world, rollout_id) == 0
    world.ticks(6)
    assert failures(world, rollout_id) == 50


def test_a_new_process_goes_on_with_the_search() -> None:
    world = World(failing(50))
    rollout_id = start(world)
    world.pass_time(seconds=60)
    world.services = replace(world.services, searches=FailureSearches())
    world.ticks(TWO_TICKS)
    assert failures(world, rollout_id) == 50


def test_a_failure_whose_twin_could_not_be_read_is_found_again() -> None:
    world = World(failing(50))
    rollout_id = start(world)
    world.pass_time(seconds=60)
    hub: Any = world.hub
    query_twins = hub.query_twins
    hub.query_twins, world.hub.unreadable = _nothing, set(world.hub.devices)
    world.ticks(TWO_TICKS)
    assert failures(world, rollout_id) == 0
    hub.query_twins, world.hub.unreadable = query_twins, set()
    world.ticks(TWO_TICKS)
    assert failures(world, rollout_id) == 50


def _nothing(device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:  # noqa: ARG001
    return {}


def test_the_gate_stops_a_rollout_that_is_under_way() -> None:
    """Check that devices start for two ticks after the first failures at most."""
    world = World(failing(2_000, 30), limits=quotas(Tier.S1, 1, 0.8))
    rollout_id = world.create(Strategy()).rollout.id
    while world.rollout(rollout_id).resolution is not None:
        world.tick()
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    measured = replace(snapshot.rollout.measured, finished=100, finish_seconds=100 * USUAL)
    world.stores.rollouts.save(snapshot, replace(snapshot.rollout, measured=measured))
    while world.rollout(rollout_id).status is RolloutStatus.RUNNING:
        world.tick()
    assert world.rollout(rollout_id).status is RolloutStatus.PAUSED
    assert world.hub.started < 13.4 * (30 + 3 * 10) + 300


def test_late_reports_of_devices_that_have_ended_change_nothing() -> None:
    world = World(failing(50))
    rollout_id = start(world)
    world.pass_time(seconds=60)
    world.ticks(TWO_TICKS)
    before = world.updates(rollout_id)
    world.services = replace(world.services, searches=FailureSearches())
    world.ticks(TWO_TICKS)
    assert world.updates(rollout_id) == before
    assert {item.state for item in before} == {DeviceState.FAILED}
    assert FACTORY_VERSION in {item.running_version for item in before}


def test_all_pages_of_a_search_look_back_alike_and_the_next_search_looks_back_less() -> None:
    world = World([*failing(250), *[device(f"slow-{n}", stage=1000) for n in range(50)]])
    start(world)
    world.pass_time(seconds=60)
    searched = _count_searches(world)
    world.ticks(30)
    times = [query.since for query in searched]
    assert times[0] == times[1] == times[2] < times[3]


def test_each_query_counts_once_for_the_pause_before_the_next_one() -> None:
    world = World(failing(50))
    snapshot = world.stores.rollouts.get(start(world))
    assert snapshot is not None
    search = world.services.searches.get(world.services.moment(snapshot.rollout))
    before = search.count
    searched = _count_searches(world)
    world.pass_time(seconds=60)
    world.ticks(4)
    assert search.count - before == len(searched) > 0


def test_a_search_that_the_hub_rejects_waits_for_an_hour() -> None:
    world = World(devices(50, stage=10_000))
    hub: Any = world.hub
    rejected: list[FailureQuery] = []

    def reject(query: FailureQuery, cursor: str | None) -> DevicePage:  # noqa: ARG001
        rejected.append(query)
        raise ConditionError("no such function")

    hub.query_failures = reject
    start(world, Strategy(timeout=timedelta(hours=12)))
    world.ticks(300)
    assert len(rejected) == 1
    world.ticks(100)
    assert len(rejected) == 2
