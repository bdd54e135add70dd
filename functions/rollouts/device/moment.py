"""One rollout at one moment: what the rules decide by."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Strategy

# So many devices under way are looked at in every tick; of more, each when it may have news.
FEW = 20
# From so many devices that have finished, the others' time is known well enough.
ENOUGH_FINISHED = 5


@dataclass(frozen=True, slots=True)
class Moment:
    """A rollout as it was read, and the time. The rules know no other clock or chance."""

    rollout: Rollout
    now: datetime
    jitter: Callable[[], float]  # returns numbers in 0..1
    strategy: Strategy  # the rollout's
    crowded: bool  # too many devices are in flight to observe each in every tick
    usual: timedelta | None  # how long a device usually takes; None: unknown


def moment_of(rollout: Rollout, now: datetime, jitter: Callable[[], float]) -> Moment:
    """Return `rollout` at `now`."""
    updating = sum(wave.counts.updating for wave in rollout.waves)
    measured = rollout.measured
    known = measured.finished >= ENOUGH_FINISHED
    usual = timedelta(seconds=measured.finish_seconds / measured.finished) if known else None
    return Moment(rollout, now, jitter, rollout.strategy, updating > FEW, usual)
