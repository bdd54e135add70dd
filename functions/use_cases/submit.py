"""Create a rollout, and let the timer's work on it begin at once instead of with its next tick."""

import logging

from functions.errors import FleetRolloutError
from functions.rollouts.model.new_rollout import NewRollout
from functions.use_cases.advance import advance
from functions.use_cases.create import Creation, create
from functions.use_cases.services import Services

# Of more devices, the rows alone take longer than a caller likes to wait.
MAX_ADVANCED_BY_REQUEST = 5_000

_log = logging.getLogger(__name__)


def submit(services: Services, request: NewRollout, key: str | None) -> Creation:
    """Raises what `create` does. What goes wrong after that is the next tick's to do."""
    creation = create(services, request, key)
    rollout = creation.rollout
    if creation.is_new and not creation.updates and rollout.counts.total <= MAX_ADVANCED_BY_REQUEST:
        try:
            advance(services, only=rollout.id)
        except FleetRolloutError as error:
            _log.warning("rollout %s begins with the next tick: %s", rollout.id, error)
    return creation
