"""What operators do to a rollout: pause, resume, cancel, approve, retry, roll back.

| command | allowed while | what follows |
| --- | --- | --- |
| pause | running | nothing starts; what has started goes on |
| resume | paused | it goes on; after a breach, the failures known by then are waived |
| cancel | scheduled, running, paused | queued devices are cancelled; what has started goes on |
| approve | a wave waits for it | the wave opens |
| roll back | some device has completed | it is cancelled if it is open; a rollout undoes it |
| retry | running, paused, completed, failed | failed devices are queued again |
"""

from dataclasses import dataclass, replace
from datetime import datetime

from functions.rollouts.device import moves
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.package_uri import shown
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.wave import Wave, WaveStatus
from functions.rollouts.rollout import status, waves


class NotAllowedError(ValueError):
    """The rollout's status does not allow the command; the message says why."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and why if it was said; both end in the audit trail."""

    name: str
    reason: str | None = None

    def message(self, what: str) -> str:
        return f"{what}: {self.reason}" if self.reason else f"{what}."


def pause(rollout: Rollout, now: datetime, caller: Caller) -> Rollout:
    """Raises NotAllowedError, as all commands do."""
    _require(rollout, "pause", RolloutStatus.RUNNING)
    message = caller.message(f"Paused by {caller.name}")
    reason = Reason(code="paused", message=message)
    stopped = status.move(rollout, RolloutStatus.PAUSED, status_reason=reason)
    return add_event(stopped, now, "paused", message, caller.name)


def resume(rollout: Rollout, now: datetime, caller: Caller) -> Rollout:
    _require(rollout, "resume", RolloutStatus.PAUSED)
    running = status.move(
        rollout,
        RolloutStatus.RUNNING,
        status_reason=None,
        waves=tuple(map(_waived, rollout.waves)),
    )
    failures = sum(wave.counts.failed for wave in rollout.waves if wave.status is WaveStatus.FAILED)
    known = f"Resumed by {caller.name}"
    if failures:
        known += f" ({failures} known failures waived)"
    return add_event(running, now, "resumed", caller.message(known), caller.name)


def cancel(rollout: Rollout, now: datetime, caller: Caller) -> Rollout:
    _require(
        rollout, "cancel", RolloutStatus.SCHEDULED, RolloutStatus.RUNNING, RolloutStatus.PAUSED
    )
    message = caller.message(f"Cancelled by {caller.name}")
    reason = Reason(code="cancelled", message=message)
    over = rollout.resolution is not None  # none of its devices was ever queued
    stopped = status.move(
        rollout,
        RolloutStatus.CANCELLED,
        status_reason=reason,
        ended_at=now if over else None,
        resolution=None,
    )
    return add_event(stopped, now, "cancelled", message, caller.name)


def roll_back(rollout: Rollout, now: datetime, caller: Caller, rollback_id: str) -> Rollout:
    """With its rollback decided, under an id chosen before; what is open is cancelled by it."""
    message = caller.message(f"Rolled back by {caller.name}")
    due = replace(rollout, rollback=RollbackDue(rollback_id))
    if not due.is_over and due.status is not RolloutStatus.CANCELLED:
        reason = Reason(code="rolledBack", message=message)
        due = status.move(due, RolloutStatus.CANCELLED, status_reason=reason)
    return add_event(due, now, "rolledBack", message, caller.name)


def approve(rollout: Rollout, now: datetime, caller: Caller) -> Rollout:
    number = waves.awaiting_approval(rollout)
    if rollout.status is not RolloutStatus.RUNNING or number is None:
        raise NotAllowedError(f"The rollout is {rollout.status}, and no wave waits for approval.")
    changed = list(rollout.waves)
    changed[number] = replace(changed[number], approved=True)
    message = caller.message(f"Wave {changed[number].name} approved by {caller.name}")
    approved_now = replace(rollout, waves=tuple(changed), status_reason=None)
    return add_event(approved_now, now, "approved", message, caller.name)


def retry(
    rollout: Rollout, now: datetime, caller: Caller, package_uri: str | None = None
) -> Rollout:
    """Open the rollout again for its failed devices; `requeue` brings back each of them.

    With a `package_uri`, whatever starts from here on gets its package from there.
    """
    _require(
        rollout,
        "retry",
        RolloutStatus.RUNNING,
        RolloutStatus.PAUSED,
        RolloutStatus.COMPLETED,
        RolloutStatus.FAILED,
    )
    failures = rollout.counts.failed
    if not failures:
        raise NotAllowedError("No device of the rollout has failed.")
    what = f"{failures} failed devices queued again by {caller.name}"
    if package_uri is not None:
        rollout = _relocated(rollout, package_uri)
        what += f", with the package from {shown(package_uri)}"
    message = caller.message(what)
    again = replace(rollout, waves=tuple(map(_reopened, rollout.waves)), ended_at=None)
    if rollout.is_over:
        again = status.move(again, RolloutStatus.RUNNING, status_reason=None)
    return add_event(again, now, "retried", message, caller.name)


def requeue(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """A failed device from the start, with the next attempt."""
    if update.state is not DeviceState.FAILED:
        return update
    return moves.next_attempt(
        moment,
        update,
        "Queued again by a retry.",
        None,
        attempts_used=0,
        delays=0,
        waiting_since=None,
        offline=False,
        error=None,
        ended_at=None,
        soak_until=None,
        firmware_status=None,
    )


def cancel_queued(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """A device that was not asked yet, or is to be asked again, is not any more."""
    if update.state is not DeviceState.QUEUED:
        return update
    message = "The rollout was cancelled before the device's turn."
    return moves.move(
        moment, update, DeviceState.CANCELLED, message, ended_at=moment.now, offline=False
    )


def _require(rollout: Rollout, command: str, *allowed: RolloutStatus) -> None:
    if rollout.status not in allowed:
        words = ", ".join(allowed)
        raise NotAllowedError(
            f"The rollout is {rollout.status}; {command} is for rollouts that are: {words}."
        )


def _waived(wave: Wave) -> Wave:
    """The gate begins afresh; a wave that has ended below its share counts as passed."""
    if wave.status is not WaveStatus.FAILED:
        return wave
    counts = wave.counts
    ended = counts.ended == counts.total
    return status.move_wave(
        wave,
        WaveStatus.FAILED if ended else WaveStatus.RUNNING,
        passed=ended,
        acknowledged_failed=counts.failed,
        acknowledged_healthy=counts.healthy,
    )


def _relocated(rollout: Rollout, package_uri: str) -> Rollout:
    firmware = rollout.firmware
    if rollout.definition.earlier_firmware:
        versions = [
            firmware.version,
            *(item.version for item in rollout.definition.earlier_firmware),
        ]
        raise NotAllowedError(
            f"The rollout hands out several versions ({', '.join(versions[:5])}), and one package"
            " cannot be all of them. Retry it without packageUri, or create a rollout of each"
            " version."
        )
    return replace(
        rollout,
        definition=replace(rollout.definition, firmware=replace(firmware, package_uri=package_uri)),
    )


def _reopened(wave: Wave) -> Wave:
    """Failures that are not queued again yet are waived, for the gate would stop the retry."""
    failures = wave.counts.failed
    if not failures or wave.status is WaveStatus.PENDING:
        return wave
    return status.move_wave(wave, WaveStatus.RUNNING, ended_at=None, acknowledged_failed=failures)
