"""How an update that is under way is followed: what the twin says, and what time decides.

    accepted --> downloading --> applying --> soaking --> completed        failed, from any of them

The twin may skip stages between two looks; each that it passed is written down.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from functions.rollouts.device import invoking, moves, reports, soaking
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.rollout import RolloutStatus

# A device that waits is looked at in every tick for this long, then only when a try is due.
LOOK_CLOSELY = timedelta(minutes=5)
# How long a device that is to be asked again waits for that before its twin is looked at anew.
_HANDED_OUT = timedelta(minutes=2)


def attention_at(moment: Moment, update: DeviceUpdate) -> datetime | None:
    """When this update wants to be looked at; None if it only waits for its turn, or has ended."""
    if update.state is DeviceState.QUEUED:
        if update.not_before is None or invoking.is_ready(moment, update):
            return None
        return moment.now if _is_watched_closely(moment, update) else update.not_before
    if update.state.ended:
        return None
    times = (update.observe_at, update.not_before, _time_out(moment, update), update.soak_until)
    return min((time for time in times if time is not None), default=moment.now)


def must_be_sure(moment: Moment, update: DeviceUpdate) -> bool:
    """Whether the next decision cannot be taken back, so that only a fresh twin will do."""
    if update.state is DeviceState.SOAKING:
        return _has_come(moment, update.soak_until)
    if update.state is DeviceState.DISPATCHING:
        return _has_come(moment, update.not_before)
    return _has_come(moment, _time_out(moment, update))


def is_worth_a_twin(moment: Moment, update: DeviceUpdate) -> bool:
    """Whether the whole twin may have news, not only whether the device is connected."""
    if update.state is DeviceState.QUEUED:
        return update.attempt > 1 and not moment.crowded
    return not update.state.ended


def observe(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Move `update` to where its device says it is; unchanged when the twin has no news."""
    if update.state.ended:
        return update
    if update.state is DeviceState.SOAKING:
        return soaking.observe(moment, update, twin)
    told = reports.report(moment.rollout.id, update, twin)
    if told is None or not _is_awaited(moment, update, told, twin):
        return update
    walked = _walk(moment, update, told)
    if told.state is DeviceState.FAILED:
        return _reported(moment, walked, told)
    return _completed(moment, walked, told, twin) if told.state is DeviceState.COMPLETED else walked


def decide(
    moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None, *, connected: bool | None
) -> DeviceUpdate:
    """Decide what only time decides: time-outs, deadlines, soaks, lost senders and answers.

    `twin` is what was just observed; None when the hub no longer knows the device, or when only
    `connected` was asked. `connected` is None where nobody looked.
    """
    match update.state:
        case DeviceState.QUEUED:
            return _waiting(moment, update, connected)
        case DeviceState.SOAKING:
            return soaking.decide(moment, update, twin)
        case DeviceState.DISPATCHING if _has_come(moment, update.not_before):
            return _unanswered(moment, update, twin)
    if _has_come(moment, _time_out(moment, update)):
        return _timed_out(moment, update, twin)
    if update.state.in_flight and _has_come(moment, update.observe_at):
        return update._replace(observe_at=moves.next_look(moment, update.dispatched_at))
    return update


# -- what the twin says ----------------------------------------------------------------------


def _is_awaited(
    moment: Moment, update: DeviceUpdate, told: reports.Report, twin: DeviceTwin
) -> bool:
    """Of an update that is to be tried again, only that it succeeded after all is news."""
    if update.state is not DeviceState.QUEUED:
        return True
    version = moment.rollout.firmware_for(update).version
    return told.state is DeviceState.COMPLETED and not reports.runs_old_version(
        update, twin, version
    )


def _walk(moment: Moment, update: DeviceUpdate, told: reports.Report) -> DeviceUpdate:
    """Record each stage that the device has passed since the last observation, but not its end."""
    lines = _new_stages(moment, update, told)
    known = update.progress_percent if told.progress_percent is None else told.progress_percent
    if not lines and (told.status, known) == (update.firmware_status, update.progress_percent):
        return update
    return moves.move_along(update, lines)._replace(
        explanation=lines[-1].message if lines else update.explanation,
        firmware_status=told.status,
        progress_percent=known,
        accepted_at=update.accepted_at or moment.now,
        in_doubt=False,
        not_before=None,
        observe_at=moves.next_look(moment, update.dispatched_at),
        delays=0,
        waiting_since=None,
        updated_at=moment.now,
    )


def _new_stages(
    moment: Moment, update: DeviceUpdate, told: reports.Report
) -> Sequence[HistoryEntry]:
    lines: list[HistoryEntry] = []
    rank = update.state.rank
    earliest = update.history[-1].at if update.history else moment.now
    for stage, reported_at in told.stages:
        if rank < stage.rank < DeviceState.SOAKING.rank:
            rank = stage.rank
            earliest = max(reported_at, earliest)
            message = f"The device reported {stage.value}."
            lines.append(HistoryEntry(stage, update.attempt, earliest, message))
    return lines


def _completed(
    moment: Moment, update: DeviceUpdate, told: reports.Report, twin: DeviceTwin
) -> DeviceUpdate:
    if reports.runs_old_version(update, twin, moment.rollout.firmware_for(update).version):
        return soaking.fail_reverted(moment, update, twin)
    known: dict[str, Any] = {
        "firmware_status": told.status,
        "progress_percent": 100,
        "accepted_at": update.accepted_at or moment.now,
        "offline": False,
        "delays": 0,
    }
    reported_at = told.stages[-1][1] if told.stages else moment.now
    if moment.strategy.soak:
        moved = soaking.start_soak(moment, update, reported_at, **known)
    else:
        message = "The device reported completed."
        moved = moves.move(
            moment, update, DeviceState.COMPLETED, message, ended_at=moment.now, **known
        )
    return _told_at(moved, reported_at)


def _told_at(update: DeviceUpdate, reported_at: datetime) -> DeviceUpdate:
    """The last line with the hub's own time, as far as no line runs backwards."""
    *before, last = update.history
    earliest = before[-1].at if before else reported_at
    line = replace(last, at=max(reported_at, earliest))
    return update._replace(history=(*before, line))


def _reported(moment: Moment, update: DeviceUpdate, told: reports.Report) -> DeviceUpdate:
    code, message = reports.failure(told, moment.rollout.firmware_for(update).package_uri)
    if code is ErrorCode.REVERTED:
        return moves.fail(moment, update, code, message)
    return moves.retry_or_fail(moment, update, code, message)


# -- what time decides -----------------------------------------------------------------------


def _has_come(moment: Moment, time: datetime | None) -> bool:
    return time is not None and time <= moment.now


def _is_watched_closely(moment: Moment, update: DeviceUpdate) -> bool:
    """Whether a device that was found offline may come back at any moment."""
    since = update.waiting_since
    if since is None or not update.offline or moment.crowded:
        return False
    return moment.now < since + LOOK_CLOSELY


def _time_out(moment: Moment, update: DeviceUpdate) -> datetime | None:
    running = DeviceState.ACCEPTED.rank <= update.state.rank < DeviceState.SOAKING.rank
    accepted = update.accepted_at if running else None
    return accepted + moment.strategy.timeout if accepted else None


def _timed_out(moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None) -> DeviceUpdate:
    """A device that accepted and is gone is not waited for: it may be bricked, and must count."""
    since = f"Accepted at {update.accepted_at:%H:%M:%S} UTC"
    limit = moment.strategy.timeout
    if twin is None or not twin.connected:
        message = f"{since}, and not connected when its time of {limit} was over."
        return moves.fail(moment, update, ErrorCode.WENT_DARK, message)
    message = f"{since}, not finished in {limit}."
    return moves.retry_or_fail(moment, update, ErrorCode.TIMED_OUT, message)


def _waiting(moment: Moment, update: DeviceUpdate, connected: bool | None) -> DeviceUpdate:
    if update.delays == 0:
        return update
    first = update.delays == 1
    if (
        connected
        and update.offline
        and (update.seen_gone or first or _has_come(moment, update.not_before))
    ):
        message = "The device is connected again; it starts when it is its turn."
        return update._replace(
            offline=False, not_before=None, updated_at=moment.now, explanation=message
        )
    given_up = moves.give_up_if_due(moment, update, update.explanation or "")
    if given_up is not None:
        return given_up
    if update.offline and _has_come(moment, update.not_before):
        waiting = moves.wait_longer(moment, update, update.explanation or "Offline.")
        return waiting._replace(seen_gone=True)
    gone = connected is False and update.offline and not update.seen_gone
    return update._replace(seen_gone=True) if gone else update


def _unanswered(moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None) -> DeviceUpdate:
    if update.in_doubt:
        return _settle_doubt(moment, update, twin)
    return invoking.lost(moment, update, "The sender of the method disappeared.")


def _settle_doubt(moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None) -> DeviceUpdate:
    """No sign of the update on the twin: repeat the attempt, keep watching, or give up."""
    if twin is None:
        message = "The hub no longer knows the device."
        return moves.fail(moment, update, ErrorCode.UNREACHABLE, message)
    asked = update.dispatched_at or moment.now
    if (update.waiting_since or asked) + moment.strategy.offline.deadline <= moment.now:
        message = "The method's answer was lost, and the deadline is over."
        return moves.fail(moment, update, ErrorCode.UNREACHABLE, message)
    if not twin.connected:
        return invoking.try_later(moment, update, "The device is offline, and may have started.")
    if invoking.repeatable(moment, update) and moment.rollout.status is RolloutStatus.RUNNING:
        message = "No sign of a start on the twin: the same attempt is sent again."
        later = moment.now + _HANDED_OUT
        return update._replace(explanation=message, not_before=later, observe_at=None)
    until = asked + moment.strategy.timeout
    if until > moment.now:
        observe_at = min(until, moves.next_look(moment, asked))
        return update._replace(not_before=until, observe_at=observe_at, updated_at=moment.now)
    message = "The method's answer was lost, and the device has shown no sign of the update."
    return moves.retry_or_fail(moment, update, ErrorCode.UNREACHABLE, message, counted=True)
