"""The port for firmware that earlier rollouts named; rollbacks find their packages here."""

from typing import Protocol

from functions.rollouts.model.firmware import Firmware


class FirmwareCatalogue(Protocol):
    """Store one firmware per version. Any text is a valid version."""

    def save(self, firmware: Firmware) -> None:
        """Store a firmware. Replace the one stored with its version."""

    def get(self, version: str) -> Firmware | None:
        """Return the firmware of a version, or None if no rollout named it."""
