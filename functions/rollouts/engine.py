"""How a device update moves: what is stored, what was observed and the time make the next record.

    queued --claim--> dispatching --answered--> accepted --observe--> downloading, applying,
       ^                  |                        |                  completed or failed
       +-- next attempt --+------- timed out ------+

- A device update moves forward only; going back to `queued` always takes the next attempt.
- `dispatching` is stored before the method is sent. When the answer is lost, the attempt is in
  doubt: it stays in `dispatching` until the twin, or the answer to a repeat of the *same*
  attempt, settles it; a device ignores a repeat. A device that may not know repeats is never
  sent one: its twin is watched instead.
- Every change says why, in the words that the API shows.

Numbers of a device update: `attempt` names what is asked of the device, and it knows repeats by
it; `claims` counts sendings; `tries` counts what the strategy's `retry.attempts` limits;
`delays` counts waits in a row and feeds the back-off.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from functions.rollouts import backoff, reports
from functions.rollouts.method_outcome import (
    Answered,
    DeviceOffline,
    HubRefused,
    Lost,
    MethodOutcome,
    NotDelivered,
)
from functions.rollouts.model import (
    DeviceState,
    DeviceTwin,
    DeviceUpdate,
    ErrorCode,
    MethodAnswer,
    OfflinePolicy,
    Reason,
    RetryOn,
    Rollout,
    Step,
    Strategy,
)

# A claimed update whose sender has said nothing for this long lost its sender: longer than a
# direct method may wait to be sent and then take to answer.
CLAIM_LEASE = timedelta(seconds=90)
# How long a batch may sit in the queue before its updates are handed out again.
HAND_OUT_LEASE = timedelta(seconds=60)
# A device that waits is looked at closely for this long, then only when a try is due: each look
# is a message of the hub's daily quota.
LOOK_CLOSELY = timedelta(minutes=5)
# A device answers so while another update runs (device contract).
BUSY = 409
HISTORY_AT_MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Moves the device updates of one rollout at one moment.

    `jitter` gives random numbers in 0..1 and is the only source of chance here.
    """

    rollout: Rollout
    now: datetime
    jitter: Callable[[], float]

    # -- trying --------------------------------------------------------------------------------

    def is_due(self, update: DeviceUpdate) -> bool:
        """Whether a direct method may be handed out for this update now."""
        return self.may_send(update) and self._time_has_come(update)

    def may_send(self, update: DeviceUpdate) -> bool:
        """Whether a direct method may be sent at all; to be asked again before each sending."""
        repeatable = update.in_doubt and update.baseline.recognises_repeats
        return update.state is DeviceState.QUEUED or (
            update.state is DeviceState.DISPATCHING and repeatable and self._tries_left(update)
        )

    def hand_out(self, update: DeviceUpdate) -> DeviceUpdate:
        """Mark that a batch with this update goes to the queue now."""
        return replace(update, not_before=self.now + HAND_OUT_LEASE, updated_at=self.now)

    def claim(self, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
        """Make `update` ready for its method to be sent; to be stored before the sending."""
        taken = replace(
            update,
            claims=update.claims + 1,
            claimed_at=self.now,
            not_before=self.now + CLAIM_LEASE,
        )
        if update.in_doubt:  # the same attempt again: what it began with still counts
            return replace(taken, updated_at=self.now, explanation="Asking the device again.")
        return self._step(
            taken,
            DeviceState.DISPATCHING,
            "Asking the device to update.",
            not_before=taken.not_before,
            method=None,
            dispatched_at=self.now,
            baseline=reports.baseline(twin),
            previous_version=update.previous_version or reports.running_version(twin),
        )

    def wait_for_turn(self, update: DeviceUpdate, why: str) -> DeviceUpdate:
        """Leave a queued update for later without having asked the device anything."""
        wait = backoff.delay(self._strategy.retry, update.delays + 1, self.jitter())
        return replace(
            update,
            delays=update.delays + 1,
            not_before=self.now + wait,
            updated_at=self.now,
            explanation=f"{why} Tried again in {_seconds(wait)}.",
        )

    def answered(self, update: DeviceUpdate, attempt: int, outcome: MethodOutcome) -> DeviceUpdate:
        """Take in how the direct method of `attempt` ended; an older attempt is no news."""
        if update.attempt != attempt or update.state.ended:
            return update
        if update.state is not DeviceState.DISPATCHING:
            # The twin was quicker than the answer: only the answer itself is news.
            return replace(update, method=_answer(outcome) or update.method)
        match outcome:
            case Answered(answer):
                moved = self._device_answered(update, answer)
            case DeviceOffline():
                moved = self._offline(update)
            case NotDelivered(message):
                moved = self._try_later(update, message)
            case Lost(message):
                moved = self._lost(update, message)
            case HubRefused(message):
                moved = self._failed(update, ErrorCode.UNREACHABLE, message)
            case _:
                assert_never(outcome)
        return moved

    # -- following -----------------------------------------------------------------------------

    def is_watched(self, update: DeviceUpdate) -> bool:
        """Whether the twin is worth a look: the device is under way, or waiting after a try."""
        if update.state.ended:
            return False
        waiting = update.delays > 0 and (update.state is DeviceState.QUEUED or update.in_doubt)
        if not waiting:
            return update.state is not DeviceState.QUEUED or update.attempt > 1
        fresh = update.updated_at + LOOK_CLOSELY > self.now
        return fresh or self._time_has_come(update)

    def observe(self, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
        """Move `update` to where its device says it is; unchanged when the twin has no news."""
        if update.state.ended:
            return update
        told = reports.report(self.rollout.id, update, twin)
        if told is None:
            return self._notice_connection(update, twin)
        if update.state is DeviceState.QUEUED and told.state is not DeviceState.COMPLETED:
            return update
        moved = self._walk(update, told)
        return self._reported(moved, told) if told.state is DeviceState.FAILED else moved

    def must_be_sure(self, update: DeviceUpdate) -> bool:
        """Whether the next decision cannot be taken back, so that only a fresh twin will do."""
        unsettled = update.state is DeviceState.DISPATCHING and self._time_has_come(update)
        return unsettled or self._overdue(update)

    def tick(self, update: DeviceUpdate, twin: DeviceTwin | None) -> DeviceUpdate:
        """Decide what only time decides: time-outs, deadlines, lost senders and lost answers.

        `twin` is what was just observed; None when the hub no longer knows the device.
        """
        if update.state is DeviceState.QUEUED:
            return self._keep_deadline(update)
        if update.state is DeviceState.DISPATCHING and self._time_has_come(update):
            if not update.in_doubt:
                return self._lost(update, "The sender of the method disappeared.")
            return self._settle_doubt(update, twin)
        if self._overdue(update):
            limit = self._strategy.timeout
            message = f"Accepted at {update.accepted_at:%H:%M:%S} UTC, not finished in {limit}."
            return self._retry_or_fail(update, ErrorCode.TIMED_OUT, twin, message)
        return update

    # -- the method's answer -------------------------------------------------------------------

    def _device_answered(self, update: DeviceUpdate, answer: MethodAnswer) -> DeviceUpdate:
        update = replace(update, method=answer)
        if 200 <= answer.status < 300:  # noqa: PLR2004 - as in HTTP, 2xx is a yes
            return self._step(
                update,
                DeviceState.ACCEPTED,
                "The device accepted the update.",
                accepted_at=self.now,
                delays=0,
            )
        if answer.status == BUSY:
            return self._try_later(update, "The device is busy with another update.")
        message = f"The device refused the update with status {answer.status}."
        return self._failed(update, ErrorCode.REJECTED, message)

    def _offline(self, update: DeviceUpdate) -> DeviceUpdate:
        if self._strategy.offline.policy is OfflinePolicy.WAIT or update.in_doubt:
            # The first time, the hub's word is enough to try again as soon as the device is seen
            # connected; later it must have been seen gone, or one that listens to no methods
            # would be tried at every tick.
            later = self._try_later(update, "The device is offline.")
            return replace(later, seen_offline=update.delays == 0)
        if update.tries > 0:  # it was asked before, and something went wrong: that must count
            message = "The device is offline, and the strategy does not wait."
            return self._failed(update, ErrorCode.UNREACHABLE, message)
        message = "Skipped: the device was offline, and the strategy does not wait."
        return self._step(update, DeviceState.SKIPPED, message, ended_at=self.now)

    def _try_later(self, update: DeviceUpdate, why: str) -> DeviceUpdate:
        """This call certainly started nothing: wait, and take the next attempt.

        Unless an earlier call of the attempt got no answer. Then the attempt is kept, as the
        device may be at work on it.
        """
        wait = backoff.delay(self._strategy.retry, update.delays + 1, self.jitter())
        until = update.queued_at + self._strategy.offline.deadline
        message = f"{why} Tried again within {_seconds(wait)}, until {until:%Y-%m-%d %H:%M} UTC."
        waiting = replace(update, delays=update.delays + 1, seen_offline=False)
        not_before = self.now + wait
        if update.in_doubt:
            return replace(waiting, not_before=not_before, updated_at=self.now, explanation=message)
        # With an earlier attempt behind it, the device may still report that one's success.
        asked = update.dispatched_at if update.tries else None
        return self._next_attempt(waiting, message, not_before, dispatched_at=asked)

    def _lost(self, update: DeviceUpdate, why: str) -> DeviceUpdate:
        tries = update.tries + 1
        wait = backoff.delay(self._strategy.retry, tries, self.jitter())
        return replace(
            update,
            tries=tries,
            in_doubt=True,
            not_before=self.now + wait,
            updated_at=self.now,
            explanation=f"{why} The device may have started; its twin is watched for a sign.",
        )

    # -- what the twin says --------------------------------------------------------------------

    def _walk(self, update: DeviceUpdate, told: reports.Report) -> DeviceUpdate:
        """Write down each stage that the device has passed since the last look."""
        for stage, at in told.stages:
            if stage.rank > update.state.rank and stage is not DeviceState.FAILED:
                message = f"The device reported {stage.value}."
                update = self._step(update, stage, message, at=at)
        completed = update.state is DeviceState.COMPLETED
        known = update.progress_percent if told.progress_percent is None else told.progress_percent
        news = replace(
            update,
            firmware_status=told.status,
            progress_percent=100 if completed else known,
            accepted_at=update.accepted_at or self.now,
            ended_at=self.now if completed else None,
            in_doubt=False,
            not_before=None,
            delays=0,
        )
        return update if news == update else replace(news, updated_at=self.now)

    def _reported(self, update: DeviceUpdate, told: reports.Report) -> DeviceUpdate:
        error = told.error or Reason(code="unknown", message="no reason given")
        message = f"The device reported a failure: {error.code}: {error.message}"
        return self._retry_or_fail(update, ErrorCode.REPORTED, None, message)

    def _notice_connection(self, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
        """A device that waits because it is offline becomes due as soon as it is back."""
        waiting = update.state is DeviceState.QUEUED or update.in_doubt
        if not waiting or update.delays == 0:
            return update
        if not twin.connected:
            return update if update.seen_offline else replace(update, seen_offline=True)
        if not update.seen_offline:
            return update
        message = "The device is back online."
        return replace(update, seen_offline=False, not_before=self.now, explanation=message)

    # -- what time decides ---------------------------------------------------------------------

    def _time_has_come(self, update: DeviceUpdate) -> bool:
        return update.not_before is None or update.not_before <= self.now

    def _tries_left(self, update: DeviceUpdate) -> bool:
        retry = self._strategy.retry
        return RetryOn.UNREACHABLE in retry.on and update.tries < retry.attempts

    def _overdue(self, update: DeviceUpdate) -> bool:
        running = DeviceState.ACCEPTED.rank <= update.state.rank < DeviceState.COMPLETED.rank
        if not running or update.accepted_at is None:
            return False
        return update.accepted_at + self._strategy.timeout <= self.now

    def _settle_doubt(self, update: DeviceUpdate, twin: DeviceTwin | None) -> DeviceUpdate:
        """No sign of the update on the twin: repeat the attempt, keep watching, or give up."""
        if twin is None:
            message = "The hub no longer knows the device."
            return self._failed(update, ErrorCode.UNREACHABLE, message)
        if update.queued_at + self._strategy.offline.deadline <= self.now:
            message = "The method's answer was lost, and the deadline is over."
            return self._failed(update, ErrorCode.UNREACHABLE, message)
        if not twin.connected:
            return replace(self._try_later(update, "The device is offline."), seen_offline=True)
        if self.may_send(update):
            message = "No sign of a start on the twin: the same attempt is sent again."
            return replace(update, explanation=message)
        until = (update.claimed_at or self.now) + self._strategy.timeout
        if until > self.now:
            return replace(update, not_before=until, updated_at=self.now)
        message = "The method's answer was lost, and the device has shown no sign of the update."
        return self._retry_or_fail(update, ErrorCode.UNREACHABLE, twin, message)

    def _keep_deadline(self, update: DeviceUpdate) -> DeviceUpdate:
        limit = self._strategy.offline.deadline
        if update.delays == 0 or update.queued_at + limit > self.now:
            return update
        message = f"Not reached within {limit}. Last: {update.explanation}"
        return self._failed(update, ErrorCode.UNREACHABLE, message)

    def _retry_or_fail(
        self, update: DeviceUpdate, code: ErrorCode, twin: DeviceTwin | None, message: str
    ) -> DeviceUpdate:
        """The attempt is over; another follows if the strategy allows it and the device is there.

        A device that accepted and is gone at the end of its time is not waited for: it is the
        one that may be bricked, and it must count.
        """
        retry = self._strategy.retry
        # An answer that was lost has been counted when it was lost.
        tries = update.tries + (0 if code is ErrorCode.UNREACHABLE else 1)
        if code is not ErrorCode.REPORTED and (twin is None or not twin.connected):
            return self._failed(update, code, f"{message} The device is not connected.")
        if RetryOn(code.value) not in retry.on or tries >= retry.attempts:
            return self._failed(update, code, message)
        wait = backoff.delay(retry, tries, self.jitter())
        follows = f"{message} Try {tries + 1} of {retry.attempts} follows in {_seconds(wait)}."
        tried = replace(update, tries=tries, delays=0)
        return self._next_attempt(tried, follows, self.now + wait)

    # -- records -------------------------------------------------------------------------------

    @property
    def _strategy(self) -> Strategy:
        return self.rollout.strategy

    def _next_attempt(
        self, update: DeviceUpdate, message: str, not_before: datetime, **changes: Any
    ) -> DeviceUpdate:
        return self._step(
            update,
            DeviceState.QUEUED,
            message,
            attempt=update.attempt + 1,
            not_before=not_before,
            accepted_at=None,
            progress_percent=None,
            **changes,
        )

    def _failed(self, update: DeviceUpdate, code: ErrorCode, message: str) -> DeviceUpdate:
        error = Reason(code=code.value, message=message)
        return self._step(update, DeviceState.FAILED, message, error=error, ended_at=self.now)

    def _step(
        self,
        update: DeviceUpdate,
        state: DeviceState,
        message: str,
        *,
        at: datetime | None = None,
        **changes: Any,
    ) -> DeviceUpdate:
        attempt = changes.get("attempt", update.attempt)
        # A device's stage has the hub's time, the rest this app's: no clock runs backwards here.
        earliest = update.history[-1].at if update.history else self.now
        line = Step(state=state, attempt=attempt, at=max(at or self.now, earliest), message=message)
        known: dict[str, Any] = {
            "state": state,
            "updated_at": self.now,
            "explanation": message,
            "history": (*update.history, line)[-HISTORY_AT_MOST:],
            "in_doubt": False,
            "not_before": None,
        }
        return replace(update, **(known | changes))


def _answer(outcome: MethodOutcome) -> MethodAnswer | None:
    return outcome.answer if isinstance(outcome, Answered) else None


def _seconds(wait: timedelta) -> str:
    return f"{wait.total_seconds():.0f} s"
