"""How long to wait before the next try."""

from datetime import timedelta

from functions.rollouts.model.strategy import Retry

_DOUBLINGS_AT_MOST = 32  # far past any max_delay; keeps the power small


def delay(retry: Retry, number: int, jitter: float) -> timedelta:
    """The wait before try `number` (1 is the first repeat).

    Doubles from `initial_delay` up to `max_delay`, then a random share of its second half is
    taken away, so that devices that failed together do not come back together.
    `jitter` is in 0..1. Example: initial 30 s, number 3, jitter 0.5 -> 120 s x 0.75 = 90 s.
    """
    doublings = min(number - 1, _DOUBLINGS_AT_MOST)
    full = min(retry.initial_delay * (1 << doublings), retry.max_delay)
    share: float = 0.5 + jitter / 2
    return full * share
