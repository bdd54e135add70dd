"""Random devices, faults and interleavings: what must hold whatever happens."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.rollouts.model import DeviceState, Offline, Retry, RolloutStatus, Strategy
from functions.use_cases.advance import advance
from functions.use_cases.dispatch import dispatch
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import World
from tests.functions.virtual_hub import VirtualDevice

# Longer than any update here, so that a second try never meets a first that still runs.
STRATEGY = Strategy(
    timeout=timedelta(minutes=20),
    retry=Retry(attempts=3),
    offline=Offline(deadline=timedelta(hours=4)),
)

virtual_devices = st.builds(
    VirtualDevice,
    online=st.booleans(),
    tutorial_only=st.booleans(),
    hangs=st.sampled_from([False, False, False, True]),
    lose_answers=st.integers(0, 3),
    lose_requests=st.integers(0, 2),
    stage_seconds=st.sampled_from([1, 10, 60]),
)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.sampled_from([0, 1, 10, 60, 600])),
        st.tuples(st.just("toggle"), st.integers(0, 13)),
        st.tuples(st.just("lose queue"), st.just(0)),
        st.tuples(st.just("repeat queue"), st.just(0)),
        st.tuples(st.just("crash"), st.integers(1, 12)),
    ),
    max_size=25,
)


def happen(world: World, what: str, value: int) -> None:
    devices = list(world.hub.devices.values())
    match what:
        case "tick":
            world.tick(value)
        case "toggle" if value < len(devices):
            devices[value].catch_up(world.now)
            devices[value].online = not devices[value].online
        case "lose queue":
            world.tick(10, deliver=False)
            world.queue.clear()
        case "repeat queue":
            world.tick(10, deliver=False)
            for batch in world.queue * 2:
                dispatch(world.services, batch)
            world.queue.clear()
        case "crash":
            weak: Any = Fragile(world.store, value, after=bool(value % 2))
            try:
                for batch in advance(replace(world.services, store=weak)):
                    dispatch(replace(world.services, store=weak), batch)
            except CrashError:
                pass


@settings(max_examples=300, deadline=None)
@given(st.lists(virtual_devices, min_size=1, max_size=13), happenings)
def test_whatever_happens_updates_move_forward_happen_once_and_end(
    fleet: list[VirtualDevice], story: list[tuple[str, int]]
) -> None:
    world = World({f"d-{number:02}": device for number, device in enumerate(fleet)})
    rollout = world.create(STRATEGY).rollout
    last: dict[str, tuple[int, int]] = {}

    def check() -> None:
        for item in world.store.updates(rollout.id):
            update = item.record
            place = (update.attempt, update.state.rank)
            assert place >= last.get(update.device_id, place), update
            last[update.device_id] = place
            times = [step.at for step in update.history]
            assert times == sorted(times)
        for device in fleet:
            assert len(set(device.started)) == len(device.started)
            # Every update here ends well within the timeout, unless the device hangs.
            assert device.hangs or (len(device.started) <= 1 and device.overlaps == 0)

    for what, value in story:
        happen(world, what, value)
        check()
    for device in fleet:
        device.catch_up(world.now)
        device.online = True
    for _ in range(60):
        world.tick(600)
        check()
    ended = world.rollout(rollout.id)
    assert ended.status in {RolloutStatus.COMPLETED, RolloutStatus.FAILED}
    counts = ended.final_counts
    assert counts is not None
    states = world.store.states(rollout.id)
    assert counts.completed == states.count(DeviceState.COMPLETED)
    assert counts.failed == states.count(DeviceState.FAILED)
    assert counts.ended == counts.total == len(fleet)
