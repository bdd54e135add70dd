"""End a queued update whose rollout is cancelled: at once, or after an earlier attempt.

A device between two attempts may still be at work on the earlier one, and complete it. Its update
stays queued and is followed, for the strategy's timeout at most. Nothing is sent any more.
"""

from functions.rollouts.device import attention, moves
from functions.rollouts.device.deadlines import has_come
from functions.rollouts.device.moment import Moment
from functions.rollouts.device.undoing import may_be_at_work
from functions.rollouts.model import texts
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate


def cancel_queued(
    moment: Moment, update: DeviceUpdate, subject: str = "The rollout"
) -> DeviceUpdate:
    """Cancel a queued device, or follow it if an earlier attempt may still be at work.

    `subject` is what was cancelled, for the message.
    """
    if update.state is not DeviceState.QUEUED or attention.is_followed(update):
        return update
    if may_be_at_work(update):
        return _follow(moment, update, subject)
    if update.dispatched_at is None:
        return _cancel(moment, update, f"{subject} was cancelled before the device started.")
    return _cancel(moment, update, f"{subject} was cancelled before the device's next attempt.")


def decide_followed(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Cancel an update that was followed for long enough; else observe it again later."""
    if has_come(moment, update.not_before):
        timeout = texts.duration(moment.strategy.timeout)
        message = (
            "The rollout was cancelled before the device's next attempt. The earlier attempt has"
            f" not ended within {timeout} since then, as far as the device reported."
        )
        return _cancel(moment, update, message)
    if not has_come(moment, update.observe_at):
        return update
    return update._replace(observe_at=attention.next_observation(moment, update.dispatched_at))


def _follow(moment: Moment, update: DeviceUpdate, subject: str) -> DeviceUpdate:
    until = moment.now + moment.strategy.timeout
    return update._replace(
        not_before=until,
        observe_at=attention.next_observation(moment, update.dispatched_at),
        offline=False,
        updated_at=moment.now,
        explanation=(
            f"{subject} was cancelled, and an earlier attempt may still be at work: the device is"
            f" observed until {texts.utc_time(until)}."
        ),
    )


def _cancel(moment: Moment, update: DeviceUpdate, message: str) -> DeviceUpdate:
    return moves.move(
        moment, update, DeviceState.CANCELLED, message, ended_at=moment.now, offline=False
    )
