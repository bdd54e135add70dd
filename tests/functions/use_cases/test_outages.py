"""Check that outages of the network and of the hub do not count as failures of the firmware."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import HubUnavailableError
from functions.hub_gateway.port import Invocations
from functions.rollouts.model.method_outcome import Lost, MethodOutcome, NotDelivered
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Offline, OfflinePolicy, Strategy, WavePlan
from functions.rollouts.rollout.operator_commands import Caller, pause
from functions.use_cases import commands
from functions.use_cases.create import create
from tests.bench import outage_runs
from tests.bench.outage_runs import Scenario
from tests.functions.use_cases.world import World, device, devices

S1 = quotas(Tier.S1, 1, 0.8)
BROKEN = Lost("The hub failed (500).", hub_failed=True)


def shown(rollout: Rollout) -> str | None:
    return rollout.status_reason.code if rollout.status_reason else None


def break_methods(world: World, outcome: MethodOutcome) -> list[int]:
    """Let all methods end with `outcome` until `mend`. Return the sizes of the batches."""
    sent: list[int] = []

    def failing(_method: str, payloads: Mapping[str, Any], *_: Any) -> Invocations:
        sent.append(len(payloads))
        return Invocations(outcomes=dict.fromkeys(payloads, outcome))

    hub: Any = world.hub
    hub.invoke_all = failing
    return sent


def until_shown(world: World, rollout_id: str) -> None:
    for _ in range(60):
        if shown(world.rollout(rollout_id)) == "hubUnavailable":
            return
        world.tick()
    raise AssertionError(world.rollout(rollout_id).status_reason)


def mend(world: World) -> None:
    del world.hub.invoke_all


# -- the hub ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "outcome",
    [
        BROKEN,
        NotDelivered("The hub could not be reached."),
        NotDelivered("The hub throttled the method (429001).", throttled=True),
    ],
)
def test_a_failing_hub_stops_the_starts_and_counts_nothing(outcome: MethodOutcome) -> None:
    world = World(devices(400), S1)
    rollout_id = world.create(Strategy(waves=(WavePlan(size=20),))).rollout.id
    world.ticks(3)
    sent = break_methods(world, outcome)
    until_shown(world, rollout_id)
    reason = world.rollout(rollout_id).status_reason
    assert reason is not None
    assert "Last: The hub" in reason.message
    until_noticed = sum(sent)
    clock = world.rollout(rollout_id).start_clock.counted
    world.ticks(60)
    assert sum(sent) - until_noticed <= 3 * 21
    waited = world.rollout(rollout_id).start_clock.counted - clock
    assert waited <= timedelta(seconds=20)
    assert not any(item.attempts_used for item in world.updates(rollout_id))
    mend(world)
    ended = world.until_over(rollout_id, ticks=600)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 400)


def test_one_rollout_notices_and_all_stop() -> None:
    world = World(devices(400), S1)
    ids = sorted(world.hub.devices)
    first = world.create(Strategy()).rollout.id
    world.ticks(2)
    break_methods(world, BROKEN)
    until_shown(world, first)
    mine = world.request(*ids[:50], body_hash="other")
    second = create(world.services, mine, None).rollout.id
    sent = break_methods(world, BROKEN)
    world.ticks(6)
    assert shown(world.rollout(second)) == "hubUnavailable"
    assert sum(sent) <= 9
    mend(world)
    assert world.until_over(second, ticks=400).counts.failed == 0


def test_a_hub_whose_reads_fail_is_shown_too() -> None:
    world = World(devices(30), S1)
    rollout_id = world.create(Strategy()).rollout.id
    world.tick()
    hub: Any = world.hub

    def unavailable(*_: Any) -> Any:
        raise HubUnavailableError("The hub responded 503.")

    hub.read_twins = hub.query_twins = hub.query_connections = unavailable
    world.ticks(10)
    assert shown(world.rollout(rollout_id)) == "hubUnavailable"
    del hub.read_twins, hub.query_twins, hub.query_connections
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 30)


def test_silent_devices_of_one_rollout_do_not_stop_another() -> None:
    fleet = devices(80)
    for item in fleet[:40]:
        item.lose_requests = 10_000
    world = World(fleet)
    ids = sorted(world.hub.devices)
    silent = create(world.services, world.request(*ids[:40]), None).rollout.id
    healthy = create(world.services, world.request(*ids[40:]), None).rollout.id
    assert world.until_over(healthy, ticks=40).status is RolloutStatus.COMPLETED
    assert shown(world.rollout(silent)) != "hubUnavailable"


# -- the network -----------------------------------------------------------------------------


@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("soak", [timedelta(), timedelta(minutes=5)])
def test_good_firmware_is_not_stopped_by_an_outage(stratify: bool, soak: timedelta) -> None:
    runs = [outage_runs.run(Scenario(seed=seed, stratify=stratify, soak=soak)) for seed in range(3)]
    assert not any(item.stopped for item in runs)
    assert all(item.rollout.status is RolloutStatus.COMPLETED for item in runs)
    assert sum(item.started_meanwhile for item in runs) == 0


def test_an_outage_of_a_part_of_each_stratum_is_found() -> None:
    """The devices may be stratified by model, and those of a site be away."""
    runs = [outage_runs.run(Scenario(seed=seed, hits_all_strata=True)) for seed in range(6)]
    assert not any(item.stopped for item in runs)
    assert any(item.told for item in runs)


def test_firmware_that_makes_devices_go_dark_is_found() -> None:
    runs = [
        outage_runs.run(Scenario(seed=seed, has_outage=False, dark_share=0.1)) for seed in range(3)
    ]
    assert all(item.stopped for item in runs)
    assert not any(item.told for item in runs)


def test_both_at_once_are_told_and_nothing_starts_meanwhile() -> None:
    runs = [outage_runs.run(Scenario(seed=seed, dark_share=0.1)) for seed in range(3)]
    assert any(item.told for item in runs)
    assert sum(item.started_meanwhile for item in runs) == 0
    assert all(item.stopped for item in runs)


def _canary_in_an_outage(count: int = 60, **more: Any) -> tuple[World, str]:
    """Return a world whose devices all go offline while the canary is at work."""
    world = World(devices(count, stage=60))
    strategy = Strategy(waves=(WavePlan(size=10),), timeout=timedelta(minutes=10), **more)
    rollout_id = world.create(strategy).rollout.id
    world.ticks(3)
    for device_id in world.hub.devices:
        world.hub.disconnect(device_id)
    return world, rollout_id


def test_an_outage_is_shown_with_its_numbers_and_ends_by_itself() -> None:
    world, rollout_id = _canary_in_an_outage()
    world.ticks(6 * 30)
    rollout = world.rollout(rollout_id)
    assert shown(rollout) == "ambientOutage"
    assert rollout.status_reason is not None
    assert "50 of 50 devices that are not being updated are offline too" in (
        rollout.status_reason.message
    )
    assert (rollout.counts.failed, rollout.counts.updating) == (0, 10)
    for device_id in world.hub.devices:
        world.hub.reconnect(device_id)
    ended = world.until_over(rollout_id, ticks=400)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 60)
    actions = [event.action for event in ended.audit.events]
    assert actions.count("outageBegan") == actions.count("outageEnded") == 1


def test_devices_that_do_not_come_back_count_after_a_fair_time() -> None:
    world, rollout_id = _canary_in_an_outage()
    world.ticks(6 * 20)
    canary = {item.device_id for item in world.updates(rollout_id) if item.state.in_flight}
    for device_id in world.hub.devices.keys() - canary:
        world.hub.reconnect(device_id)
    world.ticks(6 * 5)
    assert world.rollout(rollout_id).counts.failed == 0
    world.ticks(6 * 15)
    rollout = world.rollout(rollout_id)
    assert (rollout.status, rollout.counts.failed) == (RolloutStatus.PAUSED, 10)


def test_outages_that_come_again_and_again_do_not_keep_a_rollout_open_for_ever() -> None:
    world, rollout_id = _canary_in_an_outage(offline=Offline(deadline=timedelta(hours=1)))
    lost = [item.device_id for item in world.updates(rollout_id) if item.state.in_flight][:3]
    for _ in range(8):
        world.ticks(6 * 15)
        for device_id in world.hub.devices.keys() - lost:
            world.hub.reconnect(device_id)
        world.ticks(6 * 8)  # less than the timeout
        for device_id in world.hub.devices:
            world.hub.disconnect(device_id)
    rollout = world.rollout(rollout_id)
    assert (rollout.status, rollout.counts.failed) == (RolloutStatus.PAUSED, 3)


def test_an_outage_of_more_strata_than_a_query_compares_is_found_and_ends() -> None:
    fleet = [device(f"d-{n:03}", stage=60, stratum=f"site-{n % 40}") for n in range(400)]
    world = World(fleet)
    strategy = Strategy(
        waves=(WavePlan(size=40),), stratify_by=("tags.site",), timeout=timedelta(minutes=10)
    )
    rollout_id = world.create(strategy).rollout.id
    world.ticks(3)
    for item in fleet:
        world.hub.disconnect(item.device_id)
    world.ticks(6 * 60)
    rollout = world.rollout(rollout_id)
    assert (shown(rollout), rollout.counts.failed) == ("ambientOutage", 0)
    assert rollout.status_reason is not None
    assert len(rollout.status_reason.message) < 1_000
    actions = [event.action for event in rollout.audit.events]
    assert actions.count("outageBegan") <= 40
    for item in fleet:
        world.hub.reconnect(item.device_id)
    ended = world.until_over(rollout_id, ticks=400)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 400)


def test_a_hub_that_fails_the_comparison_alone_is_shown() -> None:
    world, rollout_id = _canary_in_an_outage()
    hub: Any = world.hub

    def unavailable(*_: Any) -> Any:
        raise HubUnavailableError("The hub responded 503.")

    hub.query_connections = unavailable
    world.ticks(6 * 15)
    rollout = world.rollout(rollout_id)
    assert (shown(rollout), rollout.counts.failed) == ("hubUnavailable", 0)
    del hub.query_connections
    world.ticks(6 * 20)
    assert shown(world.rollout(rollout_id)) == "ambientOutage"


def test_a_rollout_that_is_resumed_in_an_outage_shows_it_at_once() -> None:
    world, rollout_id = _canary_in_an_outage()
    world.ticks(6 * 15)
    ada = Caller("ada")
    commands.run_command(world.services, rollout_id, pause, ada)
    assert shown(commands.resume(world.services, rollout_id, ada)) == "ambientOutage"


def test_an_outage_that_ends_during_a_pause_does_not_say_that_the_rollout_goes_on() -> None:
    world, rollout_id = _canary_in_an_outage()
    world.ticks(6 * 15)
    commands.run_command(world.services, rollout_id, pause, Caller("ada"))
    for device_id in world.hub.devices:
        world.hub.reconnect(device_id)
    world.ticks(12)
    told = world.rollout(rollout_id).audit.events[-1]
    assert told.action == "outageEnded"
    assert told.message.endswith("The devices that are not being updated are connected again.")


def test_an_outage_queries_the_hub_once_a_minute() -> None:
    world, rollout_id = _canary_in_an_outage()
    world.ticks(6 * 15)
    assert shown(world.rollout(rollout_id)) == "ambientOutage"
    queried: list[int] = []
    hub: Any = world.hub
    query = hub.query_connections

    def count(ids: Sequence[str]) -> Mapping[str, bool]:
        queried.append(len(ids))
        found: Mapping[str, bool] = query(ids)
        return found

    hub.query_connections = count
    world.ticks(60)
    assert len(queried) <= 11
    assert max(queried) <= 100


def test_without_a_control_group_failures_count_and_the_rollout_says_so() -> None:
    world = World(devices(3))
    rollout_id = world.create(Strategy(timeout=timedelta(minutes=10))).rollout.id
    world.tick()
    for device_id in world.hub.devices:
        world.hub.disconnect(device_id)
    world.ticks(6 * 20)
    rollout = world.rollout(rollout_id)
    assert rollout.counts.failed > 0
    assert [event.action for event in rollout.audit.events].count("outageUnchecked") == 1


def test_a_strategy_that_does_not_wait_is_told_that_devices_are_skipped() -> None:
    fleet = devices(60)
    for item in fleet[10:]:
        item.offline = True
    world = World(fleet)
    rollout_id = world.create(Strategy(offline=Offline(policy=OfflinePolicy.SKIP))).rollout.id
    rollout = world.until_over(rollout_id)
    assert (rollout.counts.failed, rollout.counts.skipped) == (0, 50)
    events = rollout.audit.events
    told = next(item.message for item in events if item.action == "outageUnchecked")
    assert told.startswith("Devices that are not reached are skipped, or count as failed: only 0 ")


def test_devices_that_completed_long_ago_show_an_outage() -> None:
    world = World([*devices(30), *(devices(40)[30:])])
    slow = sorted(world.hub.devices)[-5:]
    for device_id in slow:
        world.hub.devices[device_id].stage_seconds = (1200, 1200, 1200, 1200)
    rollout_id = world.create(Strategy(timeout=timedelta(hours=1))).rollout.id
    world.ticks(6 * 30)
    for device_id in world.hub.devices:
        world.hub.disconnect(device_id)
    world.ticks(6 * 40)
    rollout = world.rollout(rollout_id)
    assert shown(rollout) == "ambientOutage"
    assert rollout.counts.failed == 0


def test_devices_that_are_called_again_and_again_do_not_lower_what_is_expected() -> None:
    """Each device tells once how many of the stratum are usually connected."""
    fleet = devices(20)
    for item in fleet[:8]:
        item.offline = True
    world = World(fleet)
    rollout_id = world.create(Strategy()).rollout.id
    world.ticks(6 * 60)
    assert world.rollout(rollout_id).measured.invoked == ((20, 12),)


def test_an_outage_that_ends_without_its_devices_says_why() -> None:
    world, rollout_id = _canary_in_an_outage(offline=Offline(deadline=timedelta(minutes=30)))
    world.ticks(6 * 45)
    events = world.rollout(rollout_id).audit.events
    ended = next(item.message for item in events if item.action == "outageEnded")
    assert ended.endswith(
        "It lasted as long as offline devices are waited for (30 min): devices that are not"
        " reached count as failed from now on."
    )


def test_an_outage_that_can_no_longer_be_compared_says_so() -> None:
    world, rollout_id = _canary_in_an_outage()
    world.ticks(6 * 20)
    commands.cancel(world.services, rollout_id, Caller("ada"))
    world.ticks(12)
    events = world.rollout(rollout_id).audit.events
    ended = next(item.message for item in events if item.action == "outageEnded")
    assert "only 0 devices are not being updated" in ended
    assert "connected again" not in ended


def test_an_outage_does_not_skip_the_devices_that_are_away() -> None:
    strategy = Strategy(waves=(WavePlan(size=10),), offline=Offline(policy=OfflinePolicy.SKIP))
    world = World(devices(200))
    rollout_id = world.create(strategy).rollout.id
    world.ticks(2)
    for device_id in world.hub.devices:
        world.hub.disconnect(device_id)
    world.ticks(30)
    for device_id in world.hub.devices:
        world.hub.reconnect(device_id)
    ended = world.until_over(rollout_id, ticks=800)
    assert ended.counts.skipped == 0
    assert ended.counts.completed == 200
