"""How a device is asked: its update is claimed, the direct method is sent, its answer taken in.

    queued --claim--> dispatching --answered--> accepted, or back to queued, or an end

A claim is stored before its method is sent.
"""

from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from functions.rollouts.device import backoff, device_words, moves, reports
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import IN_FLIGHT, DeviceState, ErrorCode
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    HubRefused,
    Lost,
    MethodOutcome,
    MethodResponse,
    NotDelivered,
    Responded,
)
from functions.rollouts.model.package_uri import hidden_in
from functions.rollouts.model.strategy import OfflinePolicy, RetryOn

# A claimed update whose sender has said nothing for this long lost its sender: longer than a
# direct method may wait to be sent and then take to answer.
CLAIM_LEASE = timedelta(seconds=90)
# A device answers so while another update runs (device contract).
BUSY = 409


def may_send(moment: Moment, update: DeviceUpdate) -> bool:
    """Whether a direct method may be sent at all; to be asked again before each sending."""
    if update.state is DeviceState.QUEUED:
        return True
    return repeatable(moment, update)


def repeatable(moment: Moment, update: DeviceUpdate) -> bool:
    """Whether the same attempt may be sent again: it is in doubt, and the device knows repeats."""
    retry = moment.strategy.retry
    tries_left = RetryOn.UNREACHABLE in retry.on and update.attempts_used < retry.attempts
    return (
        update.state is DeviceState.DISPATCHING
        and update.in_doubt
        and update.baseline.recognises_repeats
        and tries_left
    )


def is_ready(moment: Moment, update: DeviceUpdate) -> bool:
    """Whether the device itself has no reason to wait any longer."""
    if update.state is not DeviceState.QUEUED:  # no look at the twin is left to be waited for
        return update.observe_at is None and repeatable(moment, update)
    return not update.offline and (update.not_before is None or update.not_before <= moment.now)


def claim(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Make `update` ready for its method to be sent; to be stored before the sending."""
    until = moment.now + CLAIM_LEASE
    if update.in_doubt:  # the same attempt again: what it began with still counts
        return update._replace(
            not_before=until,
            observe_at=until,
            updated_at=moment.now,
            explanation="Asking the device again.",
        )
    return moves.move(
        moment,
        update,
        DeviceState.DISPATCHING,
        "Asking the device to update.",
        not_before=until,
        observe_at=until,
        method=None,
        offline=False,
        dispatched_at=moment.now,
        baseline=reports.baseline(moment.rollout.id, twin),
        previous_version=update.previous_version or reports.running_version(twin),
    )


def record_outcome(
    moment: Moment, update: DeviceUpdate, attempt: int, outcome: MethodOutcome
) -> DeviceUpdate:
    """Take in how the direct method of `attempt` ended; an older attempt is no news."""
    if update.attempt != attempt or update.state.ended:
        return update
    if isinstance(outcome, Responded):
        outcome = Responded(_without_secrets(moment, update, outcome.response))
    if update.state is not DeviceState.DISPATCHING:
        # The twin was quicker than the answer: only the answer itself is news.
        return (
            update._replace(method=outcome.response) if isinstance(outcome, Responded) else update
        )
    match outcome:
        case Responded(answer):
            moved = _device_answered(moment, update, answer)
        case DeviceOffline():
            moved = _offline(moment, update)
        case NotDelivered(message):
            moved = try_later(moment, update, message)
        case Lost(message):
            moved = lost(moment, update, message)
        case HubRefused(message):
            moved = moves.fail(moment, update, ErrorCode.UNREACHABLE, message)
        case _:
            assert_never(outcome)
    return moved


def wait_for_turn(moment: Moment, update: DeviceUpdate, why: str) -> DeviceUpdate:
    """Leave a queued update for later without having asked the device anything."""
    return moves.give_up_if_due(moment, update, why) or moves.wait_longer(moment, update, why)


def lost(moment: Moment, update: DeviceUpdate, why: str) -> DeviceUpdate:
    """No answer came: the device may have started."""
    message = f"{why} The device may have started; its twin is watched for a sign."
    wait = backoff.delay(moment.strategy.retry, update.attempts_used + 1, moment.jitter())
    return update._replace(
        attempts_used=update.attempts_used + 1,
        in_doubt=True,
        not_before=moment.now + wait,
        observe_at=moment.now + wait,
        updated_at=moment.now,
        explanation=message,
    )


def try_later(
    moment: Moment, update: DeviceUpdate, why: str, *, offline: bool = False
) -> DeviceUpdate:
    """This call certainly started nothing: wait, and take the next attempt.

    Unless an earlier call of the attempt got no answer. Then the attempt is kept, as the device
    may be at work on it.
    """
    if update.in_doubt:
        waiting = moves.wait_longer(moment, update, why)
        return waiting._replace(observe_at=waiting.not_before)
    given_up = moves.give_up_if_due(moment, update, why)
    if given_up is not None:
        return given_up
    waited = update._replace(
        delays=update.delays + 1,
        waiting_since=update.waiting_since or moment.now,
        offline=offline,
        seen_gone=False,
    )
    wait = backoff.delay(moment.strategy.retry, waited.delays, moment.jitter())
    again = min(moment.now + wait, moves.deadline(moment, waited))
    # With an earlier attempt behind it, the device may still report that one's success.
    asked = update.dispatched_at if update.attempts_used else None
    until = moves.clock(moves.deadline(moment, waited))
    message = (
        f"{why} It starts once it is connected, until {until}."
        if offline
        else f"{why} Tried again within {moves.seconds(wait)}, until {until}."
    )
    return moves.next_attempt(moment, waited, message, again, dispatched_at=asked)


def _without_secrets(
    moment: Moment, update: DeviceUpdate, answer: MethodResponse
) -> MethodResponse:
    """An answer is kept and shown, and a device may repeat in it what it was sent."""
    uri = moment.rollout.firmware_for(update).package_uri
    return replace(answer, payload=hidden_in(answer.payload, uri))


def _device_answered(moment: Moment, update: DeviceUpdate, answer: MethodResponse) -> DeviceUpdate:
    update = update._replace(method=answer)
    if 200 <= answer.status < 300:  # noqa: PLR2004 - as in HTTP, 2xx is a yes
        return moves.move(
            moment,
            update,
            DeviceState.ACCEPTED,
            "The device accepted the update.",
            accepted_at=moment.now,
            firmware_status=None,  # an earlier attempt's, which had ended
            delays=0,
            waiting_since=None,
            observe_at=moves.next_look(moment, update.dispatched_at),
        )
    if answer.status == BUSY:
        deferral = device_words.deferral(answer)
        return _deferred(moment, update, deferral) if deferral else _busy(moment, update)
    return moves.fail(moment, update, ErrorCode.REJECTED, device_words.refusal(answer))


def _deferred(moment: Moment, update: DeviceUpdate, why: str) -> DeviceUpdate:
    """It is not at work on any attempt, also on one whose answer was lost."""
    return try_later(moment, update._replace(in_doubt=False), why)


def _busy(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """One that still is at work on an attempt of this rollout hangs; any other is waited for."""
    ended = update.firmware_status == "failed" or update.baseline.busy_elsewhere
    if _begun(update) and not update.in_doubt and not ended:
        message = "The device is still busy with an earlier attempt of this rollout."
        return moves.retry_or_fail(moment, update, ErrorCode.TIMED_OUT, message)
    return try_later(moment, update, "The device is busy with another update.")


def _begun(update: DeviceUpdate) -> bool:
    """Whether it began an attempt since it last failed: one retried by hand begins anew.

    A twin that is quicker than the answer tells so without a line that the device accepted.
    """
    telling = (IN_FLIGHT - {DeviceState.DISPATCHING}) | {DeviceState.FAILED}
    last = next((line.state for line in reversed(update.history) if line.state in telling), None)
    return last not in {None, DeviceState.FAILED}


def _offline(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    if moment.strategy.offline.policy is OfflinePolicy.WAIT or update.in_doubt:
        since = moves.clock(update.waiting_since or moment.now)
        return try_later(moment, update, f"Offline since {since}.", offline=True)
    if update.attempts_used > 0:  # it was asked before, and something went wrong: that must count
        message = "The device is offline, and the strategy does not wait."
        return moves.fail(moment, update, ErrorCode.UNREACHABLE, message)
    message = "Skipped: the device was offline, and the strategy does not wait."
    return moves.move(moment, update, DeviceState.SKIPPED, message, ended_at=moment.now)
