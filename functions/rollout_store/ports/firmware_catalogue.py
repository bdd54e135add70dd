"""The port for firmware that earlier rollouts named; rollbacks find their packages here."""

from typing import Protocol

from functions.rollouts.model.firmware import Firmware


class FirmwareCatalogue(Protocol):
    """Store one firmware per version. Any text is a valid version."""

    def save(self, firmware: Firmware, name: str | None = None) -> None:
        """Store a firmware under its version, or under another name. Replace what has the name."""

    def get(self, version: str) -> Firmware | None:
        """Return the firmware of a version, or None if no rollout named it."""
