"""The port for the failures of devices, and for their quarantine."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from functions.rollout_store.ports.records import Stored
from functions.rollouts.model.quarantine import FailureRecord


class QuarantineStore(Protocol):
    """Store one record for each device that failed."""

    def get(self, device_id: str) -> Stored[FailureRecord] | None:
        """Read a device's record, or return None if it never failed."""

    def save(self, record: FailureRecord, version: str | None) -> str:
        """Replace the record that has `version`; with None, create it. Return the new version.

        Raises LostRaceError if the record has another version, or exists already.
        """

    def list_quarantined(self, now: datetime) -> Sequence[FailureRecord]:
        """Read the records of all devices that are in quarantine at `now`."""
