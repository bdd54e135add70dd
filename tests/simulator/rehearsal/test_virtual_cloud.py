"""The virtual cloud skips idle time and misses nothing by that."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from functions.rollout_store.ports.rollout_ids import is_rollout_id, new_rollout_id
from functions.rollouts.model.block import BlockSummary
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Day, Strategy, Window
from functions.rollouts.rollout import window
from functions.use_cases.create import create
from simulator.rehearsal.virtual_cloud import (
    TICK,
    VirtualCloud,
    next_event_at,
    rollout_id_source,
)
from simulator.rehearsal.virtual_fleet import device_ids, virtual_fleet
from simulator.rehearsal.virtual_hub import VirtualHub
from tests.functions.builders import NOON, make_rollout, make_wave
from tests.simulator.rehearsal.builders import ManualClock, make_request

S1 = quotas(Tier.S1, 1)
# NOON is on a Monday.
SUNDAY_NIGHT = Window(
    start=time(3), end=time(3, 1), timezone="Europe/Berlin", days=frozenset({Day.SUN})
)

OPENING = datetime(2026, 11, 29, 2, tzinfo=UTC)


class CountingCloud(VirtualCloud):
    """Counts its ticks, and keeps the times at which `should_stop` was called."""

    def __init__(self, devices: int) -> None:
        clock = ManualClock()
        hub = VirtualHub(virtual_fleet(device_ids(devices), NOON), clock, S1)
        super().__init__(hub, clock, S1, seed=1)
        self.ticks = 0
        self.times: list[datetime] = []
        self._devices = devices

    def tick(self, interval: timedelta = TICK) -> None:
        self.ticks += 1
        super().tick(interval)

    def rehearse(self, **request: Any) -> Rollout:
        def record(_: Rollout) -> bool:
            self.times.append(self.clock.now)
            return False

        created = create(self.services, make_request(self._devices, **request), None)
        return self.run(created.rollout.id, record)


def starts(cloud: CountingCloud, rollout: Rollout) -> list[datetime]:
    updates = cloud.updates(rollout.id)
    return sorted(update.dispatched_at for update in updates if update.dispatched_at is not None)


def test_the_time_before_the_start_is_skipped_and_the_start_is_not_missed() -> None:
    cloud, begins = CountingCloud(10), NOON + timedelta(days=5, seconds=5)

    rollout = cloud.rehearse(start_at=begins)

    assert rollout.counts.completed == 10
    assert begins <= starts(cloud, rollout)[0] <= begins + 2 * TICK
    assert cloud.ticks < 60


def test_the_time_while_a_window_is_closed_is_skipped_and_no_opening_is_missed() -> None:
    cloud = CountingCloud(1500)

    rollout = cloud.rehearse(strategy=Strategy(window=SUNDAY_NIGHT))

    times = starts(cloud, rollout)
    assert len(times) == 1500
    assert all(window.is_open(SUNDAY_NIGHT, at) for at in times)
    # S1 starts about a thousand devices in a minute; the rest start a week later.
    assert {at.date() for at in times} == {OPENING.date(), (OPENING + timedelta(days=7)).date()}
    assert times[0] <= OPENING + TICK
    assert cloud.ticks < 200


def test_both_ends_of_skipped_time_are_recorded() -> None:
    cloud, begins = CountingCloud(10), NOON + timedelta(days=5)

    cloud.rehearse(start_at=begins)

    assert cloud.times[:3] == [NOON + TICK, begins, begins + TICK]


@pytest.mark.parametrize(
    ("state", "wakes_at"),
    [
        ({"ready": {0: 1}}, OPENING),
        ({"repeats": {0: 1}}, OPENING),
        # Nothing can start: the opening does not matter, the due observation does.
        ({}, OPENING + TICK),
    ],
    ids=["ready", "to be repeated", "nothing to start"],
)
def test_a_closed_window_delays_only_devices_that_can_start(
    state: dict[str, Any], wakes_at: datetime
) -> None:
    rollout = make_rollout(
        make_wave(2, leased=2),
        strategy=Strategy(window=SUNDAY_NIGHT),
        block_summaries=(BlockSummary(OPENING + TICK, 0),),
        **state,
    )

    assert next_event_at(rollout, NOON) == wakes_at
    assert next_event_at(rollout, OPENING) == (None if state else OPENING + TICK)


def test_rollout_ids_have_the_form_of_the_service_and_are_equal_for_equal_seeds() -> None:
    new_id = rollout_id_source(7)
    first, second = new_id(NOON), new_id(NOON + TICK)

    assert is_rollout_id(first)
    assert second < first
    assert first.split("-")[0] == new_rollout_id(NOON).split("-")[0]
    assert first == rollout_id_source(7)(NOON) != rollout_id_source(8)(NOON)
