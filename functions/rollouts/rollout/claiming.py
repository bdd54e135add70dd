"""Claim the devices of a batch that may start now, in order."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from functions.rollouts.device import (
    earlier_attempts,
    following,
    invoking,
    leaving,
    moves,
    readiness,
    versions,
)
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import NO_DEVICES, DeviceSet
from functions.rollouts.model.device_state import DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.rollout import expiry, freezing, superseding
from functions.rollouts.rollout.frozen import find_freeze
from functions.rollouts.rollout.permission import free_slots, obstacle, obstacle_except_limit


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The result of claiming a batch."""

    block: Block  # with the claims
    updates: Mapping[int, DeviceUpdate]  # the claimed updates, by index inside the block
    returned: DeviceSet  # devices that could not start now
    superseded: Mapping[str, str]  # the later rollout of each device skipped for it, by device id
    frozen: DeviceSet = NO_DEVICES  # devices that match the condition of a freeze
    quarantined: Sequence[str] = ()  # ids of the devices that were skipped for their quarantine


def claim_batch(
    moment: Moment,
    block: Block,
    devices: DeviceSet,
    twins: Mapping[str, DeviceTwin | None],
    locked_by: Mapping[str, str],
    *,
    superseded: Mapping[str, str],
    frozen: Collection[str] = (),
    quarantined: Mapping[str, str] | None = None,
) -> ClaimResult:
    """Claim each device that may start now, and skip those that already run their firmware.

    `twins` has None for a device that the hub does not know, and lacks those that were not read.
    `locked_by` names, for a device that must not be updated or skipped now, the rollout that keeps
    it. `superseded` names the later rollout of devices that have one; they are skipped.
    `frozen` are the ids of the devices that match the condition of a freeze. `quarantined` says why
    devices are in quarantine; they are skipped if they have not begun.
    """
    claims = _Claims(moment, twins, locked_by, superseded, frozen, quarantined=quarantined or {})
    updates = list(block.updates)
    for index in devices:
        updates[index] = claims.take(index, updates[index])
    return ClaimResult(
        Block(block.number, tuple(updates)),
        claims.claimed,
        DeviceSet.of(claims.returned),
        claims.skipped,
        DeviceSet.of(claims.frozen),
        claims.left_out,
    )


def may_start(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether the device could be claimed, as far as is known without its twin."""
    if find_freeze(moment.rollout, update.stratum) is not None:
        return False
    find = obstacle_except_limit if update.in_doubt else obstacle  # a repeat is in flight already
    return (
        readiness.may_send(moment, update) and find(moment.rollout, update.wave, moment.now) is None
    )


def can_skip_quarantined(update: DeviceUpdate) -> bool:
    """Return whether a quarantine leaves the device out: not begun, and named by no retry."""
    is_new = update.state is DeviceState.QUEUED and not update.attempts_used
    return is_new and not update.named_by_retry


class _Claims:
    """The claims of one batch's devices, one after the other."""

    def __init__(
        self,
        moment: Moment,
        twins: Mapping[str, DeviceTwin | None],
        locked_by: Mapping[str, str],
        superseded: Mapping[str, str],
        frozen_ids: Collection[str],
        *,
        quarantined: Mapping[str, str],
    ) -> None:
        self.claimed: dict[int, DeviceUpdate] = {}
        self.frozen: list[int] = []
        self.returned: list[int] = []
        self.skipped: dict[str, str] = {}  # the later rollout, by device id
        self._moment = moment
        self._twins = twins
        self._locked_by = locked_by
        self._superseded = superseded
        self._frozen_ids = frozen_ids
        self._quarantined = quarantined
        self.left_out: list[str] = []
        self._free = free_slots(moment.rollout)
        self._closed = {
            number: obstacle_except_limit(moment.rollout, number, moment.now)
            for number in range(len(moment.rollout.waves))
        }

    def take(self, index: int, update: DeviceUpdate) -> DeviceUpdate:
        """Claim the update if its device may start. Return what the update is then."""
        moment = self._moment
        if not readiness.may_send(moment, update):
            return update
        aside = self._set_aside(index, update)
        if aside is not None:
            return aside
        update = freezing.thaw_update(moment, update)
        if update.device_id not in self._twins or not self._has_slot(update):
            self.returned.append(index)
            return update
        twin = self._twins[update.device_id]
        observed = following.observe(moment, update, twin) if twin else update
        observed = leaving.leave_if_gone(moment, observed, twin)
        has_moved = observed.attempt != update.attempt or not readiness.may_send(moment, observed)
        if twin is None or has_moved:
            return observed
        return self._claim(index, observed, twin)

    def _set_aside(self, index: int, update: DeviceUpdate) -> DeviceUpdate | None:
        """Return the update of a device that must not start here or now; None if it may."""
        if update.device_id in self._superseded:
            return self._skip_superseded(update)
        if can_skip_quarantined(update) and update.device_id in self._quarantined:
            self.left_out.append(update.device_id)
            message = f"Skipped: {self._quarantined[update.device_id]}"
            return moves.skip(self._moment, update, SkipReason.QUARANTINED, message)
        if find_freeze(self._moment.rollout, update.stratum) is not None:
            return update  # it is not ready again before its stratum is resumed
        if update.device_id in self._frozen_ids:
            self.frozen.append(index)
            return freezing.freeze_update(self._moment, update)
        return None

    def _claim(self, index: int, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
        """Claim an update that may be sent, unless its device is busy or needs no update."""
        moment = self._moment
        firmware = moment.rollout.firmware_for(update)
        expired = expiry.firmware_reason(moment.rollout, firmware, moment.now)
        if expired is not None and not update.in_doubt:
            # Of a rollback's other package; if no package is valid, the rollout pauses.
            message = f"Not invoked: its firmware is {firmware.version}. {expired.message}"
            return moves.fail(moment, update, ErrorCode.REJECTED, message)
        why = self._why_busy(update, twin)
        if why is not None:
            return invoking.wait_for_turn(moment, update, why)
        skipped = versions.skip_if_running(moment, update, twin)
        if skipped is not None:
            return skipped
        if self._free is not None and not update.in_doubt:
            self._free -= 1
        self.claimed[index] = invoking.claim(moment, update, twin)
        return self.claimed[index]

    def _why_busy(self, update: DeviceUpdate, twin: DeviceTwin) -> str | None:
        """Return why a device that cannot refuse a second update must wait; None if it need not."""
        other = self._locked_by.get(update.device_id)
        if other is not None:
            return f"The device is busy with rollout {other}."
        until = earlier_attempts.busy_until(update, twin, self._moment.now)
        if until is None:
            return None
        return (
            "An earlier attempt may still be at work, and the device cannot refuse a second one. It"
            f" starts once it reports an end, at {texts.utc_time(until)} at the latest."
        )

    def _skip_superseded(self, update: DeviceUpdate) -> DeviceUpdate:
        """Skip the update, unless an earlier attempt has succeeded after all."""
        twin = self._twins.get(update.device_id)
        observed = following.observe(self._moment, update, twin) if twin else update
        if observed.state.ended or not readiness.may_send(self._moment, observed):
            return observed
        later_id = self._superseded[update.device_id]
        self.skipped[update.device_id] = later_id
        return superseding.skip(self._moment, observed, later_id)

    def _has_slot(self, update: DeviceUpdate) -> bool:
        if self._closed[update.wave] is not None:
            return False
        return self._free is None or self._free > 0 or update.in_doubt
