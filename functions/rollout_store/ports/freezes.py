"""The port for the latest freeze of starts, which all rollouts share."""

from typing import Protocol

from functions.rollout_store.ports.records import Stored
from functions.rollouts.model.freeze import Freeze


class FreezeStore(Protocol):
    """Store the latest freeze. It is replaced, never deleted."""

    def get(self) -> Stored[Freeze] | None:
        """Read the latest freeze, in force or not; None if there never was one."""

    def save(self, freeze: Freeze, version: str | None) -> str:
        """Replace the freeze that has `version`; with None, create it. Return the new version.

        Raises LostRaceError if the freeze has another version, or exists already.
        """
