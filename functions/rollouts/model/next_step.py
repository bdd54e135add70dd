"""What a person can do next about a rollout, with the commands of `fleet` to do it.

The commands have the names of the API's routes.
"""

from collections.abc import Mapping

from functions.rollouts.model.reason import SCHEDULED, WAITING_DEVICES, WINDOW
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.wave import Counts

_ITSELF = "Next: nothing, it goes on by itself."
_FAILURES = (
    "Next: fleet devices {id} --state failed shows why. Then fleet resume goes on past these"
    " failures, fleet rollback brings devices back, fleet cancel starts no more."
)
_STRATUM = (
    "Next: fleet devices {id} --state failed shows why. Then fleet resume, fleet rollback or fleet"
    " cancel, with --stratum NAME, decides for one stratum."
)
_TOO_LITTLE = "tooLittleEvidence"
# Late successes and a retry may leave no failed device.
_OF_FAILURES = frozenset({"failureGate", "successShare", "notStarted"})
_MENDED = (
    "Next: no device is failed any more; fleet resume {id} goes on, fleet cancel starts no more."
)
_PAUSED: Mapping[str, str] = {
    "failureGate": _FAILURES,
    "successShare": _FAILURES,
    _TOO_LITTLE: (
        "Next: fleet devices {id} --state skipped shows which devices were left out, and why. Then"
        " fleet retry --state skipped queues them again, fleet resume goes on without them, fleet"
        " cancel starts no more."
    ),
    "notStarted": (
        "Next: fleet devices {id} --error-code unreachable (or rejected) shows why. Then fleet"
        " retry queues them again, fleet resume goes on without them."
    ),
    "stratumFrozen": _STRATUM,
    "manifestExpires": "Next: fleet create with the new manifest; fleet cancel {id} ends this.",
    "packageUriExpires": "Next: fleet resume {id} --package-uri with a link that is valid longer.",
    "packageStorage": "Next: assign the roles, then fleet resume {id}.",
    "paused": "Next: fleet resume {id} goes on, fleet cancel starts no more.",
}
_RUNNING: Mapping[str, str] = {
    SCHEDULED: _ITSELF,
    WINDOW: _ITSELF,
    WAITING_DEVICES: (
        f"{_ITSELF} fleet devices {{id}} --state queued lists them; fleet why DEVICE says what one"
        " waits for, and until when."
    ),
    "awaitingApproval": "Next: fleet approve {id} opens it, fleet cancel starts no more.",
    "hubUnavailable": f"{_ITSELF} If it lasts, check the hub's state, and GET /health/ready.",
    "hubRefusesAccess": "Next: give the app access to the hub; then it goes on by itself.",
    "ambientOutage": f"{_ITSELF} If it lasts, check the network of these devices.",
    "dailyQuota": f"{_ITSELF} More units of the hub, in IOTHUB_UNITS too, end it sooner.",
    "frozen": "Next: fleet unfreeze lets all rollouts go on.",
    "stratumFrozen": _STRATUM,
}
_FAILED: Mapping[str, str] = {
    "target": "Next: correct the target, and fleet create again.",
    _TOO_LITTLE: (
        "Next: fleet devices {id} shows why each was left out; fleet retry {id} --state skipped"
        " queues these again."
    ),
}
_ENDED_WITH_FAILURES = (
    "Next: fleet devices {id} --state failed shows why; fleet retry {id} queues these again."
)
_CANCELLED = "Next: fleet retry {id} --state cancelled continues it."
_CANCELLED_WITH_FAILURES = (
    "Next: fleet devices {id} --state failed shows why devices failed; fleet rollback {id} brings"
    " the others back."
)


def next_step(rollout: Rollout, code: str) -> str | None:
    """Return what to do next about a status with the reason `code`; None: there is nothing."""
    if isinstance(rollout.rollback, RolledBack):
        return f"Next: fleet watch {rollout.rollback.rollback_id} follows its rollback."
    if isinstance(rollout.rollback, RollbackDue):
        return "Next: nothing, its rollback begins once devices under way have ended."
    text = _text(rollout, code)
    return None if text is None else text.replace("{id}", rollout.id)


def _text(rollout: Rollout, code: str) -> str | None:
    counts = rollout.counts
    if code == _TOO_LITTLE and not _has_left_out(rollout):  # its devices failed
        code = "successShare"
    match rollout.status:
        case RolloutStatus.PAUSED:
            is_mended = code in _OF_FAILURES and not counts.failed
            return _MENDED if is_mended else _PAUSED.get(code, _PAUSED["paused"])
        case RolloutStatus.RUNNING | RolloutStatus.SCHEDULED:
            return _RUNNING.get(code)
        case RolloutStatus.FAILED:
            return _FAILED.get(code, _ENDED_WITH_FAILURES)
        case RolloutStatus.COMPLETED:
            return _ENDED_WITH_FAILURES if counts.failed else None
    return _after_cancel(counts)


def _after_cancel(counts: Counts) -> str | None:
    if counts.ended < counts.total:
        return "Next: nothing, devices under way are followed to their end."
    if counts.failed and counts.completed:
        return _CANCELLED_WITH_FAILURES
    return _CANCELLED if counts.cancelled else None


def _has_left_out(rollout: Rollout) -> bool:
    """Return whether devices were skipped that a retry would queue again."""
    return rollout.counts.skipped > sum(wave.already_running for wave in rollout.waves)
