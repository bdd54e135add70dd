"""One rollout at one moment: the input of all rules of a device."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Moment:
    """A rollout as it was read, and the time. The rules have no other clock or randomness."""

    rollout: Rollout
    now: datetime
    jitter: Callable[[], float]  # returns numbers in 0..1
    strategy: Strategy  # the rollout's
    updating: int  # devices in flight, in all waves
    startable: timedelta  # how long its devices could start until now


def moment_of(
    rollout: Rollout, now: datetime, jitter: Callable[[], float], startable: timedelta
) -> Moment:
    """Return `rollout` at `now`."""
    updating = sum(wave.counts.updating for wave in rollout.waves)
    return Moment(rollout, now, jitter, rollout.strategy, updating, startable)
