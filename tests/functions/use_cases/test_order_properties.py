"""Test with random overlapping rollouts that no device goes back to an older rollout's firmware.

`ROLLOUT_PROPERTY_RUNS` sets the number of runs, as in test_properties.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.errors import ConflictError
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import FailureGate, Strategy, WavePlan, percent
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, rollback
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from functions.use_cases.dispatch import dispatch
from simulator.simulated_fleet.shares import Fault
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import World, device

RUNS = int(os.environ.get("ROLLOUT_PROPERTY_RUNS", "200"))
OPERATOR = Caller("operator")
FLEET = 12
CALM = FailureGate(acceptable=percent(50), unacceptable=percent(99))
virtual_devices = st.fixed_dictionaries(
    {
        "online": st.sampled_from([True, True, False]),
        "tutorial_only": st.booleans(),
        "fault": st.sampled_from([Fault.NONE] * 4 + [Fault.FAILING, Fault.HANGING]),
        "lose_responses": st.sampled_from([0, 0, 0, 1, 2]),
        "lose_requests": st.sampled_from([0, 0, 0, 1]),
        "stage": st.sampled_from([1, 10, 60]),
    }
)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sets(st.integers(0, FLEET - 1), min_size=1)),
        st.tuples(st.just("tick"), st.sampled_from([1, 10, 60, 600])),
        st.tuples(st.just("slow queue"), st.sampled_from([0, 10, 59])),
        st.tuples(st.just("toggle"), st.integers(0, FLEET - 1)),
        st.tuples(
            st.sampled_from(["pause", "resume", "cancel", "retry", "roll back"]), st.integers(0, 5)
        ),
        st.tuples(st.just("crash"), st.integers(1, 20)),
    ),
    min_size=5,
    max_size=25,
)


class Fleet:
    """A world with several rollouts, each of a version of its own."""

    def __init__(self, kinds: Sequence[dict[str, Any]]) -> None:
        self.world = World([device(f"d-{n:02}", **kind) for n, kind in enumerate(kinds)])
        factory = Firmware(version="1.0.0", package_uri="https://packages.example/1.0.0.bin")
        self.world.stores.catalogue.save(factory)
        self.created = 0

    def rollout_ids(self) -> list[str]:
        """Return the ids of all rollouts, oldest first."""
        found = self.world.stores.rollouts.list_rollouts(None, 100, None).items
        return [rollout.id for rollout in reversed(found)]

    def create(self, indexes: Sequence[int]) -> None:
        names = [name for n, name in enumerate(self.world.hub.devices) if n in indexes]
        if not names:
            return
        self.created += 1
        version = f"2.{self.created}.0"
        waves = (WavePlan(size=1),) if len(names) > 1 and self.created % 2 else ()
        request = self.world.request(
            *names,
            firmware=Firmware(version=version, package_uri=f"https://packages.example/{version}"),
            strategy=Strategy(waves=waves, failure_gate=CALM),
        )
        self.world.pass_time(seconds=1)
        create(self.world.services, request, None)

    def run_command(self, what: str, number: int) -> None:
        ids, services = self.rollout_ids(), self.world.services
        if number >= len(ids):
            return
        with suppress(ConflictError):
            match what:
                case "cancel":
                    commands.cancel(services, ids[number], OPERATOR)
                case "retry":
                    commands.retry(services, ids[number], OPERATOR, states=list(RetryState))
                case "roll back":
                    self.world.pass_time(seconds=1)
                    rollback.roll_back(services, ids[number], OPERATOR)
                case _:
                    command = getattr(operator_commands, what)
                    commands.run_command(services, ids[number], command, OPERATOR)

    def happen(self, what: str, value: Any) -> None:
        match what:
            case "create":
                self.create(value)
            case "tick":
                self.world.tick(timedelta(seconds=value))
            case "slow queue":
                batches = self.world.advance()
                self.create([value % FLEET])
                self.world.pass_time(seconds=value)
                self.world.dispatch(*batches)
            case "toggle":
                _toggle(self.world, value)
            case "crash":
                self._crash(value)
            case _:
                self.run_command(what, value)

    def _crash(self, at: int) -> None:
        weak: Any = Fragile(self.world.stores, at, after=bool(at % 2))
        services = replace(self.world.services, stores=weak)
        try:
            advance(services)
            for batch in self.world.batches():
                dispatch(services, batch)
        except CrashError:
            self.world.queue.clear()

    def finish(self) -> None:
        """End all faults, and resume until every rollout is over."""
        for found in self.world.hub.devices.values():
            found.fault = Fault.NONE
            if not found.is_online(self.world.now.timestamp()):
                self.world.hub.reconnect(found.device_id)
        for _ in range(2000):
            rollouts = [self.world.rollout(rollout_id) for rollout_id in self.rollout_ids()]
            if all(rollout.is_over for rollout in rollouts):
                return
            for rollout in rollouts:
                if rollout.status is RolloutStatus.PAUSED:
                    commands.run_command(
                        self.world.services, rollout.id, operator_commands.resume, OPERATOR
                    )
            self.world.tick(timedelta(seconds=600))

    def check_order(self) -> None:
        """Check that no device started for a rollout after it started for a later one."""
        for found in self.world.hub.devices.values():
            ids = [rollout_id for rollout_id, _ in found.started]
            assert ids == sorted(ids, reverse=True), (found.device_id, ids)


def _toggle(world: World, value: int) -> None:
    found = list(world.hub.devices.values())
    if value >= len(found):
        return
    if found[value].is_online(world.now.timestamp()):
        world.hub.disconnect(found[value].device_id)
    else:
        world.hub.reconnect(found[value].device_id)


@settings(
    max_examples=RUNS, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(st.lists(virtual_devices, min_size=1, max_size=FLEET), happenings)
def test_no_device_goes_back_to_an_older_rollout_and_every_rollout_ends(
    kinds: list[dict[str, Any]], story: list[tuple[str, Any]]
) -> None:
    fleet = Fleet(kinds)
    fleet.create(range(FLEET))
    for what, value in story:
        fleet.happen(what, value)
        fleet.check_order()
    fleet.finish()
    fleet.check_order()
    for rollout_id in fleet.rollout_ids():
        rollout = fleet.world.rollout(rollout_id)
        assert rollout.is_over, (rollout.status, rollout.status_reason, rollout.counts)
        assert rollout.counts.ended == rollout.counts.total
