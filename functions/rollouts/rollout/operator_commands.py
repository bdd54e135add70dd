"""Carry out an operator's commands: pause, resume, cancel, approve, retry, roll back.

| command | allowed while | what follows |
| --- | --- | --- |
| pause | running | no device starts; devices in flight go on |
| resume | paused | it goes on; after a breach, failures so far are acknowledged |
| cancel | scheduled, running, paused | queued devices are cancelled; devices in flight go on |
| approve | a wave waits for it | the wave opens |
| roll back | some device has completed | it is cancelled if it is open; a rollout undoes it |
| retry | running, paused, completed, failed; not rolled back | failed devices are queued again |
"""

from dataclasses import dataclass, replace
from datetime import datetime

from functions.rollouts.device import moves
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.package_uri import redact
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.wave import Wave, WaveStatus
from functions.rollouts.rollout import status, waves


class NotAllowedError(ValueError):
    """The rollout's status does not allow the command; the message says why."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who gave a command, and why; both end in the audit trail."""

    name: str
    reason: str | None = None  # None: not said

    def message(self, what: str) -> str:
        return f"{what}: {self.reason}" if self.reason else f"{what}."


def pause(rollout: Rollout, now: datetime, caller: Caller) -> Rollout:
    """Pause a running rollout. Raises NotAllowedError, as all commands do."""
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
        waves=tuple(map(_acknowledge, rollout.waves)),
    )
    failures = sum(wave.counts.failed for wave in rollout.waves if wave.status is WaveStatus.FAILED)
    known = f"Resumed by {caller.name}"
    if failures:
        known += f" ({texts.count(failures, 'known failure')} acknowledged)"
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
    """Decide the rollback, under an id chosen before. A rollout that is open is cancelled."""
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
    """Reopen the rollout for its failed devices; `requeue` queues each of them.

    With a `package_uri`, all devices that start from now on get their package from there.
    """
    _refuse_undone(rollout)
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
    what = f"{texts.count(failures, 'failed device')} queued again by {caller.name}"
    if package_uri is not None:
        rollout = _relocate(rollout, package_uri)
        what += f", with the package from {redact(package_uri)}"
    message = caller.message(what)
    again = replace(rollout, waves=tuple(map(_reopen, rollout.waves)), ended_at=None)
    if rollout.is_over:
        again = status.move(again, RolloutStatus.RUNNING, status_reason=None)
    return add_event(again, now, "retried", message, caller.name)


def requeue(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Queue a failed device again, with the next attempt."""
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
        skip_reason=None,
        ended_at=None,
        soak_until=None,
        firmware_status=None,
    )


def cancel_queued(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Cancel a queued device; it is not invoked any more."""
    if update.state is not DeviceState.QUEUED:
        return update
    message = "The rollout was cancelled before the device started."
    return moves.move(
        moment, update, DeviceState.CANCELLED, message, ended_at=moment.now, offline=False
    )


def _require(rollout: Rollout, command: str, *allowed: RolloutStatus) -> None:
    if rollout.status not in allowed:
        words = ", ".join(allowed)
        raise NotAllowedError(
            f"The rollout is {rollout.status}; {command} is for rollouts that are: {words}."
        )


def _refuse_undone(rollout: Rollout) -> None:
    """Raise NotAllowedError if a retry would send firmware that is being undone, or was."""
    match rollout.rollback:
        case RolledBack(rollback_id):
            what = f"The rollout was rolled back by rollout {rollback_id}"
        case RollbackDue():
            what = "The rollout is being rolled back"
        case None:
            return
    raise NotAllowedError(
        f"{what}, and a retry would send firmware {rollout.firmware.version} again. Create a new"
        " rollout for the devices that are to run it."
    )


def _acknowledge(wave: Wave) -> Wave:
    """Acknowledge a failed wave's failures. A wave that has ended counts as passed."""
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


def _relocate(rollout: Rollout, package_uri: str) -> Rollout:
    firmware = rollout.firmware
    if rollout.definition.earlier_firmware:
        versions = [
            firmware.version,
            *(item.version for item in rollout.definition.earlier_firmware),
        ]
        raise NotAllowedError(
            f"The rollout installs several versions ({', '.join(versions[:5])}), and one package"
            " cannot be all of them. Retry it without packageUri, or create a rollout of each"
            " version."
        )
    return replace(
        rollout,
        definition=replace(rollout.definition, firmware=replace(firmware, package_uri=package_uri)),
    )


def _reopen(wave: Wave) -> Wave:
    """Reopen a wave with failures, and acknowledge them: the gate would stop the retry."""
    failures = wave.counts.failed
    if not failures or wave.status is WaveStatus.PENDING:
        return wave
    return status.move_wave(wave, WaveStatus.RUNNING, ended_at=None, acknowledged_failed=failures)
