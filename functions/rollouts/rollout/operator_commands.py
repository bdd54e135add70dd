"""Carry out an operator's commands: pause, resume, cancel, approve, roll back.

| command | allowed while | what follows |
| --- | --- | --- |
| pause | scheduled, running | no device starts; devices in flight go on |
| resume | paused | it goes on; failures that were shown are acknowledged |
| cancel | scheduled, running, paused | queued devices are cancelled; devices in flight go on |
| approve | a wave waits for it | the wave opens |
| roll back | some device has completed | it is cancelled if it is open; a rollout undoes it |

A retry has a module of its own: `retry`.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.identity import Identity, named
from functions.rollouts.model.package_uri import add_earlier, redact
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import expiry, frozen, outages, status, stops, waves


class NotAllowedError(ValueError):
    """The rollout's status does not allow the command; the message says why."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who gave a command, and why; both end in the audit trail."""

    name: str
    reason: str | None = None  # None: not said
    identity: Identity | None = None  # None: only the name is known

    @property
    def known_as(self) -> Identity:
        return self.identity or named(self.name)

    def message(self, what: str) -> str:
        return f"{what}: {self.reason}" if self.reason else f"{what}."


def pause(rollout: Rollout, now: datetime, caller: Caller) -> Rollout:
    """Pause a running or scheduled rollout. Raises NotAllowedError, as all commands do."""
    require(rollout, "pause", RolloutStatus.SCHEDULED, RolloutStatus.RUNNING)
    message = caller.message(f"Paused by {caller.name}")
    reason = Reason(code="paused", message=message)
    return add_event(stops.add_stop(rollout, reason), now, "paused", message, caller.name)


def resume(
    rollout: Rollout,
    now: datetime,
    caller: Caller,
    revision: int | None = None,
    package_uri: str | None = None,
) -> Rollout:
    """Resume past what was shown by `revision`; None: past what the rollout was paused for.

    What came later keeps the rollout paused (`stops`). With a `package_uri`, all devices that start
    from now on get their package from there.
    """
    require(rollout, "resume", RolloutStatus.PAUSED)
    if package_uri is not None:
        rollout = relocate(rollout, package_uri)
    expired = expiry.find_reason(rollout, now) if rollout.counts.queued else None
    if expired is not None:
        raise NotAllowedError(expired.message)
    if revision is not None and revision > rollout.revision:
        raise NotAllowedError(
            f"Revision {revision} was not shown yet; the rollout's revision is {rollout.revision}."
            " Send the revision of the response that you have read."
        )
    others = frozen.without_frozen_stops(rollout)
    if rollout.stops and not others.stops:
        raise NotAllowedError(
            f"{frozen.describe_only_frozen(rollout)} Name them in `strata` to resume them."
        )
    resumed = stops.resume(others, now, revision)
    link = f", with the package from {redact(package_uri)}" if package_uri is not None else ""
    known = _describe_known(rollout, resumed)
    message = caller.message(f"Resumed by {caller.name}{known}{link}")
    told = outages.show(add_event(resumed, now, "resumed", message, caller.name))
    if resumed.status is RolloutStatus.RUNNING or resumed.status_reason is None:
        return told
    return add_event(told, now, "paused", resumed.status_reason.message)


def _describe_known(before: Rollout, after: Rollout) -> str:
    """Return what a resume acknowledged, in brackets."""
    waves = [new for old, new in zip(before.waves, after.waves, strict=True) if new != old]
    if not waves:
        return ""
    failures = sum(wave.acknowledged_failed for wave in waves)
    if failures:
        return f" ({texts.count(failures, 'known failure')} acknowledged)"
    return f" (too little evidence of {', '.join(wave.name for wave in waves)} acknowledged)"


def cancel(rollout: Rollout, now: datetime, caller: Caller) -> Rollout:
    require(rollout, "cancel", RolloutStatus.SCHEDULED, RolloutStatus.RUNNING, RolloutStatus.PAUSED)
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
    if number is None:
        raise NotAllowedError(f"The rollout is {rollout.status}, and no wave waits for approval.")
    require(rollout, "approve", RolloutStatus.RUNNING)
    changed = list(rollout.waves)
    changed[number] = replace(changed[number], approved=True)
    wave = texts.wave_first(changed[number].name)
    message = caller.message(f"{wave} approved by {caller.name}")
    approved_now = replace(rollout, waves=tuple(changed), status_reason=None)
    return add_event(approved_now, now, "approved", message, caller.name)


def require(rollout: Rollout, command: str, *allowed: RolloutStatus) -> None:
    """Raise NotAllowedError unless the rollout has one of the `allowed` statuses."""
    if rollout.status not in allowed:
        words = ", ".join(allowed)
        raise NotAllowedError(
            f"The rollout is {rollout.status}; {command} is for rollouts that are: {words}."
        )


def relocate(rollout: Rollout, package_uri: str) -> Rollout:
    """Send devices a new link of the same package from now on. Raises NotAllowedError."""
    definition = rollout.definition
    firmware = definition.firmware
    if definition.earlier_firmware:
        versions = sorted({item.version for item in (firmware, *definition.earlier_firmware)})
        raise NotAllowedError(
            f"The rollout installs several versions ({', '.join(versions[:5])}), and one package"
            " cannot be all of them. Leave packageUri out, or create a rollout of each"
            " version."
        )
    moved = replace(
        definition,
        firmware=replace(firmware, package_uri=package_uri),
        earlier_links=add_earlier(definition.earlier_links, firmware.package_uri),
    )
    return replace(rollout, definition=moved)
