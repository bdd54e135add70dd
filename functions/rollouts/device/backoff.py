"""How long to wait before the next attempt."""

from datetime import timedelta

from functions.rollouts.model.strategy import Retry

_MAX_DOUBLINGS = 32  # far past any max_delay; keeps the power small


def delay(retry: Retry, number: int, jitter: float) -> timedelta:
    """Return the wait before repeat `number`, from 1.

    The wait doubles from `initial_delay` up to `max_delay`. Then a random share of its second
    half is taken away, so that devices that failed together do not come back together.
    `jitter` is in 0..1. Example: initial 30 s, number 3, jitter 0.5 -> 120 s x 0.75 = 90 s.
    """
    doublings = min(number - 1, _MAX_DOUBLINGS)
    full = min(retry.initial_delay * (1 << doublings), retry.max_delay)
    share: float = 0.5 + jitter / 2
    return full * share
