"""Create a rollout and advance it at once, so that it does not wait for the next tick."""

import logging

from functions.errors import FleetRolloutError
from functions.rollouts.model.new_rollout import NewRollout
from functions.use_cases.advance import advance
from functions.use_cases.create import Creation, create
from functions.use_cases.services import Services

# Writing the rows of more devices takes longer than a caller can wait.
MAX_ADVANCED_BY_REQUEST = 5_000

_log = logging.getLogger(__name__)


def submit(services: Services, request: NewRollout, key: str | None) -> Creation:
    """Create the rollout and advance it once.

    Raises as `create`. If advancing fails, the error is logged and the next tick advances it.
    """
    creation = create(services, request, key)
    rollout = creation.rollout
    if creation.is_new and not creation.updates and rollout.counts.total <= MAX_ADVANCED_BY_REQUEST:
        try:
            advance(services, only=rollout.id)
        except FleetRolloutError as error:
            _log.warning("rollout %s: waits for the next tick: %s", rollout.id, error)
    return creation
