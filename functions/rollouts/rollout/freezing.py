"""What a freeze means for one rollout: what it records, says and keeps from starting.

A freeze stops starts and nothing else: devices in flight are followed, gates judge, waves open,
commands work. Also a rollback waits, because it starts devices.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.freeze import CODE, Freeze, describe
from functions.rollouts.model.identity import ITSELF
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout

# A device may come to match no longer, so frozen devices are checked again, one batch per tick.
CHECK_INTERVAL = timedelta(minutes=5)


def learn(rollout: Rollout, stored: Freeze | None, now: datetime) -> Rollout:
    """Return the rollout with the latest freeze, and with an event if that changes anything.

    `stored` may be older than what the rollout knows; then the rollout keeps what it knows.
    """
    known = rollout.freeze
    if rollout.is_over:
        return rollout
    if stored is not None and (known is None or stored.revision > known.revision):
        return _replace(rollout, known, stored, now)
    if known is None or known.ended_at is not None or known.until is None or known.is_in_force(now):
        return rollout
    ended = replace(rollout, freeze=replace(known, ended_at=known.until))
    message = f"The freeze of {known.by} ended at {texts.utc_time(known.until)}, as set."
    return add_event(ended, now, "unfrozen", message)


def _replace(rollout: Rollout, known: Freeze | None, stored: Freeze, now: datetime) -> Rollout:
    if stored.is_in_force(now):
        return add_event(
            replace(rollout, freeze=stored), now, "frozen", describe(stored), stored.by
        )
    if known is None or known.ended_at is not None:  # the rollout never knew of this freeze
        return rollout
    by = stored.ended_by or ITSELF.name
    why = f": {stored.ended_reason}" if stored.ended_reason else "."
    message = f"The freeze of {known.by} was removed by {by}{why}"
    return add_event(replace(rollout, freeze=stored), now, "unfrozen", message, by)


def obstacle(rollout: Rollout, now: datetime) -> Reason | None:
    """Return why no device of the rollout starts; None if no freeze of all devices is in force."""
    freeze = rollout.freeze
    if freeze is None or not freeze.freezes_all(now):
        return None
    return Reason(code=CODE, message=describe(freeze))


def freeze_update(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Record that the device matches the freeze. Time in which it is frozen costs no deadline."""
    if update.frozen_from is not None:
        return update
    return update._replace(frozen_from=moment.startable, updated_at=moment.now)


def thaw_update(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Record that the device is frozen no longer. Its wait goes on where the freeze found it."""
    if update.frozen_from is None:
        return update
    waited = update.waiting_from
    if waited is not None:
        waited += moment.startable - update.frozen_from
    return update._replace(frozen_from=None, waiting_from=waited)


def explain_frozen(rollout: Rollout, update: DeviceUpdate, now: datetime) -> str:
    """Return why this device is frozen; empty if it is not, or not any more."""
    freeze = rollout.freeze
    if update.frozen_from is None or freeze is None or not freeze.freezes_some(now):
        return ""
    return describe(freeze)
