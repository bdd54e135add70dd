"""A reason that programs and people can read."""

from dataclasses import dataclass

# What a running rollout waits for although nothing is wrong; any other reason replaces these.
WINDOW, WAITING_DEVICES = "window", "waitingForDevices"
WAITS = frozenset({WINDOW, WAITING_DEVICES})
SCHEDULED = "scheduled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is as it is."""

    code: str  # for programs
    message: str  # a sentence for people, with its numbers
