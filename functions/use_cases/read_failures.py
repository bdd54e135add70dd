"""Read how many devices of a rollout have failed with each error code."""

from collections.abc import Sequence
from dataclasses import replace

from functions.rollouts.model.failure_count import FailureCount
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout.failure_tally import count_failures
from functions.use_cases.services import Services


def read_failures(services: Services, rollout: Rollout) -> Sequence[FailureCount]:
    """Return the failures by code, each with an example.

    Reads devices only for what the record does not tell: failures that an earlier release stored,
    and another example where the last one has moved on. Raises UnknownError.
    """
    if _is_complete(rollout.failures):
        return rollout.failures or ()
    now = services.clock()
    blocks = services.watch.read_states(services.stores, rollout.id, now).blocks
    return complete(rollout.failures, count_failures(blocks))


def complete(
    stored: Sequence[FailureCount] | None, counted: Sequence[FailureCount]
) -> Sequence[FailureCount]:
    """Return the stored failures with the missing examples; None: those that were counted."""
    if stored is not None and _is_complete(stored):
        return stored
    if stored is None:
        return counted
    examples = {item.code: item.example for item in counted}
    return [replace(item, example=item.example or examples.get(item.code)) for item in stored]


def _is_complete(stored: Sequence[FailureCount] | None) -> bool:
    return stored is not None and all(item.example is not None for item in stored)
