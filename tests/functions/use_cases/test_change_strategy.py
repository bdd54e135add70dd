"""Test changes of a running rollout against crashes, races and any other change."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.errors import ConflictError, InvalidError, LostRaceError, RequestError
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import (
    FailureGate,
    ResolveTarget,
    Share,
    Strategy,
    WavePlan,
    percent,
)
from functions.rollouts.model.wave import count
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands
from functions.use_cases.change_strategy import change_strategy
from functions.use_cases.create import create
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.test_commands_races import before_save, check_counters
from tests.functions.use_cases.world import NOON, World, device, devices

ADA = Caller("ada", "because")


def change(world: World, rollout_id: str, **fields: Any) -> None:
    change_strategy(world.services, rollout_id, ADA, lambda known: replace(known, **fields))


def positions(world: World, rollout_id: str) -> list[str]:
    return [item.device_id for item in world.updates(rollout_id)]


sizes = st.sampled_from([1, 2, 3, 50]) | st.sampled_from([percent(5), percent(40), Share(50)])
plans = st.lists(st.builds(WavePlan, size=sizes, approval=st.booleans()), max_size=3).map(tuple)
patches = st.fixed_dictionaries(
    {},
    optional={
        "waves": plans,
        "max_in_flight": st.none() | st.integers(1, 30),
        "soak": st.sampled_from([timedelta(), timedelta(minutes=1), timedelta(hours=1)]),
        "timeout": st.sampled_from([timedelta(minutes=1), timedelta(hours=1)]),
        "success_share": st.none() | st.sampled_from([percent(0), percent(50), percent(100)]),
        "min_completed": st.sampled_from([0, percent(25), percent(100)]),
        "failure_gate": st.builds(
            FailureGate,
            acceptable=st.sampled_from([Share(1), percent(1), percent(20)]),
            unacceptable=st.sampled_from([percent(30), percent(90)]),
        ),
    },
)
steps = st.one_of(
    patches,
    st.sampled_from(["tick", "tick", "tick", "pause", "resume", "approve", "retry", "drop"]),
)


def fleet_of(draw: Any) -> list[VirtualDevice]:
    faults = st.sampled_from([Fault.NONE, Fault.NONE, Fault.FAILING, Fault.HANGING])
    chosen = draw(st.lists(faults, min_size=1, max_size=12))
    count = draw(st.sampled_from([7, 130]))
    return [
        device(
            f"d-{n:03}",
            stage=1,
            fault=chosen[n % len(chosen)],
            online=n % 7 != 3,
            stratum=f"model-{n % 3}",
        )
        for n in range(count)
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_changes_keep_counters_exact_and_each_device_in_one_wave(data: st.DataObject) -> None:
    world = World(fleet_of(data.draw))
    first = data.draw(st.sampled_from([(), (WavePlan(size=2),), (WavePlan(size=percent(30)),) * 2]))
    paths = data.draw(st.sampled_from([(), ("tags.model",)]))
    rollout_id = world.create(Strategy(waves=first, stratify_by=paths)).rollout.id
    order, orders = positions(world, rollout_id), world.services
    opened: dict[str, tuple[int, int]] = {}
    for step in data.draw(st.lists(steps, min_size=3, max_size=20)):
        with suppress(RequestError, LostRaceError):
            match step:
                case dict():
                    change(world, rollout_id, **step)
                case "tick":
                    world.tick()
                case "retry":
                    commands.retry(orders, rollout_id, ADA)
                case "drop":
                    world.advance()  # its batches are lost
                case _:
                    command = getattr(operator_commands, str(step))
                    commands.run_command(orders, rollout_id, command, ADA)
        rollout = world.rollout(rollout_id)
        check_counters(world, rollout_id)
        assert positions(world, rollout_id) == order
        assert [wave.first for wave in rollout.waves] == [0, *rollout.wave_ends[:-1]]
        assert rollout.wave_ends[-1] == rollout.total == len(order)
        updates = world.updates(rollout_id)
        assert Counter(item.wave for item in updates) == {
            number: wave.size for number, wave in enumerate(rollout.waves)
        }
        found = {wave.name: (wave.first, wave.size) for wave in rollout.waves if wave.started_at}
        for number, wave in enumerate(rollout.waves):
            for stratum, part in enumerate(wave.strata):
                own = [
                    item.state for item in updates if (item.wave, item.stratum) == (number, stratum)
                ]
                assert part.counts == count(own)
        assert opened.items() <= found.items()
        opened = found
        in_flight = [item for item in updates if item.state.in_flight]
        assert all(rollout.waves[item.wave].started_at for item in in_flight)
        spent = sum(1 / (wave.error_divisor or len(rollout.waves)) for wave in rollout.waves)
        assert spent <= 1 + 1e-9


@pytest.mark.parametrize("number", range(1, 12))
def test_a_change_that_races_with_a_tick_is_kept(number: int) -> None:
    fleet = [device(f"d-{n:03}", stage=90, online=n % 3 != 0) for n in range(150)]
    world = World(fleet)
    rollout_id = world.create(Strategy(waves=(WavePlan(size=10),))).rollout.id
    waves = (WavePlan(size=10), WavePlan(size=percent(50)))
    fields = {"waves": waves, "soak": timedelta(minutes=2), "max_in_flight": 9}
    with before_save(world, number, lambda: change(world, rollout_id, **fields)):
        world.tick()
        world.tick()
    rollout = world.rollout(rollout_id)
    assert (rollout.strategy.waves, rollout.strategy.max_in_flight) == (waves, 9)
    assert [wave.size for wave in rollout.waves] == [10, 75, 65]
    check_counters(world, rollout_id)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_tick_that_races_with_a_change_is_kept(number: int) -> None:
    world = World(devices(150, stage=90))
    rollout_id = world.create(Strategy(waves=(WavePlan(size=10),))).rollout.id
    world.tick()
    with before_save(world, number, world.tick):
        change(world, rollout_id, waves=(WavePlan(size=10), WavePlan(size=20)))
    assert [wave.size for wave in world.rollout(rollout_id).waves] == [10, 20, 120]
    check_counters(world, rollout_id)
    assert world.until_over(rollout_id).counts.completed == 150


def test_skipped_devices_of_waves_that_have_not_opened_are_counted_anew() -> None:
    world = World(devices(250))
    later_ids = [f"d-{n:03}" for n in range(0, 250, 3)]
    first = world.create(Strategy(waves=(WavePlan(size=10),), max_in_flight=1)).rollout.id
    later = world.request(*later_ids)
    world.pass_time(seconds=1)
    create(world.services, later, None)
    for _ in range(4):
        world.tick()
    assert sum(wave.counts.skipped for wave in world.rollout(first).waves[1:]) > 50
    change(world, first, waves=(WavePlan(size=10), WavePlan(size=100), WavePlan(size=7)))
    assert [wave.size for wave in world.rollout(first).waves] == [10, 100, 7, 133]
    check_counters(world, first)


def test_waves_of_a_target_that_is_being_stored_are_not_changed() -> None:
    world = World(devices(1200))
    rollout_id = world.create(Strategy(waves=(WavePlan(size=10),))).rollout.id
    assert world.rollout(rollout_id).resolution is not None
    with pytest.raises(ConflictError, match="being stored in the order of its waves"):
        change(world, rollout_id, waves=(WavePlan(size=20),))
    change(world, rollout_id, max_in_flight=50)
    for _ in range(5):
        world.tick()
    assert world.rollout(rollout_id).strategy.max_in_flight == 50
    assert world.rollout(rollout_id).waves[0].size == 10


def test_waves_of_a_target_that_is_resolved_at_the_start_are_changed_before() -> None:
    world = World(devices(30))
    request = world.request(
        device_ids=(),
        condition="tags.site = 'berlin'",
        strategy=Strategy(resolve_target=ResolveTarget.START, waves=(WavePlan(size=2),)),
        start_at=NOON + timedelta(hours=1),
    )
    rollout_id = create(world.services, request, None).rollout.id
    change(world, rollout_id, waves=(WavePlan(size=3),))
    assert world.rollout(rollout_id).strategy.waves == (WavePlan(size=3),)
    assert world.rollout(rollout_id).status is RolloutStatus.SCHEDULED


def test_waves_that_a_listed_target_has_too_few_devices_for_are_refused() -> None:
    world = World(devices(1200))
    strategy = Strategy(stratify_by=("tags.model",))
    rollout_id = world.create(strategy).rollout.id
    with pytest.raises(InvalidError, match="do not fit"):
        change(world, rollout_id, waves=(WavePlan(size=2000),))


def test_a_new_soak_is_adopted_once_in_a_block_that_another_write_reaches_first() -> None:
    world = World([*devices(60, stage=1), *devices_later(60)])
    rollout_id = world.create(Strategy(soak=timedelta(hours=5))).rollout.id
    while world.rollout(rollout_id).counts.soaking < 60:
        world.tick(timedelta(seconds=2))
    change(world, rollout_id, soak=timedelta(minutes=1))
    run = partial(commands.run_command, world.services, rollout_id)
    run(operator_commands.pause, ADA)
    for _ in range(30):
        world.tick()
    states = Counter(item.state for item in world.updates(rollout_id))
    assert states[DeviceState.COMPLETED] >= 60
    soaking = [item for item in world.updates(rollout_id) if item.soak_until]
    assert all(item.soak_until < NOON + timedelta(hours=1) for item in soaking if item.soak_until)


def devices_later(count: int) -> list[VirtualDevice]:
    return [device(f"e-{n:03}", stage=20) for n in range(count)]


def test_a_timeout_ends_the_wait_for_a_sign_of_an_attempt_in_doubt() -> None:
    world = World(devices(3, stage=1))
    rollout_id = world.create(Strategy(timeout=timedelta(hours=9))).rollout.id
    change(world, rollout_id, timeout=timedelta(minutes=1))
    found = world.rollout(rollout_id)
    assert found.timeout_revision == found.revision
    assert all(item.due_at is None or item.due_at <= world.now for item in found.block_summaries)
