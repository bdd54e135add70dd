"""When a rollout is over, and how it ended."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from functions.rollouts.model import (
    DeviceState,
    DeviceUpdate,
    Reason,
    Rollout,
    RolloutStatus,
    count,
)


def end_if_over(rollout: Rollout, updates: Sequence[DeviceUpdate], now: datetime) -> Rollout:
    """End `rollout` once each of its device updates has ended; else give it back unchanged.

    `updates` are all of the rollout's. Devices that were skipped are left out of the reckoning.
    """
    counts = count(update.state for update in updates)
    if rollout.status.ended or counts.ended < counts.total:
        return rollout
    asked = counts.total - counts.skipped
    if counts.completed == asked:
        status = RolloutStatus.COMPLETED
        skipped = f" {counts.skipped} more were skipped." if counts.skipped else ""
        message = f"{asked} of {asked} devices completed.{skipped}"
        reason = Reason(code="allCompleted", message=message)
    else:
        status = RolloutStatus.FAILED
        message = (
            f"{counts.completed} of {asked} devices completed; all of them must."
            f" Failed: {_by_error(updates)}."
        )
        reason = Reason(code="successShare", message=message)
    return replace(rollout, status=status, status_reason=reason, ended_at=now, final_counts=counts)


def _by_error(updates: Sequence[DeviceUpdate]) -> str:
    codes = Counter(
        update.error.code
        for update in updates
        if update.state is DeviceState.FAILED and update.error is not None
    )
    return ", ".join(f"{number} {code}" for code, number in sorted(codes.items()))
