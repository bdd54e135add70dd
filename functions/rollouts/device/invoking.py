"""How a device is asked: its update is claimed, the direct method is sent, its answer taken in.

    queued --claim--> dispatching --answered--> accepted, or back to queued, or an end

A claim is stored before its method is sent.
"""

from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from functions.rollouts.device import backoff, device_words, moves, reports
from functions.rollouts.device.moves import Moment
from functions.rollouts.model.device_update import (
    IN_FLIGHT,
    DeviceState,
    DeviceTwin,
    DeviceUpdate,
    ErrorCode,
    MethodResponse,
)
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    HubRefused,
    Lost,
    MethodOutcome,
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


def may_send(at: Moment, update: DeviceUpdate) -> bool:
    """Whether a direct method may be sent at all; to be asked again before each sending."""
    if update.state is DeviceState.QUEUED:
        return True
    return repeatable(at, update)


def repeatable(at: Moment, update: DeviceUpdate) -> bool:
    """Whether the same attempt may be sent again: it is in doubt, and the device knows repeats."""
    retry = at.strategy.retry
    tries_left = RetryOn.UNREACHABLE in retry.on and update.tries < retry.attempts
    return (
        update.state is DeviceState.DISPATCHING
        and update.in_doubt
        and update.baseline.recognises_repeats
        and tries_left
    )


def is_ready(at: Moment, update: DeviceUpdate) -> bool:
    """Whether the device itself has no reason to wait any longer."""
    if update.state is not DeviceState.QUEUED:  # no look at the twin is left to be waited for
        return update.observe_at is None and repeatable(at, update)
    return not update.offline and (update.not_before is None or update.not_before <= at.now)


def claim(at: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Make `update` ready for its method to be sent; to be stored before the sending."""
    until = at.now + CLAIM_LEASE
    if update.in_doubt:  # the same attempt again: what it began with still counts
        return update._replace(
            not_before=until,
            observe_at=until,
            updated_at=at.now,
            explanation="Asking the device again.",
        )
    return moves.step(
        at,
        update,
        DeviceState.DISPATCHING,
        "Asking the device to update.",
        not_before=until,
        observe_at=until,
        method=None,
        offline=False,
        dispatched_at=at.now,
        baseline=reports.baseline(at.rollout.id, twin),
        previous_version=update.previous_version or reports.running_version(twin),
    )


def answered(
    at: Moment, update: DeviceUpdate, attempt: int, outcome: MethodOutcome
) -> DeviceUpdate:
    """Take in how the direct method of `attempt` ended; an older attempt is no news."""
    if update.attempt != attempt or update.state.ended:
        return update
    if isinstance(outcome, Responded):
        outcome = Responded(_without_secrets(at, update, outcome.answer))
    if update.state is not DeviceState.DISPATCHING:
        # The twin was quicker than the answer: only the answer itself is news.
        return update._replace(method=outcome.answer) if isinstance(outcome, Responded) else update
    match outcome:
        case Responded(answer):
            moved = _device_answered(at, update, answer)
        case DeviceOffline():
            moved = _offline(at, update)
        case NotDelivered(message):
            moved = try_later(at, update, message)
        case Lost(message):
            moved = lost(at, update, message)
        case HubRefused(message):
            moved = moves.failed(at, update, ErrorCode.UNREACHABLE, message)
        case _:
            assert_never(outcome)
    return moved


def wait_for_turn(at: Moment, update: DeviceUpdate, why: str) -> DeviceUpdate:
    """Leave a queued update for later without having asked the device anything."""
    return moves.given_up(at, update, why) or moves.wait_longer(at, update, why)


def lost(at: Moment, update: DeviceUpdate, why: str) -> DeviceUpdate:
    """No answer came: the device may have started."""
    message = f"{why} The device may have started; its twin is watched for a sign."
    wait = backoff.delay(at.strategy.retry, update.tries + 1, at.jitter())
    return update._replace(
        tries=update.tries + 1,
        in_doubt=True,
        not_before=at.now + wait,
        observe_at=at.now + wait,
        updated_at=at.now,
        explanation=message,
    )


def try_later(at: Moment, update: DeviceUpdate, why: str, *, offline: bool = False) -> DeviceUpdate:
    """This call certainly started nothing: wait, and take the next attempt.

    Unless an earlier call of the attempt got no answer. Then the attempt is kept, as the device
    may be at work on it.
    """
    if update.in_doubt:
        waiting = moves.wait_longer(at, update, why)
        return waiting._replace(observe_at=waiting.not_before)
    given_up = moves.given_up(at, update, why)
    if given_up is not None:
        return given_up
    waited = update._replace(
        delays=update.delays + 1,
        waiting_since=update.waiting_since or at.now,
        offline=offline,
        seen_gone=False,
    )
    wait = backoff.delay(at.strategy.retry, waited.delays, at.jitter())
    again = min(at.now + wait, moves.deadline(at, waited))
    # With an earlier attempt behind it, the device may still report that one's success.
    asked = update.dispatched_at if update.tries else None
    until = moves.clock(moves.deadline(at, waited))
    message = (
        f"{why} It starts once it is connected, until {until}."
        if offline
        else f"{why} Tried again within {moves.seconds(wait)}, until {until}."
    )
    return moves.next_attempt(at, waited, message, again, dispatched_at=asked)


def _without_secrets(at: Moment, update: DeviceUpdate, answer: MethodResponse) -> MethodResponse:
    """An answer is kept and shown, and a device may repeat in it what it was sent."""
    uri = at.rollout.firmware_for(update).package_uri
    return replace(answer, payload=hidden_in(answer.payload, uri))


def _device_answered(at: Moment, update: DeviceUpdate, answer: MethodResponse) -> DeviceUpdate:
    update = update._replace(method=answer)
    if 200 <= answer.status < 300:  # noqa: PLR2004 - as in HTTP, 2xx is a yes
        return moves.step(
            at,
            update,
            DeviceState.ACCEPTED,
            "The device accepted the update.",
            accepted_at=at.now,
            firmware_status=None,  # an earlier attempt's, which had ended
            delays=0,
            waiting_since=None,
            observe_at=moves.next_look(at, update.dispatched_at),
        )
    if answer.status == BUSY:
        deferral = device_words.deferral(answer)
        return _deferred(at, update, deferral) if deferral else _busy(at, update)
    return moves.failed(at, update, ErrorCode.REJECTED, device_words.refusal(answer))


def _deferred(at: Moment, update: DeviceUpdate, why: str) -> DeviceUpdate:
    """It is not at work on any attempt, also on one whose answer was lost."""
    return try_later(at, update._replace(in_doubt=False), why)


def _busy(at: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """One that still is at work on an attempt of this rollout hangs; any other is waited for."""
    ended = update.firmware_status == "failed" or update.baseline.busy_elsewhere
    if _begun(update) and not update.in_doubt and not ended:
        message = "The device is still busy with an earlier attempt of this rollout."
        return moves.retry_or_fail(at, update, ErrorCode.TIMED_OUT, message)
    return try_later(at, update, "The device is busy with another update.")


def _begun(update: DeviceUpdate) -> bool:
    """Whether it began an attempt since it last failed: one retried by hand begins anew.

    A twin that is quicker than the answer tells so without a line that the device accepted.
    """
    telling = (IN_FLIGHT - {DeviceState.DISPATCHING}) | {DeviceState.FAILED}
    last = next((line.state for line in reversed(update.history) if line.state in telling), None)
    return last not in {None, DeviceState.FAILED}


def _offline(at: Moment, update: DeviceUpdate) -> DeviceUpdate:
    if at.strategy.offline.policy is OfflinePolicy.WAIT or update.in_doubt:
        since = moves.clock(update.waiting_since or at.now)
        return try_later(at, update, f"Offline since {since}.", offline=True)
    if update.tries > 0:  # it was asked before, and something went wrong: that must count
        message = "The device is offline, and the strategy does not wait."
        return moves.failed(at, update, ErrorCode.UNREACHABLE, message)
    message = "Skipped: the device was offline, and the strategy does not wait."
    return moves.step(at, update, DeviceState.SKIPPED, message, ended_at=at.now)
