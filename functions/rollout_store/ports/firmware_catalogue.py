"""The port for firmware by version: what callers registered, and what rollouts named."""

from typing import Protocol

from functions.rollout_store.ports.records import Page, Stored
from functions.rollouts.model.catalogue_entry import CatalogueEntry
from functions.rollouts.model.firmware import Firmware


class FirmwareCatalogue(Protocol):
    """Store one entry per version. Any text is a valid version."""

    def get(self, name: str) -> Firmware | None:
        """Return the firmware of a version, or under another name; None if none has this name."""

    def save(self, firmware: Firmware, name: str | None = None) -> None:
        """Store a firmware that a rollout named, under its version or under another name.

        Replaces what has the name.
        """

    def get_entry(self, version: str) -> Stored[CatalogueEntry] | None:
        """Return the entry of a version; None if none exists, or if it is only another name."""

    def save_entry(self, entry: CatalogueEntry, version: str | None) -> str:
        """Replace what has the entry's name and `version`; with None, create it.

        Return the new version. Raises LostRaceError if the entry has another one, or exists.
        """

    def list_entries(self, limit: int, cursor: str | None) -> Page[CatalogueEntry]:
        """List entries in the order of their versions as text. Raises CursorError."""
