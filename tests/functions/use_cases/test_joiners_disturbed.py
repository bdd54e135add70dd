"""Test joining devices during crashes, races, later rollouts and at random.

`ROLLOUT_PROPERTY_RUNS` sets the number of runs.
"""

import os
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.errors import ConflictError, InvalidError, StorageUnavailableError
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, WavePlan, percent
from functions.rollouts.rollout import joiners, operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from functions.use_cases.dispatch import dispatch
from simulator.simulated_fleet.shares import Fault
from tests.functions.fragile import CrashError, Fragile, before
from tests.functions.use_cases.observer import Observer
from tests.functions.use_cases.world import FIRMWARE, World, device, devices

RUNS = int(os.environ.get("ROLLOUT_PROPERTY_RUNS", "200"))
ADA = Caller("ada")
CANARY = Strategy(waves=(WavePlan(size=1, name="canary"),))
# More calls of the stores than the tick in which devices join makes.
CALLS = 28


def make(world: World, strategy: Strategy = CANARY) -> str:
    request = replace(world.request(strategy=strategy), device_ids=(), condition="c", joiners=True)
    return create(world.services, request, None).rollout.id


def make_ready(present: int = 3) -> tuple[World, str]:
    """Make a rollout whose next tick searches, and finds two devices."""
    world = World(devices(present, stage=150))
    rollout_id = make(world)
    world.ticks(6)
    world.hub.register(device("late-1"))
    world.hub.register(device("late-2"))
    return world, rollout_id


def crash(world: World, at: int, *, after: bool) -> None:
    """Run a tick that crashes at a call of the stores."""
    fragile: Any = Fragile(world.stores, at, after=after)
    services = replace(world.services, stores=fragile)
    try:
        advance(services)
        for batch in world.batches():
            dispatch(services, batch)
    except CrashError:
        world.queue.clear()


def check_joined_once(world: World, rollout_id: str, devices: int) -> None:
    rollout, updates = world.rollout(rollout_id), world.updates(rollout_id)
    assert len({update.device_id for update in updates}) == len(updates) == devices
    assert rollout.total == rollout.counts.total == devices
    numbers = world.stores.targets.get_block_numbers(rollout_id)
    assert numbers == {update.device_id: n // 100 for n, update in enumerate(updates)}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("present", [3, 99])
def test_a_crash_at_any_call_neither_loses_a_joiner_nor_doubles_it(
    present: int, after: bool
) -> None:
    for at in range(1, CALLS):
        world, rollout_id = make_ready(present)
        crash(world, at, after=after)
        world.pass_time(seconds=10)
        world.ticks(12)
        check_joined_once(world, rollout_id, present + 2)
        assert world.rollout(rollout_id).joining.joined == 2
        if present < BLOCK_SIZE // 2:  # the ends of a large rollout take long
            assert world.until_over(rollout_id).counts.completed == present + 2


@pytest.mark.parametrize(
    ("port", "name"),
    [("targets", "add_history"), ("rollouts", "list_ended_ids"), ("rollouts", "list_open_ids")],
)
def test_two_ticks_at_once_let_each_device_join_once(port: str, name: str) -> None:
    world, rollout_id = make_ready()
    with before(getattr(world.stores, port), name, lambda: advance(world.services, rollout_id)):
        advance(world.services)
    world.ticks(12)
    check_joined_once(world, rollout_id, 5)
    assert (
        sum(event.action == "devicesJoined" for event in world.rollout(rollout_id).audit.events)
        == 1
    )


def test_two_searches_of_the_same_page_store_one_result() -> None:
    world, rollout_id = make_ready()
    with before(world.hub, "query_matching", lambda: advance(world.services, rollout_id)):
        advance(world.services)
    world.ticks(12)
    check_joined_once(world, rollout_id, 5)


def test_devices_that_were_found_before_a_cancel_are_cancelled_with_the_others() -> None:
    """A rollout that is later may have skipped them already, so they are not forgotten."""
    world, rollout_id = make_ready()
    cancel = operator_commands.cancel
    command = lambda: commands.run_command(world.services, rollout_id, cancel, ADA)  # noqa: E731
    with before(world.stores.targets, "add_history", command):
        advance(world.services)
    world.ticks(2)
    check_joined_once(world, rollout_id, 5)
    assert world.update(rollout_id, "late-1").state is DeviceState.CANCELLED
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.cancelled) == (RolloutStatus.CANCELLED, 4)


def test_a_rollout_does_not_end_between_the_search_and_the_join() -> None:
    world = World(devices(3))
    rollout_id = make(world, Strategy())
    world.ticks(3)
    hub, stores = world.hub, world.stores.targets
    world.pass_time(seconds=40)
    hub.register(device("late"))

    add_history = stores.add_history

    def fail(*_: Any) -> None:
        raise StorageUnavailableError("no storage")

    stores.add_history = fail  # type: ignore[assignment, method-assign]
    world.ticks(6)
    rollout = world.rollout(rollout_id)
    assert rollout.joining.found or rollout.is_over
    stores.add_history = add_history  # type: ignore[method-assign]
    over = world.until_over(rollout_id)
    assert over.status is RolloutStatus.COMPLETED
    assert over.total == over.counts.completed == 3 + over.joining.joined


@pytest.mark.parametrize("name", ["add_history", "find_later"])
def test_a_later_rollout_that_takes_a_joiner_meanwhile_wins(name: str) -> None:
    world, rollout_id = make_ready()
    firmware = replace(FIRMWARE, version="3.0.0")
    created: list[str] = []

    def create_later() -> None:
        request = world.request("late-1", firmware=firmware)
        created.append(create(world.services, request, None).rollout.id)

    with before(world.stores.targets, name, create_later, 1 if name == "add_history" else 2):
        world.tick()
    if not created:
        pytest.fail("the later rollout was not created in between")
    world.ticks(12)
    assert world.until_over(created[0]).counts.completed == 1
    over = world.until_over(rollout_id)
    assert {rollout for rollout, _ in world.hub.devices["late-1"].started} == {created[0]}
    known = {update.device_id: update for update in world.updates(rollout_id)}
    assert "late-1" not in known or known["late-1"].skip_reason is SkipReason.SUPERSEDED
    assert over.counts.total == len(known)


def test_two_rollouts_with_joiners_give_a_device_to_the_newer_one() -> None:
    world = World(devices(3, stage=150))
    first = make(world)
    world.pass_time(seconds=2)
    request = replace(
        world.request(firmware=replace(FIRMWARE, version="3.0.0")),
        device_ids=(), condition="c", joiners=True,
    )  # fmt: skip
    second = create(world.services, request, None).rollout.id
    world.hub.register(device("late"))
    world.ticks(20)
    for rollout_id in (first, second):
        world.until_over(rollout_id)
    started = {rollout for rollout, _ in world.hub.devices["late"].started}
    known = [item for item in world.updates(first) if item.device_id == "late"]
    assert second in started
    assert started == {second} or known[0].state is DeviceState.COMPLETED
    assert [rollout for rollout, _ in world.hub.devices["late"].started][-1] == second


happenings = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.sampled_from([10, 60, 120])),
        st.tuples(st.just("register"), st.integers(1, 3)),
        st.tuples(st.just("leave"), st.integers(0, 9)),
        st.tuples(st.just("return"), st.just(0)),
        st.tuples(st.just("crash"), st.integers(1, 25)),
        st.tuples(st.just("command"), st.sampled_from(["pause", "resume", "retry", "cancel"])),
        st.tuples(st.just("later"), st.integers(0, 9)),
        st.tuples(st.just("two ticks"), st.just(0)),
    ),
    min_size=4,
    max_size=16,
)


class _Story:
    """A rollout with joiners, and the devices that met its condition during a whole search."""

    def __init__(self, present: int, strategy: Strategy, fault: Fault) -> None:
        self.world = World([device(f"d-{n:03}", stage=60) for n in range(present)])
        self.fault = fault
        self.rollout_id = make(self.world, strategy)
        self.observer = Observer(self.world, self.rollout_id)
        self.present = present
        self.registered: list[str] = []
        self.taken: set[str] = set()  # by a later rollout

    @property
    def rollout(self) -> Rollout:
        return self.world.rollout(self.rollout_id)

    def happen(self, what: str, value: Any) -> None:
        with suppress(ConflictError, InvalidError):
            self._act(what, value)
        self.observer.observe()
        self.check()

    def check(self) -> None:
        """Check that each device is in the rollout once, and that the counters are exact."""
        rollout, updates = self.rollout, self.world.updates(self.rollout_id)
        ids = [update.device_id for update in updates]
        assert len(set(ids)) == len(ids) == rollout.total
        assert rollout.total == self.present + rollout.joining.joined
        last = rollout.waves[-1]
        assert last.first + last.size == rollout.total

    def _act(self, what: str, value: Any) -> None:
        world, hub = self.world, self.world.hub
        match what:
            case "tick":
                world.tick(timedelta(seconds=value))
            case "register":
                for _ in range(value):
                    name = f"late-{len(self.registered):02}"
                    self.registered.append(name)
                    hub.register(device(name, stage=20, fault=self.fault))
            case "leave":
                hub.unmatched |= set(self.registered[value : value + 2])
            case "return":
                hub.unmatched = set()
            case "crash":
                crash(world, value, after=bool(value % 2))
            case "two ticks":
                with before(world.stores.rollouts, "save", lambda: advance(world.services)):
                    world.tick()
            case "later" if value < len(self.registered):
                self.taken.add(self.registered[value])
                world.pass_time(seconds=1)
                request = world.request(
                    self.registered[value], firmware=replace(FIRMWARE, version="9.0.0")
                )
                create(world.services, request, None)
            case "command":
                self._command(value)

    def _command(self, name: str) -> None:
        if name == "retry":
            commands.retry(self.world.services, self.rollout_id, ADA)
        elif name == "cancel":
            commands.cancel(self.world.services, self.rollout_id, ADA)
        else:
            command = getattr(operator_commands, name)
            commands.run_command(self.world.services, self.rollout_id, command, ADA)

    def search_once_more(self) -> None:
        """Let a whole search begin and end while nothing else happens."""
        self.world.hub.unmatched = set()
        self.world.pass_time(seconds=1)  # an earlier search may have begun just now
        began = self.world.now
        for _ in range(30):
            rollout = self.rollout
            checked_at = rollout.joining.checked_at
            is_searched = checked_at is not None and checked_at >= began
            have_joined = is_searched and not rollout.joining.found  # a crash may be in between
            if have_joined or not joiners.takes_joiners(rollout):
                return
            self.world.tick()
            self.observer.observe()


@settings(
    max_examples=RUNS, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
@given(
    st.sampled_from([1, 3, 99, 100]),
    st.builds(
        Strategy,
        waves=st.sampled_from([(), (WavePlan(size=1),)]),
        success_share=st.sampled_from([percent(0), percent(100), None]),
        failure_gate=st.builds(FailureGate, on_breach=st.sampled_from(OnBreach)),
        timeout=st.just(timedelta(minutes=20)),
        max_in_flight=st.sampled_from([None, 2]),
    ),
    st.sampled_from([Fault.NONE, Fault.NONE, Fault.FAILING]),
    happenings,
)
def test_each_device_that_meets_the_condition_while_the_rollout_is_open_joins_once(
    present: int, strategy: Strategy, fault: Fault, happened: list[tuple[str, Any]]
) -> None:
    story = _Story(present, strategy, fault)
    for what, value in happened:
        story.happen(what, value)
    story.search_once_more()
    story.check()
    if joiners.takes_joiners(story.rollout):
        ids = {update.device_id for update in story.world.updates(story.rollout_id)}
        assert set(story.registered) - story.taken <= ids
