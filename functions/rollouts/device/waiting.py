"""Wait for a queued device that was found offline, until it may be invoked again.

Whether the hub shows it connected is a hint. Waiting ends only after a call that did not reach the
device (`moves.give_up_if_due`), so no device fails as unreachable without a call.
"""

from functions.rollouts.device import attention, cancelling, fair_time, invoking, moves
from functions.rollouts.device.deadlines import deadline, has_come
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.strategy import OfflinePolicy


def decide(moment: Moment, update: DeviceUpdate, connected: bool | None) -> DeviceUpdate:
    """Let the device be invoked, or wait longer. `connected` is None if nothing was read."""
    if attention.is_followed(update):
        return cancelling.decide_followed(moment, update)
    if update.delays == 0:
        return update
    is_away = update.offline and connected is False
    is_left_out = moment.strategy.offline.policy is OfflinePolicy.SKIP
    if is_away and is_left_out and not fair_time.is_in_outage(moment, update):
        return invoking.leave_offline(moment, update)
    is_back = connected and _may_return(moment, update)
    if is_back or _is_invoked_anyway(moment, update):
        message = (
            "The device is connected again; it starts as soon as the rollout allows."
            if is_back
            else "The hub says that the device is offline; it is invoked to be sure."
        )
        return update._replace(
            offline=False,
            not_before=None,
            updated_at=moment.now,
            explanation=message,
        )
    if is_away and not update.seen_offline:
        update = update._replace(seen_offline=True)
    if update.offline and has_come(moment, update.not_before):
        return moves.wait_longer(moment, update, update.explanation or "Offline.")
    return update


def _is_invoked_anyway(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether a device that is said to be offline is invoked, because that may be wrong.

    That is after its 1st, 2nd, 4th, 8th ... wait, and at the deadline, so that a dead device
    costs few calls.
    """
    if not update.offline or not has_come(moment, update.not_before):
        return False
    is_power_of_two = update.delays & (update.delays - 1) == 0
    return is_power_of_two or has_come(moment, deadline(moment, update))


def _may_return(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether a device that was offline may be invoked as soon as it is connected."""
    is_first_wait = update.delays == 1
    has_waited = has_come(moment, update.not_before)
    return update.offline and (update.seen_offline or is_first_wait or has_waited)
