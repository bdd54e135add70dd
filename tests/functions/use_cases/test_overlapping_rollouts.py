"""Test invariants of several rollouts that share devices, with commands and disturbances.

`ROLLOUT_PROPERTY_RUNS` sets the number of runs.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.errors import ConflictError, InvalidError
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import (
    FailureGate,
    Offline,
    OfflinePolicy,
    OnBreach,
    Strategy,
    WavePlan,
    percent,
)
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, rollback
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from functions.use_cases.dispatch import dispatch
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.observer import Observer
from tests.functions.use_cases.world import World, device

RUNS = int(os.environ.get("ROLLOUT_PROPERTY_RUNS", "200"))
OPERATOR = Caller("operator")
MAX_DEVICES = 8

strategies = st.builds(
    Strategy,
    waves=st.sampled_from([(), (WavePlan(size=1),), (WavePlan(size=percent(50)),)]),
    success_share=st.sampled_from([percent(100), percent(50), percent(0)]),
    failure_gate=st.builds(FailureGate, on_breach=st.sampled_from(OnBreach)),
    soak=st.sampled_from([timedelta(0), timedelta(minutes=2)]),
    timeout=st.just(timedelta(minutes=20)),
    offline=st.builds(
        Offline,
        policy=st.sampled_from(OfflinePolicy),
        deadline=st.sampled_from([timedelta(minutes=30), timedelta(hours=4)]),
    ),
)
virtual_devices = st.fixed_dictionaries(
    {
        "online": st.sampled_from([True, True, True, False]),
        "tutorial_only": st.sampled_from([False, False, True]),
        "fault": st.sampled_from([Fault.NONE] * 5 + list(Fault)),
        "lose_responses": st.sampled_from([0, 0, 0, 1]),
        "lose_requests": st.sampled_from([0, 0, 0, 1]),
        "stage": st.sampled_from([1, 10, 60]),
    }
)
some_devices = st.frozensets(st.integers(0, MAX_DEVICES - 1), min_size=1)
which = st.integers(0, 5)  # a rollout, in the order of creation
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.sampled_from([1, 10, 60, 600])),
        st.tuples(st.just("tick"), st.sampled_from([1, 10, 60, 600])),
        st.tuples(st.just("create"), st.tuples(some_devices, strategies)),
        st.tuples(st.just("roll back"), which),
        st.tuples(st.just("retry"), which),
        st.tuples(st.just("pause"), which),
        st.tuples(st.just("resume"), which),
        st.tuples(st.just("cancel"), which),
        st.tuples(st.just("toggle"), st.integers(0, MAX_DEVICES - 1)),
        st.tuples(st.just("delete"), st.integers(0, MAX_DEVICES - 1)),
        st.tuples(st.just("heal"), st.integers(0, MAX_DEVICES - 1)),
        st.tuples(st.just("slow queue"), st.sampled_from([10, 59, 70])),
        st.tuples(st.just("crash"), st.integers(1, 14)),
    ),
    min_size=4,
    max_size=25,
)


@dataclass
class Story:
    """A world, its fleet as it was at first, and its rollouts in the order of their creation."""

    world: World
    fleet: Sequence[VirtualDevice]
    observers: dict[str, Observer] = field(default_factory=dict)

    def happen(self, what: str, value: Any) -> None:
        with suppress(ConflictError, InvalidError):
            self._act(what, value)
        self.observe()

    def observe(self) -> None:
        """Check every rollout, those that were created meanwhile included."""
        rollouts = self.world.stores.rollouts.list_rollouts(None, 100, None).items
        for rollout in reversed(rollouts):
            self.observers.setdefault(rollout.id, Observer(self.world, rollout.id)).observe()
        for found in self.fleet:
            order = [rollout_id for rollout_id, _ in found.started]
            # Ids sort newest first. A rollback is a newer rollout, too.
            assert order == sorted(order, reverse=True), (found.device_id, order)

    def _act(self, what: str, value: Any) -> None:
        match what:
            case "tick":
                self.world.tick(timedelta(seconds=value))
            case "create":
                self.create(*value)
            case "toggle" | "delete" | "heal":
                self._disturb(what, value)
            case "slow queue":
                batches = self.world.advance()
                if (
                    value == 59
                ):  # the devices of a batch get a later rollout before it is dispatched
                    self.create(frozenset({0, 1}), Strategy())
                self.world.pass_time(seconds=value)
                self.world.dispatch(*batches)
            case "crash":
                self._crash(value)
            case _:
                self._command(what, value)

    def create(self, chosen: frozenset[int], strategy: Strategy) -> None:
        ids = [
            item.device_id
            for number, item in enumerate(self.fleet)
            if number in chosen and item.device_id in self.world.hub.devices
        ]
        if ids:
            version = f"{len(self.observers) + 2}.0.0"
            firmware = Firmware(version=version, package_uri=f"https://x.example/{version}")
            request = self.world.request(*ids, firmware=firmware, strategy=strategy)
            create(self.world.services, request, None)
            self.world.pass_time(seconds=1)

    def _disturb(self, what: str, number: int) -> None:
        if number >= len(self.fleet):
            return
        chosen, hub = self.fleet[number], self.world.hub
        if what == "delete":
            hub.devices.pop(chosen.device_id, None)
        elif what == "heal":
            chosen.fault = Fault.NONE
        elif chosen.device_id in hub.devices:
            online = chosen.is_online(self.world.now.timestamp())
            (hub.disconnect if online else hub.reconnect)(chosen.device_id)

    def _crash(self, at: int) -> None:
        weak: Any = Fragile(self.world.stores, at, after=bool(at % 2))
        services = replace(self.world.services, stores=weak)
        try:
            advance(services)
            for batch in self.world.batches():
                dispatch(services, batch)
        except CrashError:
            self.world.queue.clear()

    def _command(self, what: str, number: int) -> None:
        ids = list(self.observers)
        if number >= len(ids):
            return
        services, rollout_id = self.world.services, ids[number]
        match what:
            case "roll back":
                rollback.roll_back(services, rollout_id, OPERATOR)
            case "retry":
                commands.retry(services, rollout_id, OPERATOR, states=tuple(RetryState))
            case "cancel":
                commands.cancel(services, rollout_id, OPERATOR)
            case "pause":
                commands.run_command(services, rollout_id, operator_commands.pause, OPERATOR)
            case "resume":
                commands.run_command(services, rollout_id, operator_commands.resume, OPERATOR)

    def finish(self) -> Iterator[None]:
        """Bring every device back, then act as an operator until all rollouts are over."""
        for found in self.world.hub.devices.values():
            if not found.is_online(self.world.now.timestamp()):
                self.world.hub.reconnect(found.device_id)
        for _ in range(1500):
            rollouts = [self.world.rollout(rollout_id) for rollout_id in self.observers]
            if all(item.is_over for item in rollouts):
                return
            for item in rollouts:
                if item.status is RolloutStatus.PAUSED:
                    assert item.status_reason is not None
                    resume = operator_commands.resume
                    commands.run_command(self.world.services, item.id, resume, OPERATOR)
            yield
            self.world.tick(timedelta(seconds=600))
            yield


@settings(
    max_examples=RUNS, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(st.lists(virtual_devices, min_size=2, max_size=MAX_DEVICES), strategies, happenings)
def test_no_device_starts_an_older_rollout_after_a_newer_one_and_every_rollout_ends(
    kinds: list[dict[str, Any]], first: Strategy, happened: list[tuple[str, Any]]
) -> None:
    fleet = [device(f"d-{number:02}", **kind) for number, kind in enumerate(kinds)]
    story = Story(World(fleet), fleet)
    story.create(frozenset(range(len(fleet))), first)
    story.observe()
    for what, value in happened:
        story.happen(what, value)
    for _ in story.finish():
        story.observe()
    for rollout_id in story.observers:
        rollout = story.world.rollout(rollout_id)
        assert rollout.is_over, (rollout.status, rollout.status_reason, rollout.counts)
        assert rollout.counts.ended == rollout.counts.total
    for found in fleet:
        assert len(set(found.started)) == len(found.started), found.started
