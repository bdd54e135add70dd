"""Which devices of a batch are claimed; the others are returned or wait."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.wave import Counts
from functions.rollouts.rollout import claiming
from functions.rollouts.rollout.claiming import ClaimResult
from tests.functions.builders import (
    at,
    make_moment,
    make_rollout,
    make_twin,
    make_update,
    make_wave,
)
from tests.functions.rollouts.device.under_way import make_in_doubt

RUNNING = make_rollout(make_wave(4))
FOUR = [make_update(name) for name in "abcd"]
TWINS = {name: make_twin(device_id=name) for name in "abcd"}


def claim(
    devices: Iterable[int],
    rollout: Rollout = RUNNING,
    updates: list[DeviceUpdate] = FOUR,
    twins: Mapping[str, DeviceTwin | None] = TWINS,
    locked_by: Mapping[str, str] | None = None,
    *,
    superseded: Mapping[str, str] | None = None,
) -> ClaimResult:
    moment = make_moment(1, rollout=rollout)
    return claiming.claim_batch(
        moment,
        Block(0, tuple(updates)),
        DeviceSet.of(devices),
        twins,
        locked_by or {},
        superseded=superseded or {},
    )


def make_limited(at_most: int, updating: int) -> Rollout:
    wave = make_wave(4, counts=Counts(queued=4 - updating, updating=updating))
    return make_rollout(wave, strategy=Strategy(max_in_flight=at_most))


def list_states(found: ClaimResult) -> list[str]:
    return [update.state.value for update in found.block.updates]


def test_only_the_devices_of_the_batch_are_claimed() -> None:
    found = claim([1, 3])
    assert list_states(found) == ["queued", "dispatching", "queued", "dispatching"]
    assert list(found.updates) == [1, 3]
    assert found.updates[3] is found.block.updates[3]
    assert not found.returned


def test_devices_over_the_limit_or_without_a_twin_are_returned() -> None:
    found = claim([0, 1, 2, 3], make_limited(3, 1))
    assert (list(found.updates), found.returned) == ([0, 1], DeviceSet.of([2, 3]))
    found = claim([0, 1, 2, 3], twins={"c": TWINS["c"]})
    assert (list(found.updates), found.returned) == ([2], DeviceSet.of([0, 1, 3]))


def test_a_repeated_attempt_already_counts_for_the_limit() -> None:
    again = make_in_doubt()._replace(device_id="a")
    found = claim([0, 1], make_limited(1, 1), [again, *FOUR[1:]])
    assert (list(found.updates), found.returned) == ([0], DeviceSet.of([1]))


def test_a_paused_rollout_claims_no_device() -> None:
    found = claim([0, 1, 2, 3], make_rollout(make_wave(4), status=RolloutStatus.PAUSED))
    assert (found.updates, found.returned) == ({}, DeviceSet.of([0, 1, 2, 3]))
    assert found.block.updates == tuple(FOUR)


def test_a_device_locked_by_another_rollout_waits() -> None:
    found = claim([0, 1, 2, 3], locked_by={"b": "the-other"})
    waiting = found.block.updates[1]
    assert (waiting.state, waiting.delays) == (DeviceState.QUEUED, 1)
    assert waiting.explanation == "The device is busy with rollout the-other."
    assert (list(found.updates), list(found.returned)) == ([0, 2, 3], [])


def test_a_device_that_the_hub_does_not_know_is_not_claimed() -> None:
    found = claim([0], twins={"a": None})
    assert (found.updates, list(found.returned)) == ({}, [])
    assert found.block.updates[0].missing_since == at(1)
    assert found.block.updates[0].not_before == at(6)


def test_a_disabled_device_is_skipped_instead_of_claimed() -> None:
    disabled = replace(TWINS["a"], enabled=False)
    found = claim([0, 1], twins={**TWINS, "a": disabled})
    assert list(found.updates) == [1]
    assert found.block.updates[0].skip_reason is SkipReason.DEVICE_DISABLED


def test_only_a_device_that_may_start_needs_its_twin() -> None:
    full = make_moment(1, rollout=make_limited(1, 1))
    assert not claiming.may_start(full, FOUR[0])
    assert claiming.may_start(full, make_in_doubt())
    assert not claiming.may_start(full, make_update(state=DeviceState.COMPLETED))
    assert claiming.may_start(make_moment(1, rollout=RUNNING), FOUR[0])
