"""Which device updates of a rollout a list has."""

import sys
from dataclasses import dataclass

from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.failure_count import failure_code
from functions.rollouts.model.rollout import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateFilter:
    """What the listed device updates have in common."""

    state: DeviceState | None = None  # None: any
    error_code: ErrorCode | None = None  # why they have failed; None: whether they have or not
    wave: int | None = None  # the number of their wave; None: any

    @property
    def stored_state(self) -> DeviceState | None:
        """Return the state of all listed updates; None if they may have several."""
        return DeviceState.FAILED if self.error_code is not None else self.state

    def positions(self, rollout: Rollout) -> range:
        """Return the part of the start order in which the listed updates are."""
        if self.wave is None:
            return range(sys.maxsize)
        wave = rollout.waves[self.wave]
        return range(wave.first, wave.first + wave.size)

    def matches(self, update: DeviceUpdate) -> bool:
        """Return whether an update of the wave is listed."""
        is_in_state = self.state in {None, update.state}
        return is_in_state and self.error_code in {None, failure_code(update)}


ALL_UPDATES = UpdateFilter()
