"""What an open rollout knows of the later rollouts that share devices with it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterRollouts:
    """The later rollouts that may supersede devices of a rollout.

    The creation of a later rollout enters its id here, in the earlier rollout's own record. So a
    claim that was decided without the later rollout can no longer be stored.
    """

    ids: tuple[str, ...] = ()  # newest first
    checked: bool = True  # False: queued devices may have to be skipped for them


NO_LATER_ROLLOUTS = LaterRollouts()
