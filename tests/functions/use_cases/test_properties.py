"""Test invariants with random fleets, strategies, faults and interleavings.

`ROLLOUT_PROPERTY_RUNS` sets the number of runs, 10,000 take about half an hour.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.errors import ConflictError, LostRaceError
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import (
    FailureGate,
    Offline,
    OfflinePolicy,
    OnBreach,
    Retry,
    RetryOn,
    Share,
    Strategy,
    WavePlan,
    WhenAlreadyRunning,
    Window,
    percent,
)
from functions.rollouts.model.wave import WaveStatus
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, rollback
from functions.use_cases.advance import advance
from functions.use_cases.dispatch import dispatch
from simulator.simulated_fleet.shares import Fault
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.observer import Observer
from tests.functions.use_cases.world import FIRMWARE, World, device

RUNS = int(os.environ.get("ROLLOUT_PROPERTY_RUNS", "200"))
OPERATOR = Caller("operator")
OTHER = {
    "fwPackageUri": "https://x.example/2",
    "rolloutId": "another",
    "attempt": 1,
    "version": "2.0.0",
}

waves = st.lists(
    st.builds(
        WavePlan,
        size=st.one_of(st.integers(1, 5), st.sampled_from([percent(5), percent(20), Share(50)])),
        approval=st.sampled_from([False, False, False, True]),
    ),
    max_size=3,
)
strategies = st.builds(
    Strategy,
    waves=waves.map(tuple),
    success_share=st.sampled_from([percent(100), percent(90), percent(50), percent(0)]),
    failure_gate=st.builds(FailureGate, on_breach=st.sampled_from(OnBreach)),
    soak=st.sampled_from([timedelta(0), timedelta(0), timedelta(minutes=2), timedelta(hours=1)]),
    max_in_flight=st.one_of(st.none(), st.integers(1, 10)),
    timeout=st.sampled_from([timedelta(minutes=20), timedelta(hours=1)]),
    retry=st.builds(Retry, attempts=st.integers(1, 3), on=st.frozensets(st.sampled_from(RetryOn))),
    offline=st.builds(
        Offline,
        policy=st.sampled_from(OfflinePolicy),
        deadline=st.sampled_from([timedelta(minutes=10), timedelta(hours=4)]),
    ),
    window=st.sampled_from(
        [None, None, Window(start=time(11), end=time(13), timezone="Europe/London")]
    ),
    verify_version=st.sampled_from([True, True, False]),
    when_already_running=st.sampled_from(WhenAlreadyRunning),
)
virtual_devices = st.fixed_dictionaries(
    {
        "online": st.sampled_from([True, True, True, False]),
        "tutorial_only": st.booleans(),
        "fault": st.sampled_from([Fault.NONE] * 4 + list(Fault)),
        "lose_responses": st.sampled_from([0, 0, 0, 1, 3]),
        "lose_requests": st.sampled_from([0, 0, 0, 1, 2]),
        "stage": st.sampled_from([1, 10, 60]),
    }
)
# Whether a device is busy with another rollout when this one begins.
occupied = st.lists(st.sampled_from([False, False, False, True]), min_size=25, max_size=25)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.sampled_from([0, 1, 10, 60, 600])),
        st.tuples(st.just("toggle"), st.integers(0, 24)),
        st.tuples(
            st.sampled_from(["lose queue", "repeat queue", "two timers", "timer race"]), st.just(0)
        ),
        st.tuples(st.just("slow queue"), st.sampled_from([10, 40, 59, 70])),
        st.tuples(st.just("crash"), st.integers(1, 14)),
        st.tuples(st.just("command"), st.integers(0, 4)),
        st.tuples(st.just("roll back"), st.just(0)),
    ),
    max_size=25,
)
COMMANDS = (operator_commands.pause, operator_commands.resume, operator_commands.approve)


def apply_event(world: World, rollout_id: str, what: str, value: int) -> None:
    match what:
        case "tick":
            world.tick(timedelta(seconds=value))
        case "toggle":
            _toggle(world, value)
        case "lose queue" | "repeat queue" | "slow queue" | "two timers":
            _queue(world, what, value)
        case "timer race":
            _race(world)
        case "crash":
            _crash(world, value)
        case "command":
            with suppress(ConflictError):
                _command(world, rollout_id, value)
        case "roll back":
            with suppress(ConflictError):
                rollback.roll_back(world.services, rollout_id, OPERATOR)


def _queue(world: World, what: str, value: int) -> None:
    batches = list(world.advance())
    match what:
        case "repeat queue":
            world.dispatch(*batches, *batches)
        case "slow queue":
            world.pass_time(seconds=value)
            world.dispatch(*batches)
        case "two timers":
            batches += world.advance()
            world.dispatch(*reversed(batches))


def _toggle(world: World, value: int) -> None:
    found = list(world.hub.devices.values())
    if value >= len(found):
        return
    chosen = found[value]
    if chosen.is_online(world.now.timestamp()):
        world.hub.disconnect(chosen.device_id)
    else:
        world.hub.reconnect(chosen.device_id)


def _command(world: World, rollout_id: str, value: int) -> None:
    if value < len(COMMANDS):
        commands.run_command(world.services, rollout_id, COMMANDS[value], OPERATOR)
    elif value == len(COMMANDS):
        commands.retry(world.services, rollout_id, OPERATOR)
    else:
        commands.cancel(world.services, rollout_id, OPERATOR)


def _crash(world: World, at: int) -> None:
    weak: Any = Fragile(world.stores, at, after=bool(at % 2))
    services = replace(world.services, stores=weak)
    try:
        advance(services)
        for batch in world.batches():
            dispatch(services, batch)
    except CrashError:
        world.queue.clear()


def _race(world: World) -> None:
    """Write the rollout between every read and the write after it."""
    store: Any = world.stores.rollouts  # untyped, to replace its method
    save, races = store.save, iter(range(3))

    def racing(*arguments: Any) -> Any:
        if next(races, None) is not None:
            _touch(world, save)
        return save(*arguments)

    store.save = racing
    try:
        world.tick()
    finally:
        store.save = save


def _touch(world: World, save: Any) -> None:
    for rollout_id in world.stores.rollouts.list_open_ids():
        snapshot = world.stores.rollouts.get(rollout_id)
        with suppress(LostRaceError):
            if snapshot is not None:
                save(snapshot, replace(snapshot.rollout, revision=snapshot.rollout.revision + 1))


def finish(world: World, rollout_id: str) -> Iterator[None]:
    """End all faults, then act as an operator until the rollout is over."""
    for found in world.hub.devices.values():
        if not found.is_online(world.now.timestamp()):
            world.hub.reconnect(found.device_id)
    for _ in range(2000):
        rollout = world.rollout(rollout_id)
        if rollout.is_over:
            return
        with suppress(ConflictError):
            commands.run_command(world.services, rollout_id, operator_commands.approve, OPERATOR)
        if rollout.status is RolloutStatus.PAUSED:
            commands.run_command(world.services, rollout_id, operator_commands.resume, OPERATOR)
        world.tick(timedelta(seconds=600))
        yield


@settings(
    max_examples=RUNS, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(st.lists(virtual_devices, min_size=1, max_size=25), occupied, strategies, happenings)
def test_the_invariants_hold_under_random_events_and_every_rollout_ends(
    fleet: list[dict[str, Any]],
    busy: list[bool],
    strategy: Strategy,
    story: list[tuple[str, int]],
) -> None:
    world = World([device(f"d-{number:02}", **kind) for number, kind in enumerate(fleet)])
    for found, is_busy in zip(world.hub.devices.values(), busy, strict=False):
        if is_busy and not found.tutorial_only and found.fault is not Fault.HANGING:
            found.receive_method(OTHER, world.now.timestamp())
    fitting = replace(strategy, waves=_choose_waves(strategy, len(fleet)))
    rollout_id = world.create(fitting).rollout.id
    observer = Observer(world, rollout_id)
    observer.observe()
    for what, value in story:
        apply_event(world, rollout_id, what, value)
        observer.observe()
    for _ in finish(world, rollout_id):
        observer.observe()
    rollout = world.rollout(rollout_id)
    assert rollout.is_over, (rollout.status, rollout.status_reason, rollout.counts)
    assert rollout.counts.ended == rollout.counts.total == len(fleet)
    if rollout.status is RolloutStatus.COMPLETED:
        assert rollout.waves[-1].status in {WaveStatus.COMPLETED, WaveStatus.FAILED}
    check_versions(world, rollout)
    for found in world.hub.devices.values():
        # Each attempt starts once; a busy device that cannot refuse is never invoked.
        assert len(set(found.started)) == len(found.started), found.started
        quick = found.fault is not Fault.HANGING
        assert not (quick and found.overlaps), found.started


def check_versions(world: World, rollout: Rollout) -> None:
    """Check that devices completed on the requested version, and that only those were skipped."""
    updates = world.updates(rollout.id)
    for update in updates:
        runs_it = update.running_version in {None, FIRMWARE.version}
        if update.state is DeviceState.COMPLETED and rollout.strategy.verify_version:
            assert runs_it or "another update" in (update.explanation or ""), update
        if update.skip_reason is SkipReason.ALREADY_RUNNING:
            assert update.running_version == FIRMWARE.version
    already = sum(item.skip_reason is SkipReason.ALREADY_RUNNING for item in updates)
    assert sum(wave.already_running for wave in rollout.waves) == already


def _choose_waves(strategy: Strategy, fleet: int) -> tuple[WavePlan, ...]:
    """Return as many of the waves as the fleet has devices for."""
    left, fitting = fleet, []
    for plan in strategy.waves:
        size = plan.size.at_least(fleet) if isinstance(plan.size, Share) else plan.size
        if size <= left:
            fitting.append(plan)
            left -= size
    return tuple(fitting)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(virtual_devices, min_size=1, max_size=25), strategies, happenings)
def test_the_same_seed_gives_the_same_run(
    fleet: list[dict[str, Any]], strategy: Strategy, story: list[tuple[str, int]]
) -> None:
    def run() -> list[Any]:
        world = World([device(f"d-{number:02}", **kind) for number, kind in enumerate(fleet)])
        fitting = replace(strategy, waves=_choose_waves(strategy, len(fleet)))
        rollout_id = world.create(fitting).rollout.id
        for what, value in story:
            if what != "roll back":
                apply_event(world, rollout_id, what, value)
        states = {item.device_id: (item.state, item.attempt) for item in world.updates(rollout_id)}
        return [world.rollout(rollout_id).status, sorted(states)]

    assert run() == run()
