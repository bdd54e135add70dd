"""What keeps a rollout paused, and since which revision the rollout shows it."""

from dataclasses import dataclass

from functions.rollouts.model.gate_sequence import Mark
from functions.rollouts.model.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFailures:
    """A failed wave as a revision of its rollout shows it."""

    revision: int
    failed: int
    ended: bool  # whether all its devices have ended
    mark: Mark  # how far the wave's devices had come


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A pause by an operator, or a failed wave; it lasts until an operator resumes past it."""

    reason: Reason
    revision: int  # the first revision that shows it
    wave: int | None = None  # the number of the failed wave; None: an operator's pause
    shown: tuple[ShownFailures, ...] = ()  # of what failed, each time that it became worse
    stratum: int | None = None  # the index of the stratum that failed; None: none did
