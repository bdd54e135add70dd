"""Whether the methods of claimed devices may still be sent."""

import threading
from datetime import timedelta

from functions.errors import StorageUnavailableError
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import expiry, window
from functions.rollouts.rollout.frozen import frozen_strata
from functions.use_cases.services import Services

# How old the status may be. Most batches are sent in less, and cost no read.
CHECK_INTERVAL = timedelta(seconds=1)


class SendPermission:
    """Call it right before each method of a batch; it returns False once the rollout has stopped.

    A freeze that was set after the claim stops the batch, also one with a condition: what is not
    sent is claimed again, and the condition evaluated then. The rollout's status is read at most
    once per CHECK_INTERVAL. Threads may share a permission.
    """

    def __init__(self, services: Services, rollout: Rollout, *, is_running: bool = True) -> None:
        self._services = services
        self._rollout = rollout
        self._lock = threading.Lock()
        self._is_running = is_running  # a claim is stored only while the rollout is running
        self._read_at = services.clock()
        # A rollback needs one package that has not expired.
        self._sendable_until = expiry.sendable_until(rollout)

    def __call__(self) -> bool:
        with self._lock:
            now = self._services.clock()
            if self._is_running and now >= self._read_at + CHECK_INTERVAL:
                self._is_running = self._may_go_on()
                self._read_at = now
            limits = self._rollout.strategy.window
            is_open = limits is None or window.is_open(limits, now)
            return self._is_running and is_open and now < self._sendable_until

    def _may_go_on(self) -> bool:
        """Return whether the rollout runs, and no freeze or later rollout came meanwhile.

        After a freeze of a stratum or of the devices that match a condition, the whole batch is
        taken back: it may hold such devices.
        """
        try:
            found = self._services.stores.rollouts.get_status(self._rollout.id)
        except StorageUnavailableError:  # the outcome of another method could not be stored
            return False
        if found is None:
            return False
        status, later, frozen, freeze = found
        is_new = freeze != self._rollout.freeze
        if freeze is not None and is_new and freeze.is_in_force(self._services.clock()):
            return False
        return (
            status is RolloutStatus.RUNNING
            and set(later.ids) <= set(self._rollout.later.ids)
            and frozen <= frozen_strata(self._rollout)
        )
