"""Which devices of a hand-out are claimed, and what becomes of the others."""

from collections.abc import Iterable, Mapping

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.wave import Counts
from functions.rollouts.rollout import claiming
from functions.rollouts.rollout.claiming import ClaimResult
from tests.functions.builders import make_moment, make_rollout, make_twin, make_update, make_wave
from tests.functions.rollouts.device.under_way import doubtful

RUNNING = make_rollout(make_wave(4))
FOUR = [make_update(name) for name in "abcd"]
TWINS = {name: make_twin(device_id=name) for name in "abcd"}


def claimed(
    devices: Iterable[int],
    rollout: Rollout = RUNNING,
    updates: list[DeviceUpdate] = FOUR,
    twins: Mapping[str, DeviceTwin | None] = TWINS,
    locked_by: Mapping[str, str] | None = None,
) -> ClaimResult:
    moment = make_moment(1, rollout=rollout)
    return claiming.claim_batch(
        moment, Block(0, tuple(updates)), DeviceSet.of(devices), twins, locked_by or {}
    )


def limited(at_most: int, updating: int) -> Rollout:
    wave = make_wave(4, counts=Counts(queued=4 - updating, updating=updating))
    return make_rollout(wave, strategy=Strategy(max_in_flight=at_most))


def states(found: ClaimResult) -> list[str]:
    return [update.state.value for update in found.block.updates]


def test_the_devices_of_a_hand_out_are_claimed_and_no_others() -> None:
    found = claimed([1, 3])
    assert states(found) == ["queued", "dispatching", "queued", "dispatching"]
    assert list(found.updates) == [1, 3]
    assert found.updates[3] is found.block.updates[3]
    assert not found.returned


def test_what_has_no_place_or_was_not_read_goes_back_in_order() -> None:
    found = claimed([0, 1, 2, 3], limited(3, 1))
    assert (list(found.updates), found.returned) == ([0, 1], DeviceSet.of([2, 3]))
    found = claimed([0, 1, 2, 3], twins={"c": TWINS["c"]})
    assert (list(found.updates), found.returned) == ([2], DeviceSet.of([0, 1, 3]))


def test_a_repeat_holds_its_place_already() -> None:
    again = doubtful()._replace(device_id="a")
    found = claimed([0, 1], limited(1, 1), [again, *FOUR[1:]])
    assert (list(found.updates), found.returned) == ([0], DeviceSet.of([1]))


def test_a_rollout_that_was_paused_meanwhile_claims_nobody() -> None:
    found = claimed([0, 1, 2, 3], make_rollout(make_wave(4), status=RolloutStatus.PAUSED))
    assert (found.updates, found.returned) == ({}, DeviceSet.of([0, 1, 2, 3]))
    assert found.block.updates == tuple(FOUR)


def test_a_device_that_another_rollout_holds_waits_for_its_turn() -> None:
    found = claimed([0, 1, 2, 3], locked_by={"b": "the-other"})
    waiting = found.block.updates[1]
    assert (waiting.state, waiting.delays) == (DeviceState.QUEUED, 1)
    assert waiting.explanation == "The device is busy with rollout the-other."
    assert (list(found.updates), list(found.returned)) == ([0, 2, 3], [])


def test_a_device_that_the_hub_does_not_know_is_asked_for_the_hub_to_refuse_it() -> None:
    found = claimed([0], twins={"a": None})
    assert found.updates[0].previous_version is None


def test_a_device_whose_twin_is_not_worth_a_look_could_not_be_claimed() -> None:
    full = make_moment(1, rollout=limited(1, 1))
    assert not claiming.may_start(full, FOUR[0])
    assert claiming.may_start(full, doubtful())
    assert not claiming.may_start(full, make_update(state=DeviceState.COMPLETED))
    assert claiming.may_start(make_moment(1, rollout=RUNNING), FOUR[0])
