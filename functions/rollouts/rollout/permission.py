"""Say why a device may not start now: the one rule behind every start and every explanation."""

from datetime import datetime

from functions.rollouts.model import texts
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.outage import ACCESS, AMBIENT, DAILY_QUOTA, HUB
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.shown_reason import scheduled_reason
from functions.rollouts.model.wave import Wave, WaveStatus
from functions.rollouts.rollout import evidence, expiry, freezing, frozen, outages, window

OPEN = frozenset({WaveStatus.RUNNING, WaveStatus.SOAKING})


def obstacle(rollout: Rollout, wave_number: int, now: datetime) -> Reason | None:
    """Return the first thing that keeps the wave's devices from starting; None if nothing does."""
    return obstacle_except_limit(rollout, wave_number, now) or _limit_obstacle(rollout)


def obstacle_except_limit(rollout: Rollout, wave_number: int, now: datetime) -> Reason | None:
    """Return what `obstacle` returns, but ignore the limit of devices in flight."""
    return (
        _status_obstacle(rollout)
        or freezing.obstacle(rollout, now)
        or outages.current_reason(rollout, DAILY_QUOTA)
        or outages.current_reason(rollout, AMBIENT)
        or expiry.find_reason(rollout, now)
        or _wave_obstacle(rollout, wave_number)
        or _window_obstacle(rollout, now)
    )


def wait_reason(rollout: Rollout, update: DeviceUpdate, now: datetime) -> Reason | None:
    """Return what keeps the device of a queued update from starting; None if nothing does."""
    return frozen.freeze_reason(rollout, update.stratum) or obstacle(rollout, update.wave, now)


def explanation(rollout: Rollout, update: DeviceUpdate, now: datetime) -> str:
    """Return why a device update is where it is, with the numbers of now."""
    known = freezing.explain_frozen(rollout, update, now) or update.explanation or ""
    if update.state is not DeviceState.QUEUED or update.offline:
        return known
    reason = _hub_reason(rollout) or wait_reason(rollout, update, now)
    if reason is not None:
        return f"{known} Waiting: {reason.message}".lstrip()
    return known or "Waiting: devices start in order, as fast as the hub allows."


def _hub_reason(rollout: Rollout) -> Reason | None:
    """Return why the hub keeps devices from starting, or None."""
    return outages.current_reason(rollout, ACCESS) or outages.current_reason(rollout, HUB)


def free_slots(rollout: Rollout) -> int | None:
    """Return how many more devices may be in flight at once; None is no limit."""
    limit = rollout.strategy.max_in_flight
    return None if limit is None else max(0, limit - rollout.counts.updating)


def opening_obstacle(rollout: Rollout, wave_number: int) -> Reason | None:
    """Return what keeps a pending wave from opening; None if it may open."""
    wave = rollout.waves[wave_number]
    if wave_number:
        before = frozen.without_frozen(rollout, rollout.waves[wave_number - 1])
        shut = before.status in {WaveStatus.PENDING, WaveStatus.FAILED}
        if not before.passed and (shut or not evidence.has_passed(rollout, before)):
            return _waits_for(rollout, wave, before)
    if wave.approval and not wave.approved:
        return Reason(
            code="awaitingApproval",
            message=f"{texts.wave_first(wave.name)} waits for approval.",
        )
    return None


def _waits_for(rollout: Rollout, wave: Wave, before: Wave) -> Reason:
    counts, limit = before.counts, rollout.strategy.success_share
    of = "enough" if limit is None else str(limit)
    needed, total = evidence.needed_for_share(rollout, before), counts.eligible
    least = evidence.needed_as_evidence(rollout, before)
    if least > needed:
        needed, total = least, before.size
        of = f"minCompleted ({rollout.strategy.min_completed})"
    message = (
        f"{texts.wave(wave.name)} opens when {of} of {texts.wave(before.name)} completed:"
        f" {needed} of {total}, now {counts.completed}."
    )
    return Reason(code="earlierWave", message=message)


def _status_obstacle(rollout: Rollout) -> Reason | None:
    if rollout.status is RolloutStatus.RUNNING:
        return None
    if rollout.status is RolloutStatus.SCHEDULED:
        return scheduled_reason(rollout)
    why = f" {rollout.status_reason.message}" if rollout.status_reason else ""
    return Reason(code=rollout.status.value, message=f"the rollout is {rollout.status}.{why}")


def _wave_obstacle(rollout: Rollout, wave_number: int) -> Reason | None:
    wave = rollout.waves[wave_number]
    if wave.status in OPEN:
        return None
    pending = opening_obstacle(rollout, wave_number)
    shut = Reason(code="waveClosed", message=f"{texts.wave(wave.name)} is {wave.status}.")
    return pending or (None if wave.passed else shut)


def _window_obstacle(rollout: Rollout, now: datetime) -> Reason | None:
    limits = rollout.strategy.window
    if limits is None or window.is_open(limits, now):
        return None
    opens = texts.utc_time(window.next_opening(limits, now))
    return Reason(code="window", message=f"outside the maintenance window, which opens at {opens}.")


def _limit_obstacle(rollout: Rollout) -> Reason | None:
    if free_slots(rollout) != 0:
        return None
    limit = rollout.strategy.max_in_flight
    updating = texts.count(rollout.counts.updating, "device")
    message = f"{updating} of at most {limit} in flight at once."
    return Reason(code="maxInFlight", message=message)
