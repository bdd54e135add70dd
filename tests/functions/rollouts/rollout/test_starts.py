"""Devices are leased in start order, within all limits, and never twice at once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.dispatch import Lease
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.wave import Counts, WaveStatus
from functions.rollouts.rollout import ready_devices, starts
from tests.functions.builders import NOON, at, make_rollout, make_wave

LEASE = starts.LEASE_DURATION.total_seconds()


def list_positions(*items: Lease) -> list[int]:
    """Return the positions of the leased devices in the start order."""
    return [item.block * BLOCK_SIZE + index for item in items for index in item.devices]


def make_queued(devices: int, **values: Any) -> Rollout:
    return make_rollout(make_wave(devices), **values)


def test_devices_are_leased_in_start_order_up_to_the_budget() -> None:
    rollout, first = starts.lease_batches(make_queued(250), NOON, 120)
    assert list_positions(*first) == list(range(120))
    rollout, second = starts.lease_batches(rollout, NOON, 200)
    assert list_positions(*second) == list(range(120, 250))
    assert starts.lease_batches(rollout, NOON, 200)[1] == ()


def test_a_batch_lies_within_one_block() -> None:
    _, made = starts.lease_batches(make_queued(250), NOON, 250)
    assert [len(item.devices) for item in made] == [100, 100, 50]
    assert [item.block for item in made] == [0, 1, 2]


def test_without_budget_nothing_is_leased() -> None:
    for budget in (0, -3):
        assert starts.lease_batches(make_queued(5), NOON, budget)[1] == ()


def test_a_batch_that_must_be_whole_waits_for_enough_budget() -> None:
    rollout, made = starts.lease_batches(make_queued(250), NOON, 199, whole=True)
    assert list_positions(*made) == list(range(100))
    _, made = starts.lease_batches(rollout, NOON, 150, whole=True)
    assert list_positions(*made) == list(range(100, 250))


def test_max_in_flight_limits_even_a_batch_that_must_be_whole() -> None:
    rollout = make_queued(250, strategy=Strategy(max_in_flight=30))
    _, made = starts.lease_batches(rollout, NOON, 200, whole=True)
    assert list_positions(*made) == list(range(30))


def test_returned_devices_are_leased_before_new_ones() -> None:
    rollout = ready_devices.return_devices(make_queued(250), 0, DeviceSet.of([1, 3]))
    rollout = replace(rollout, waves=(replace(rollout.waves[0], leased=10),))
    _, made = starts.lease_batches(rollout, NOON, 4)
    assert list_positions(*made) == [1, 3, 10, 11]


def test_devices_to_repeat_are_pending_in_their_block_only() -> None:
    rollout = ready_devices.return_devices(make_queued(250), 1, DeviceSet.of([3]), repeat=True)
    rollout = ready_devices.return_devices(rollout, 1, DeviceSet.of([5]))
    assert ready_devices.pending_devices(rollout, 1) == DeviceSet.of([3, 5])
    assert ready_devices.pending_devices(rollout, 0) == DeviceSet.of([])
    assert ready_devices.leased_devices(rollout, 0) == DeviceSet.of([])


def test_leased_devices_count_for_max_in_flight() -> None:
    rollout = make_queued(10, strategy=Strategy(max_in_flight=3))
    rollout, first = starts.lease_batches(rollout, NOON, 2)
    rollout, second = starts.lease_batches(rollout, NOON, 5)
    assert (list_positions(*first), list_positions(*second)) == ([0, 1], [2])
    assert starts.lease_batches(rollout, NOON, 5)[1] == ()


def test_a_paused_rollout_leases_nothing() -> None:
    paused = make_queued(10, status=RolloutStatus.PAUSED)
    assert starts.lease_batches(paused, NOON, 5) == (paused, ())


def test_only_open_waves_with_devices_left_are_leased() -> None:
    rollout = make_rollout(
        make_wave(2, name="one", leased=2),
        make_wave(2, name="two"),
        make_wave(2, name="three", status=WaveStatus.PENDING),
    )
    _, made = starts.lease_batches(rollout, NOON, 10)
    assert list_positions(*made) == [2, 3]


def test_a_wave_leases_only_its_own_devices_of_a_shared_block() -> None:
    rollout = make_rollout(
        make_wave(3, name="one", leased=3, status=WaveStatus.FAILED),
        make_wave(3, name="two", leased=3),
    )
    rollout = ready_devices.return_devices(rollout, 0, DeviceSet.of([0, 1, 2, 3, 4, 5]))
    rollout, made = starts.lease_batches(rollout, NOON, 10)
    assert list_positions(*made) == [3, 4, 5]
    assert rollout.dispatch.ready == {0: DeviceSet.of([0, 1, 2])}


# -- the end of a lease ----------------------------------------------------------------------


def test_a_lease_is_taken_once() -> None:
    rollout, (item,) = starts.lease_batches(make_queued(3), NOON, 3)
    rollout, found = starts.take_lease(rollout, item.number)
    assert found == item
    assert starts.take_lease(rollout, item.number) == (rollout, None)


def test_the_devices_of_an_expired_lease_are_leased_again_with_a_new_number() -> None:
    rollout, (item,) = starts.lease_batches(make_queued(3), NOON, 3)
    assert starts.lease_batches(rollout, at(LEASE - 0.001), 3)[1] == ()
    rollout, (again,) = starts.lease_batches(rollout, at(LEASE), 3)
    assert list_positions(again) == [0, 1, 2]
    assert starts.take_lease(rollout, item.number)[1] is None
    assert starts.take_lease(rollout, again.number)[1] == again


def test_an_expired_lease_is_returned_even_when_no_device_may_start() -> None:
    rollout, _ = starts.lease_batches(make_queued(3), NOON, 3)
    paused = replace(rollout, status=RolloutStatus.PAUSED)
    paused, made = starts.lease_batches(paused, at(LEASE), 0)
    assert (made, paused.dispatch.leases, paused.dispatch.ready) == (
        (),
        (),
        {0: DeviceSet.of([0, 1, 2])},
    )


def test_returned_devices_are_pending_and_no_longer_leased() -> None:
    rollout, _ = starts.lease_batches(make_queued(10), NOON, 2)
    rollout = ready_devices.return_devices(rollout, 0, DeviceSet.of([2]))
    assert ready_devices.pending_devices(rollout, 0) == DeviceSet.of([0, 1, 2])
    assert ready_devices.leased_devices(rollout, 0) == DeviceSet.of([0, 1])
    assert not ready_devices.pending_devices(rollout, 1)


def test_the_leased_devices_of_a_block_are_those_of_all_its_waves() -> None:
    rollout = make_rollout(
        make_wave(3, name="one", leased=3), make_wave(200, name="two", leased=99)
    )
    assert ready_devices.leased_devices(rollout, 0) == DeviceSet.between(0, 100)
    assert ready_devices.leased_devices(rollout, 1) == DeviceSet.of([0, 1])


# -- always ----------------------------------------------------------------------------------


@st.composite
def rollouts(draw: st.DrawFn) -> Rollout:
    sizes = draw(st.lists(st.integers(1, 230), min_size=1, max_size=4))
    limit = draw(st.none() | st.integers(1, 150))
    waves = [make_wave(size, name=f"w{number}") for number, size in enumerate(sizes)]
    return make_rollout(*waves, strategy=Strategy(max_in_flight=limit))


class Fleet:
    """Devices that are leased, start and finish."""

    def __init__(self, rollout: Rollout) -> None:
        self.rollout = rollout
        self.updating: set[int] = set()
        self.order: list[int] = []

    def tick(self, seconds: float, budget: int, *, whole: bool) -> tuple[Lease, ...]:
        self.rollout, made = starts.lease_batches(self.rollout, at(seconds), budget, whole=whole)
        assert len(list_positions(*made)) <= max(0, budget)
        pending = list_positions(*self.rollout.dispatch.leases)
        assert len(pending) == len(set(pending))
        assert not self.updating & set(pending)
        limit = self.rollout.strategy.max_in_flight
        assert limit is None or len(pending) + len(self.updating) <= limit
        return made

    def claim(self, item: Lease, *, starts_all: bool) -> None:
        self.rollout, found = starts.take_lease(self.rollout, item.number)
        if found is None:
            return
        taken = list_positions(found)
        began = taken if starts_all else taken[::2]
        left = DeviceSet.of(index % BLOCK_SIZE for index in set(taken) - set(began))
        self.rollout = ready_devices.return_devices(self.rollout, found.block, left)
        self.updating |= set(began)
        self.order += began
        self._count()

    def finish(self, number: int) -> None:
        self.updating -= set(sorted(self.updating)[:number])
        self._count()

    def _count(self) -> None:
        waves = list(self.rollout.waves)
        updating = Counts(updating=len(self.updating), queued=self.rollout.total)
        waves[0] = replace(waves[0], counts=updating)
        rest = [replace(wave, counts=Counts()) for wave in waves[1:]]
        self.rollout = replace(self.rollout, waves=(waves[0], *rest))


steps = st.lists(
    st.tuples(
        st.floats(0, 40),  # seconds since the last tick
        st.integers(0, 260),  # budget
        st.booleans(),  # whole batches wanted
        st.sampled_from(["all", "half", "lost"]),  # what happens to the batches
        st.integers(0, 100),  # devices that finish
    ),
    max_size=12,
)


@given(rollouts(), steps)
def test_no_limit_is_exceeded_and_no_device_is_leased_twice_at_once(
    rollout: Rollout, drawn: list[tuple[float, int, bool, str, int]]
) -> None:
    fleet, seconds = Fleet(rollout), 0.0
    for pause, budget, whole, fate, finished in drawn:
        seconds += pause
        for item in fleet.tick(seconds, budget, whole=whole):
            if fate != "lost":
                fleet.claim(item, starts_all=fate == "all")
        fleet.finish(finished)


@given(rollouts(), steps)
def test_every_device_starts_exactly_once(
    rollout: Rollout, drawn: list[tuple[float, int, bool, str, int]]
) -> None:
    fleet, seconds = Fleet(rollout), 0.0
    patience = [(LEASE, 260, False, "all", 260)] * (rollout.total + 2)
    for pause, budget, whole, fate, finished in [*drawn, *patience]:
        seconds += pause
        for item in fleet.tick(seconds, budget, whole=whole):
            if fate != "lost":
                fleet.claim(item, starts_all=fate == "all")
        fleet.finish(finished)
        if len(fleet.order) == rollout.total:
            break
    assert sorted(fleet.order) == list(range(rollout.total))


@given(rollouts(), st.lists(st.integers(0, 260), max_size=12), st.booleans())
def test_devices_start_in_order_if_no_lease_expires(
    rollout: Rollout, budgets: list[int], whole: bool
) -> None:
    fleet = Fleet(rollout)
    for number, budget in enumerate(budgets):
        for item in fleet.tick(number, budget, whole=whole):
            fleet.claim(item, starts_all=True)
        fleet.finish(rollout.total)
    if whole:  # a smaller batch of a later wave may fit where a larger one did not
        by_wave = [
            [p for p in fleet.order if w.first <= p < w.first + w.size] for w in rollout.waves
        ]
        assert all(part == sorted(part) for part in by_wave)
    else:
        assert fleet.order == list(range(len(fleet.order)))


@given(rollouts(), st.integers(1, 400))
def test_a_batch_is_at_most_one_block_and_expires_after_the_lease_duration(
    rollout: Rollout, budget: int
) -> None:
    _, made = starts.lease_batches(rollout, NOON, budget)
    for item in made:
        assert 0 < len(item.devices) <= starts.MAX_BATCH
        assert item.until == NOON + timedelta(seconds=LEASE)
    assert len({item.number for item in made}) == len(made)


def test_an_extended_lease_expires_later_and_the_others_do_not() -> None:
    rollout, made = starts.lease_batches(make_queued(250), NOON, 250)
    extended = starts.extend_lease(rollout, made[1].number, at(500))
    assert [item.until for item in extended.dispatch.leases] == [at(60), at(500), at(60)]
    assert starts.extend_lease(rollout, 99, at(500)) == rollout
