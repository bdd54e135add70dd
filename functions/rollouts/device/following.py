"""Follow an update in flight: by what its twin says, and by the time that has passed.

    accepted --> downloading --> applying --> soaking --> completed        failed, from any of them

The twin may skip stages between two observations; each stage that it passed is recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from functions.rollouts.device import (
    attention,
    backoff,
    darkness,
    fair_time,
    invoking,
    late_success,
    moves,
    readiness,
    reports,
    soaking,
    versions,
    waiting,
)
from functions.rollouts.device.deadlines import begin_wait, deadline, has_come, timeout_at
from functions.rollouts.device.moment import Moment
from functions.rollouts.device.versions import Verdict
from functions.rollouts.model import texts
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.rollout import RolloutStatus

# How an update is followed once its device has reported an end, or has failed.
_OBSERVERS: Mapping[DeviceState, Callable[[Moment, DeviceUpdate, DeviceTwin], DeviceUpdate]] = {
    DeviceState.SOAKING: soaking.observe,
    DeviceState.FAILED: late_success.observe,
}
_DECIDERS: Mapping[
    DeviceState, Callable[[Moment, DeviceUpdate, DeviceTwin | None], DeviceUpdate]
] = {DeviceState.SOAKING: soaking.decide, DeviceState.FAILED: late_success.decide}


def observe(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Move an update to where its device says it is; unchanged if the twin has no news."""
    if update.state.ended and update.state not in _OBSERVERS:
        return update
    update = versions.record_running(moment, update, twin)
    if update.state in _OBSERVERS:
        return _OBSERVERS[update.state](moment, update, twin)
    firmware = moment.rollout.firmware_for(update)
    reported = reports.report(moment.rollout.id, update, twin, firmware)
    if reported is None or not _is_awaited(moment, update, reported, twin):
        return update
    walked = _walk(moment, update, reported)
    match reported.state:
        case DeviceState.FAILED:
            return _record_failure(moment, walked, reported)
        case DeviceState.COMPLETED:
            return _record_completion(moment, walked, reported, twin)
    return walked


def decide(
    moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None, *, connected: bool | None
) -> DeviceUpdate:
    """Decide what only time decides: timeouts, deadlines, soaks, lost senders and responses.

    `twin` is what was just observed; None if the hub does not know the device, or if only
    `connected` was queried. `connected` is None if nothing was read.
    """
    if update.state in _DECIDERS:
        return _DECIDERS[update.state](moment, update, twin)
    match update.state:
        case DeviceState.QUEUED:
            return waiting.decide(moment, update, connected)
        case DeviceState.DISPATCHING if has_come(moment, update.not_before):
            return _decide_without_response(moment, update, twin)
    if has_come(moment, timeout_at(moment, update)):
        return _time_out(moment, update, twin)
    return _schedule_observation(moment, update)


# -- what the twin says ----------------------------------------------------------------------


def _is_awaited(
    moment: Moment, update: DeviceUpdate, reported: reports.Report, twin: DeviceTwin
) -> bool:
    """Return whether a report counts. Of a queued update, only a late success does."""
    if update.state is not DeviceState.QUEUED:
        return True
    is_success = reported.state is DeviceState.COMPLETED
    return is_success and versions.judge(moment, update, twin) is Verdict.RIGHT


def _walk(moment: Moment, update: DeviceUpdate, reported: reports.Report) -> DeviceUpdate:
    """Record each stage that the device passed since the last observation, but not its end."""
    lines = _new_stages(update, reported)
    known = (
        update.progress_percent if reported.progress_percent is None else reported.progress_percent
    )
    if not lines and (reported.status, known) == (update.firmware_status, update.progress_percent):
        return update
    return moves.move_along(
        update,
        lines,
        explanation=lines[-1].message if lines else update.explanation,
        firmware_status=reported.status,
        progress_percent=known,
        accepted_at=update.accepted_at or moment.now,
        in_doubt=False,
        not_before=None,
        observe_at=attention.next_observation(moment, update.dispatched_at),
        delays=0,
        waiting_since=None,
        updated_at=moment.now,
    )


def _new_stages(update: DeviceUpdate, reported: reports.Report) -> Sequence[HistoryEntry]:
    lines: list[HistoryEntry] = []
    rank = update.state.rank
    earliest = update.history[-1].at
    for stage, reported_at in reported.stages:
        if stage.in_flight and stage.rank > rank:
            rank = stage.rank
            earliest = max(reported_at, earliest)
            message = f"The device reported {stage.value}."
            lines.append(HistoryEntry(stage, update.attempt, earliest, message))
    return lines


def _record_completion(
    moment: Moment, update: DeviceUpdate, reported: reports.Report, twin: DeviceTwin
) -> DeviceUpdate:
    match versions.judge(moment, update, twin):
        case Verdict.REVERTED:
            return soaking.fail_reverted(moment, update, twin)
        case Verdict.WRONG:
            return versions.fail_wrong(moment, update, twin)
        case Verdict.AWAITED if not moment.strategy.soak:
            return versions.await_version(moment, update, twin)
    known: dict[str, Any] = {
        "firmware_status": reported.status,
        "progress_percent": 100,
        "accepted_at": update.accepted_at or moment.now,
        "offline": False,
        "delays": 0,
    }
    reported_at = reported.stages[-1][1]
    if moment.strategy.soak:
        return soaking.start_soak(moment, update, reported_at, **known)
    return moves.move(
        moment,
        update,
        DeviceState.COMPLETED,
        "The device reported completed.",
        reported_at=reported_at,
        ended_at=moment.now,
        **known,
    )


def _record_failure(moment: Moment, update: DeviceUpdate, reported: reports.Report) -> DeviceUpdate:
    code, message = reports.failure(reported, *moment.rollout.links_for(update))
    if code in {ErrorCode.REVERTED, ErrorCode.REJECTED}:
        return moves.fail(moment, update, code, message)
    return moves.retry_or_fail(moment, update, code, message)


# -- what time decides -----------------------------------------------------------------------


def _time_out(moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None) -> DeviceUpdate:
    """End the attempt. A device that accepted and is offline fails: it may be bricked."""
    accepted = texts.utc_time(update.accepted_at or moment.now)
    timeout = texts.duration(moment.strategy.timeout)
    if twin is None or not darkness.is_alive(twin, update.dark_since):
        message = f"Accepted at {accepted}; offline when its timeout of {timeout} expired."
        if has_come(moment, darkness.confirmed_at(moment, update)):
            return moves.fail(moment, update, ErrorCode.WENT_DARK, message)
        again = f"{message} Observed again in {texts.duration(darkness.CONFIRMATION)}."
        since = update.dark_since or moment.now
        return update._replace(
            dark_since=since, observe_at=None, updated_at=moment.now, explanation=again
        )
    if versions.is_awaited(moment, update, twin):
        return versions.fail_wrong(moment, update, twin)
    message = f"Accepted at {accepted}; not finished when its timeout of {timeout} expired."
    if not reports.recognises_repeats(twin) and not reports.shows_end(update, twin):
        message += (
            " It is not invoked again, because the update may still be at work and the device"
            " cannot refuse a second one."
        )
        return moves.fail(moment, update, ErrorCode.TIMED_OUT, message)
    return moves.retry_or_fail(moment, update, ErrorCode.TIMED_OUT, message)


def _schedule_observation(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Observe a device in flight again, also one whose timeout an outage has prolonged."""
    was_dark = update.dark_since is not None
    if not was_dark and not (update.state.in_flight and has_come(moment, update.observe_at)):
        return update
    again = attention.next_observation(moment, update.dispatched_at)
    if not was_dark:
        return update._replace(observe_at=again)
    why = "Offline during an outage, which does not count; it is observed further."
    return update._replace(
        dark_since=None, observe_at=again, updated_at=moment.now, explanation=why
    )


def _decide_without_response(
    moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None
) -> DeviceUpdate:
    if update.in_doubt:
        return _settle_doubt(moment, update, twin) if twin else update
    return invoking.record_lost(moment, update, "The sender of the method disappeared.")


def _settle_doubt(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Repeat an attempt of which the twin shows no sign, keep observing it, or give it up."""
    invoked_at = update.dispatched_at or moment.now
    if has_come(moment, deadline(moment, update)):
        message = "The method's response was lost, and the deadline has passed."
        return moves.fail(moment, update, ErrorCode.UNREACHABLE, message)
    if not twin.connected:
        return invoking.try_later(moment, update, "The device is offline, and may have started.")
    is_running = moment.rollout.status is RolloutStatus.RUNNING
    if is_running and readiness.is_repeatable(moment, update):
        message = "No sign of a start on the twin: the same attempt is sent again."
        later = moment.now + attention.REPEAT_PATIENCE
        return update._replace(explanation=message, not_before=later, observe_at=None)
    until = fair_time.extend(moment, update, invoked_at, invoked_at + moment.strategy.timeout)
    if until > moment.now:
        observe_at = min(until, attention.next_observation(moment, invoked_at))
        return update._replace(not_before=until, observe_at=observe_at, updated_at=moment.now)
    return _give_attempt_up(moment, begin_wait(moment, update))


def _give_attempt_up(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """End an attempt in doubt, of which the twin has shown no sign for the whole timeout.

    It is used up if the device was silent; not if the hub failed, or the device was offline.
    """
    message = "The method's response was lost, and the device has shown no sign of the update."
    if update.delays == 0:
        return moves.retry_or_fail(moment, update, ErrorCode.UNREACHABLE, message, counted=True)
    wait = backoff.delay(moment.strategy.retry, update.delays, moment.jitter())
    follows = f"{message} It is invoked again within {texts.duration(wait)}."
    return moves.next_attempt(moment, update, follows, moment.now + wait)
