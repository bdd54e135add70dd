"""How a device is invoked: its update is claimed, the method sent, its outcome recorded.

    queued --claim--> dispatching --response--> accepted, or back to queued, or an end

A claim is stored before its method is sent.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from functions.rollouts.device import (
    attention,
    backoff,
    device_words,
    fair_time,
    leaving,
    moves,
    reports,
)
from functions.rollouts.device.deadlines import begin_wait, deadline
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.device_state import IN_FLIGHT, DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    DeviceUnknown,
    HubRefused,
    Lost,
    MethodOutcome,
    MethodResponse,
    NotDelivered,
    Responded,
)
from functions.rollouts.model.package_uri import hide_secrets_in
from functions.rollouts.model.strategy import OfflinePolicy

# A claimed update without an outcome for this long has lost its sender: longer than a direct
# method may wait to be sent and then take to respond.
CLAIM_DURATION = timedelta(seconds=90)
# The status of a device's response while another update runs (device contract).
BUSY = 409
# Statuses of a device that cannot take the method now, as every 5xx: it has started nothing. 404
# and 501 are what device SDKs respond while no program handles the method yet.
_TEMPORARY = frozenset({404, 408, 429})


def claim(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Prepare an update for its method to be sent. Must be stored before the method is sent."""
    until = moment.now + CLAIM_DURATION
    if update.in_doubt:  # the same attempt again: its baseline still counts
        return update._replace(
            not_before=until,
            observe_at=until,
            updated_at=moment.now,
            explanation="Invoking the device again.",
        )
    return moves.move(
        moment,
        update,
        DeviceState.DISPATCHING,
        "Invoking the device.",
        not_before=until,
        method=None,
        offline=False,
        seen_offline=not twin.connected,
        dispatched_at=moment.now,
        baseline=reports.baseline(moment.rollout.id, twin),
        previous_version=update.previous_version or reports.running_version(twin),
        running_version=reports.running_version(twin),
    )


def record_outcome(
    moment: Moment, update: DeviceUpdate, attempt: int, outcome: MethodOutcome
) -> DeviceUpdate:
    """Record how the direct method of `attempt` ended; an older attempt's outcome is ignored."""
    if update.attempt != attempt or update.state.ended:
        return update
    if isinstance(outcome, Responded):
        outcome = Responded(_without_secrets(moment, update, outcome.response))
    if update.state is not DeviceState.DISPATCHING:
        # The twin was observed before the response came: only the response itself is news.
        if isinstance(outcome, Responded):
            return update._replace(method=outcome.response)
        return update
    return _record(moment, update, outcome)


def _record(moment: Moment, update: DeviceUpdate, outcome: MethodOutcome) -> DeviceUpdate:
    match outcome:
        case Responded(response):
            return _record_response(moment, update, response)
        case DeviceOffline():
            return _record_offline(moment, update)
        case NotDelivered(message):
            return try_later(moment, update, message)
        case DeviceUnknown():
            message = "The hub says that it does not know the device."
            lost = record_lost(moment, update, message, hub_failed=True)
            return leaving.suspect_missing(moment, lost)
        case Lost(message, hub_failed):
            return record_lost(moment, update, message, hub_failed=hub_failed)
        case HubRefused(message):
            return moves.fail(moment, update, ErrorCode.UNREACHABLE, message)


def wait_for_turn(moment: Moment, update: DeviceUpdate, why: str) -> DeviceUpdate:
    """Leave a queued update for later without invoking its device."""
    return moves.give_up_if_due(moment, update, why) or moves.wait_longer(moment, update, why)


def record_lost(
    moment: Moment, update: DeviceUpdate, why: str, *, hub_failed: bool = False
) -> DeviceUpdate:
    """Put the attempt in doubt: no response came, and the device may have started.

    A failure of the hub uses up none of the strategy's attempts.
    """
    used = update.attempts_used if hub_failed else update.attempts_used + 1
    delays = update.delays + 1 if hub_failed else 0
    wait = backoff.delay(moment.strategy.retry, used + delays, moment.jitter())
    return begin_wait(moment, update)._replace(
        attempts_used=used,
        delays=delays,
        in_doubt=True,
        not_before=moment.now + wait,
        observe_at=moment.now + wait,
        updated_at=moment.now,
        explanation=f"{why} The device may have started; its twin is observed for a sign.",
    )


def try_later(
    moment: Moment, update: DeviceUpdate, why: str, *, offline: bool = False
) -> DeviceUpdate:
    """Wait and take the next attempt: this call certainly started nothing.

    If an earlier call of the attempt got no response, the attempt is kept: the device may be at
    work on it.
    """
    if update.in_doubt:
        waiting = moves.wait_longer(moment, update, why)
        return waiting._replace(observe_at=waiting.not_before)
    given_up = moves.give_up_if_due(moment, update, why)
    if given_up is not None:
        return given_up
    waited = begin_wait(moment, update)._replace(
        delays=update.delays + 1,
        offline=offline,
    )
    wait = backoff.delay(moment.strategy.retry, waited.delays, moment.jitter())
    until = deadline(moment, waited)
    follows = (
        "It starts once it is connected"
        if offline
        else f"Tried again within {texts.duration(wait)}"
    )
    # With an earlier attempt behind it, the device may still report that one's success.
    invoked_at = update.dispatched_at if update.attempts_used else None
    return moves.next_attempt(
        moment,
        waited,
        f"{why} {follows}, {_describe_limit(moment, until)}.",
        min(moment.now + wait, until),
        dispatched_at=invoked_at,
    )


def _describe_limit(moment: Moment, until: datetime) -> str:
    if moment.strategy.window is None:
        return f"until {texts.utc_time(until)}"
    return f"for at most {texts.duration(until - moment.now)} inside the window"


def _without_secrets(
    moment: Moment, update: DeviceUpdate, response: MethodResponse
) -> MethodResponse:
    """Hide the package URI's secrets: a response is stored and shown, and may repeat the URI."""
    links = moment.rollout.links_for(update)
    return replace(response, payload=hide_secrets_in(response.payload, *links))


def _record_response(
    moment: Moment, update: DeviceUpdate, response: MethodResponse
) -> DeviceUpdate:
    if response.accepts:
        return _accept(moment, update, response)
    update = update._replace(method=response)
    if response.status == BUSY:
        deferral = device_words.describe_deferral(response)
        return _defer(moment, update, deferral) if deferral else _record_busy(moment, update)
    code = ErrorCode.UNREACHABLE if _is_temporary(response.status) else ErrorCode.REJECTED
    return moves.retry_or_fail(moment, update, code, device_words.describe_refusal(response))


def _is_temporary(status: int) -> bool:
    return status in _TEMPORARY or 500 <= status < 600  # noqa: PLR2004 - as in HTTP, 5xx


def _accept(moment: Moment, update: DeviceUpdate, response: MethodResponse) -> DeviceUpdate:
    return moves.move(
        moment,
        update,
        DeviceState.ACCEPTED,
        "The device accepted the update.",
        method=response,
        accepted_at=moment.now,
        firmware_status=None,  # an earlier attempt's, which had ended
        delays=0,
        waiting_since=None,
        observe_at=attention.next_observation(moment, update.dispatched_at),
    )


def _defer(moment: Moment, update: DeviceUpdate, why: str) -> DeviceUpdate:
    """Try later: a device that defers is at work on no attempt, also on none that is in doubt."""
    return try_later(moment, update._replace(in_doubt=False), why)


def _record_busy(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """End the attempt if the device hangs in an attempt of this rollout; else wait for it."""
    has_ended = update.firmware_status == "failed" or update.baseline.busy_elsewhere
    if _has_begun(update) and not update.in_doubt and not has_ended:
        message = "The device is still busy with an earlier attempt of this rollout."
        return moves.retry_or_fail(moment, update, ErrorCode.TIMED_OUT, message)
    return try_later(moment, update, "The device is busy with another update.")


def _has_begun(update: DeviceUpdate) -> bool:
    """Return whether the device began an attempt since it last failed.

    If the twin was observed before the response came, no line says that the device accepted.
    """
    telling = (IN_FLIGHT - {DeviceState.DISPATCHING}) | {DeviceState.FAILED}
    last = next((line.state for line in reversed(update.history) if line.state in telling), None)
    return last not in {None, DeviceState.FAILED}


def _record_offline(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Wait for the device, or leave it out if the strategy does not wait for offline devices.

    The hub may be wrong about a device that its twin calls connected: it is observed once more.
    """
    is_left_out = moment.strategy.offline.policy is OfflinePolicy.SKIP
    waits = not is_left_out or update.in_doubt or fair_time.is_in_outage(moment, update)
    if waits or not (update.seen_offline or update.delays):
        since = texts.utc_time(update.waiting_since or moment.now)
        return try_later(moment, update, f"Offline since {since}.", offline=True)
    return leave_offline(moment, update)


def leave_offline(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Leave out a device for which the strategy does not wait."""
    if update.attempts_used > 0:  # something went wrong before: that must count
        message = "The device is offline, and the strategy does not wait."
        return moves.fail(moment, update, ErrorCode.UNREACHABLE, message)
    message = "Skipped: the device was offline, and the strategy does not wait."
    return moves.skip(moment, update, SkipReason.OFFLINE, message)
