"""Which devices may be leased again, and which wait for a freeze or a frozen stratum."""

from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import NO_DEVICES, DeviceSet
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import Baseline
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.dispatch import Dispatch, FreezeMatches, Lease
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import freeze_matches, freezing
from functions.rollouts.rollout.ready_devices import (
    leased_devices,
    mark_ready,
    pending_devices,
    return_devices,
    take_pending,
)
from tests.functions.builders import at, make_moment, make_rollout, make_update, make_wave
from tests.functions.rollouts.rollout.stratified import (
    SMALL,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)


def of(*indexes: int) -> DeviceSet:
    return DeviceSet.of(indexes)


def lease(block: int, *indexes: int) -> Lease:
    return Lease(number=block, block=block, devices=of(*indexes), until=at(90))


def matches(block: int, *indexes: int, **values: Any) -> FreezeMatches:
    known: dict[str, Any] = {"revision": 1, "until": at(300)}
    return FreezeMatches(block=block, devices=of(*indexes), **(known | values))


FULL = Dispatch(
    ready={0: of(0, 5), 1: of(0)},
    repeats={0: of(1), 1: of(1)},
    frozen={0: of(2)},
    leases=(lease(0, 3, 6), lease(1, 3)),
    freeze_matches=(matches(0, 4), matches(1, 4)),
)


# -- taking and returning --------------------------------------------------------------------


def test_ready_repeated_leased_and_matching_devices_of_a_block_are_pending() -> None:
    rollout = make_rollout(make_wave(200), dispatch=FULL)
    assert pending_devices(rollout, 0) == of(0, 1, 3, 4, 5, 6)
    assert pending_devices(rollout, 1) == of(0, 1, 3, 4)
    assert pending_devices(rollout, 2) == NO_DEVICES


def test_devices_are_taken_from_wherever_they_wait_in_their_block() -> None:
    rollout = make_rollout(make_wave(200), dispatch=FULL)
    found, taken = take_pending(rollout, 0, of(0, 1, 2, 3, 4, 9))
    assert taken == of(0, 1, 3, 4)
    assert found.dispatch == replace(
        FULL,
        ready={0: of(5), 1: of(0)},
        repeats={1: of(1)},
        leases=(lease(0, 6), lease(1, 3)),
        freeze_matches=(matches(0), matches(1, 4)),
    )


def test_devices_that_did_not_start_are_added_to_those_of_their_block() -> None:
    rollout = make_rollout(make_wave(200), dispatch=FULL)
    ready = return_devices(rollout, 0, of(8))
    assert ready.dispatch == replace(FULL, ready={0: of(0, 5, 8), 1: of(0)})
    repeats = return_devices(rollout, 2, of(8), repeat=True)
    assert repeats.dispatch == replace(FULL, repeats={**FULL.repeats, 2: of(8)})
    assert return_devices(rollout, 0, NO_DEVICES) is rollout


def test_devices_up_to_the_last_leased_one_of_each_wave_were_leased() -> None:
    rollout = make_rollout(make_wave(3, name="canary", leased=2), make_wave(197, leased=99))
    assert leased_devices(rollout, 0) == of(0, 1) | DeviceSet.between(3, 100)
    assert leased_devices(rollout, 1) == of(0, 1)


# -- marking ---------------------------------------------------------------------------------


def mark(rollout: Rollout, *updates: DeviceUpdate) -> Dispatch:
    return mark_ready(make_moment(60, rollout=rollout), rollout, Block(0, updates)).dispatch


IN_DOUBT = make_update(
    state=DeviceState.DISPATCHING, in_doubt=True, baseline=Baseline(recognises_repeats=True)
)


def test_a_device_without_a_reason_to_wait_is_ready_and_one_in_doubt_is_repeated() -> None:
    waiting = make_update(not_before=at(300))
    accepted = make_update(state=DeviceState.ACCEPTED)
    rollout = make_rollout(make_wave(5, leased=4))
    found = mark(rollout, make_update(), IN_DOUBT, waiting, accepted, make_update())
    assert found == Dispatch(ready={0: of(0)}, repeats={0: of(1)})


@pytest.mark.parametrize(
    "dispatch",
    [
        Dispatch(leases=(lease(0, 0),)),
        Dispatch(frozen={0: of(0)}),
        Dispatch(freeze_matches=(matches(0, 0),)),
    ],
)
def test_a_device_that_waits_already_is_not_marked_again(dispatch: Dispatch) -> None:
    rollout = make_rollout(make_wave(5, leased=4), dispatch=dispatch)
    assert mark(rollout, make_update()) is dispatch
    both = mark(rollout, make_update(), make_update())
    assert both.ready == {0: of(1)}


def test_devices_of_frozen_strata_wait_for_them_and_others_are_ready() -> None:
    wave = make_stratified_wave(make_part(queued=2), make_part(queued=3), leased=5)
    rollout = freeze(make_stratified(wave), SMALL)
    large, small = make_update(stratum=0), make_update(stratum=1)
    later = small._replace(not_before=at(300))
    found = mark(
        rollout, large, small, IN_DOUBT._replace(stratum=0), IN_DOUBT._replace(stratum=1), later
    )
    assert (found.ready, found.repeats) == ({0: of(0)}, {0: of(2)})
    assert found.frozen == {0: of(1, 3)}


# -- matches of a freeze ---------------------------------------------------------------------

CONDITION = Freeze(revision=3, reason="x", by="ada", since=at(0), condition="tags.a = 1")


def test_devices_that_match_a_freeze_are_checked_again_after_five_minutes() -> None:
    known = matches(1, 9)
    rollout = make_rollout(make_wave(5), freeze=CONDITION, freeze_matches=(known,))
    block = Block(0, (make_update(), make_update(), IN_DOUBT))
    found = freeze_matches.record_matches(rollout, block, of(0, 2), at(60)).dispatch
    until = at(60) + freezing.CHECK_INTERVAL
    assert found.freeze_matches == (
        known,
        matches(0, 0, revision=3, until=until),
        matches(0, 2, revision=3, until=until, repeat=True),
    )
    one = freeze_matches.record_matches(rollout, block, of(1), at(60)).dispatch
    assert len(one.freeze_matches) == 2
    unknown = replace(rollout, freeze=None)
    assert freeze_matches.record_matches(unknown, block, of(0), at(60)) is unknown


@pytest.mark.parametrize(
    ("freeze", "is_kept"),
    [
        (CONDITION, True),
        (replace(CONDITION, revision=4), False),
        (replace(CONDITION, condition=None), False),
        (replace(CONDITION, ended_at=at(30)), False),
        (replace(CONDITION, until=at(60)), False),
        (replace(CONDITION, until=at(61)), True),
        (None, False),
    ],
)
def test_devices_are_ready_again_once_their_freeze_is_over_or_another_one(
    freeze: Freeze | None, *, is_kept: bool
) -> None:
    kept = (matches(0, 1, revision=3), matches(0, 2, revision=3, repeat=True))
    rollout = make_rollout(make_wave(5), freeze=freeze, freeze_matches=kept)
    found = freeze_matches.return_thawed(rollout, at(60)).dispatch
    if is_kept:
        assert found == rollout.dispatch
    else:
        assert found == Dispatch(ready={0: of(1)}, repeats={0: of(2)})


def test_one_batch_at_a_time_is_checked_again_once_it_is_time() -> None:
    oldest, other = matches(0, 1, until=at(60)), matches(0, 2, until=at(60), repeat=True)
    rollout = make_rollout(make_wave(5), freeze_matches=(oldest, other))
    assert freeze_matches.recheck_oldest(rollout, at(59)) is rollout
    found = freeze_matches.recheck_oldest(rollout, at(60))
    assert found.dispatch == Dispatch(ready={0: of(1)}, freeze_matches=(other,))
    last = freeze_matches.recheck_oldest(found, at(60))
    assert last.dispatch == Dispatch(ready={0: of(1)}, repeats={0: of(2)})
    assert freeze_matches.recheck_oldest(last, at(60)) is last
