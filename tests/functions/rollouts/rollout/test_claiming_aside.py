"""Which devices of a batch are set aside: frozen, in quarantine, superseded, busy or done."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import NO_DEVICES, DeviceSet
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.rollout import claiming
from functions.rollouts.rollout.claiming import ClaimResult
from tests.functions.builders import (
    at,
    make_moment,
    make_rollout,
    make_twin,
    make_update,
    make_wave,
    speaking_twin,
)
from tests.functions.rollouts.device.under_way import TUTORIAL_TWIN, make_accepted, make_in_doubt
from tests.functions.rollouts.rollout.stratified import (
    LARGE,
    SMALL,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

TWIN = make_twin()
QUARANTINE = {"thermostat-1": "it failed three times."}


def claim(
    update: DeviceUpdate,
    twin: DeviceTwin | None = TWIN,
    *,
    rollout: Rollout | None = None,
    seconds: float = 100,
    **values: Any,
) -> ClaimResult:
    """Claim a batch of this one device."""
    known: dict[str, Any] = {"twins": {update.device_id: twin} if twin else {}}
    known |= {"locked_by": {}, "superseded": {}, **values}
    return claiming.claim_batch(
        make_moment(seconds, rollout=rollout or make_rollout(make_wave(1))),
        Block(0, (update,)),
        DeviceSet.of([0]),
        **known,
    )


def only(found: ClaimResult) -> DeviceUpdate:
    (update,) = found.block.updates
    return update


# -- freezes and strata ----------------------------------------------------------------------


def make_frozen() -> Rollout:
    wave = make_stratified_wave(make_part(queued=1), make_part(queued=1))
    return freeze(make_stratified(wave), SMALL)


def test_a_device_of_a_frozen_stratum_neither_starts_nor_is_returned() -> None:
    rollout = make_frozen()
    small, large = make_update(stratum=SMALL), make_update(stratum=LARGE)
    found = claim(small, rollout=rollout)
    assert (only(found), found.updates, found.returned) == (small, {}, NO_DEVICES)
    assert only(claim(large, rollout=rollout)).state is DeviceState.DISPATCHING
    moment = make_moment(100, rollout=rollout)
    assert not claiming.may_start(moment, small)
    assert claiming.may_start(moment, large)


def test_a_device_that_matches_a_freeze_is_frozen_and_thawed_by_its_next_claim() -> None:
    waiting = make_update(waiting_from=timedelta(0))
    found = claim(waiting, frozen={"thermostat-1"})
    assert (list(found.frozen), found.updates, found.returned) == ([0], {}, NO_DEVICES)
    frozen = only(found)
    assert frozen.frozen_from == make_moment(100).startable
    assert not claim(waiting, frozen={"another"}).frozen
    again = claim(frozen, None, seconds=160)
    assert again.returned == DeviceSet.of([0])
    assert (only(again).frozen_from, only(again).waiting_from) == (None, timedelta(seconds=60))


# -- quarantine ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "is_skipped"),
    [
        ({}, True),
        ({"attempts_used": 1}, False),
        ({"named_by_retry": True}, False),
    ],
)
def test_a_device_in_quarantine_is_skipped_unless_it_has_begun_or_is_named(
    values: dict[str, Any], *, is_skipped: bool
) -> None:
    update = make_update(**values)
    assert claiming.can_skip_quarantined(update) is is_skipped
    found = claim(update, quarantined=QUARANTINE)
    assert list(found.quarantined) == (["thermostat-1"] if is_skipped else [])
    if is_skipped:
        assert only(found).skip_reason is SkipReason.QUARANTINED
        assert only(found).explanation == "Skipped: it failed three times."
    else:
        assert only(found).state is DeviceState.DISPATCHING


def test_a_device_under_way_is_not_skipped_for_its_quarantine() -> None:
    assert not claiming.can_skip_quarantined(make_update(state=DeviceState.DISPATCHING))
    found = claim(make_in_doubt(), quarantined=QUARANTINE)
    assert not found.quarantined
    assert list(found.updates) == [0]


# -- superseded ------------------------------------------------------------------------------

LATER = {"thermostat-1": "later"}


def test_a_superseded_device_is_skipped_also_if_its_twin_was_not_read() -> None:
    for twin in (TWIN, None):
        found = claim(make_update(), twin, superseded=LATER)
        assert (only(found).skip_reason, found.superseded) == (SkipReason.SUPERSEDED, LATER)


def test_a_superseded_device_whose_earlier_attempt_has_succeeded_is_not_skipped() -> None:
    waiting = make_in_doubt()
    done = speaking_twin("completed", 50)
    found = claim(waiting, done, superseded=LATER)
    assert (only(found).state, found.superseded) == (DeviceState.COMPLETED, {})
    begun = claim(waiting, speaking_twin("downloading", 50), superseded=LATER)
    assert (only(begun).state, begun.superseded) == (DeviceState.DOWNLOADING, {})


# -- what the twin tells ---------------------------------------------------------------------


def test_a_repeat_whose_device_has_begun_is_not_sent() -> None:
    found = claim(make_in_doubt(), speaking_twin("downloading", 50))
    assert (only(found).state, found.updates) == (DeviceState.DOWNLOADING, {})


def test_a_device_that_runs_the_version_is_skipped() -> None:
    found = claim(make_update(), make_twin(firmwareVersion=("2.4.0", -60)))
    assert (only(found).skip_reason, found.updates) == (SkipReason.ALREADY_RUNNING, {})


def test_a_device_that_cannot_refuse_a_second_update_waits_for_its_earlier_attempt() -> None:
    begun = make_accepted(TUTORIAL_TWIN)
    queued = begun._replace(state=DeviceState.QUEUED, attempt=2)
    found = claim(queued, TUTORIAL_TWIN)
    assert (only(found).state, found.updates) == (DeviceState.QUEUED, {})
    text = "starts once it reports an end, at 2026-11-24T12:00:00Z at the latest."
    assert (only(found).explanation or "").endswith(text)
    assert list(claim(queued, make_twin(firmwareStatus=("failed", 50))).updates) == [0]


def make_expired(**values: Any) -> Rollout:
    """Make a rollback of two versions, of which the rollout's own has expired."""
    uri = "https://packages.example/fw?se=2026-11-23T12:00:00Z&sig=b2xk"
    other = Firmware(version="2.3.0", package_uri="https://packages.example/fw-2.3.0.bin")
    return make_rollout(
        make_wave(2),
        firmware=Firmware(version="2.4.0", package_uri=uri),
        earlier_firmware=(other,),
        **values,
    )


@pytest.mark.parametrize(
    ("update", "state"),
    [
        (make_update(version="2.4.0"), DeviceState.FAILED),
        (make_update(version="2.3.0"), DeviceState.DISPATCHING),
        (make_in_doubt(), DeviceState.DISPATCHING),  # the device may have the package
    ],
)
def test_a_device_whose_package_has_expired_is_not_invoked(
    update: DeviceUpdate, state: DeviceState
) -> None:
    found = only(claim(update, rollout=make_expired()))
    assert found.state is state
    if state is DeviceState.FAILED:
        assert found.error is not None
        assert found.error.code == "rejected"
        assert found.error.message.startswith("Not invoked: its firmware is 2.4.0. The package URI")


def test_each_claim_takes_a_slot_and_a_repeat_takes_none() -> None:
    limited = make_rollout(make_wave(4), strategy=Strategy(max_in_flight=1))
    updates = [
        make_in_doubt()._replace(device_id="a"),
        make_update("b"),
        make_update("c"),
    ]
    twins: Mapping[str, DeviceTwin] = {
        item.device_id: replace(TWIN, device_id=item.device_id) for item in updates
    }
    found = claiming.claim_batch(
        make_moment(100, rollout=limited),
        Block(0, tuple(updates)),
        DeviceSet.of(range(3)),
        twins,
        {},
        superseded={},
    )
    assert (list(found.updates), found.returned) == ([0, 1], DeviceSet.of([2]))
    assert at(100) == only(claim(make_update())).dispatched_at
