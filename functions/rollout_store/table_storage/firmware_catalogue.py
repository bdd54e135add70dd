"""Store the firmware catalogue on Table Storage."""

import json
from collections.abc import Mapping
from typing import Any

from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.table import Row, Table
from functions.rollout_store.table_storage.values import (
    firmware_from_json,
    firmware_to_json,
    to_json,
)
from functions.rollouts.model.firmware import Firmware


def firmware_to_row(firmware: Firmware, name: str | None = None) -> Row:
    return {
        "PartitionKey": keys.FIRMWARE,
        "RowKey": keys.firmware_row(name or firmware.version),
        "version": firmware.version,
        "firmware": to_json(firmware_to_json(firmware)),
    }


def firmware_from_row(row: Mapping[str, Any]) -> Firmware:
    return firmware_from_json(json.loads(row["firmware"]))


class TableFirmwareCatalogue:
    """Implement `ports.firmware_catalogue.FirmwareCatalogue`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def save(self, firmware: Firmware, name: str | None = None) -> None:
        # Always written: another instance may have replaced what this one wrote last.
        self._table.put([firmware_to_row(firmware, name)])

    def get(self, version: str) -> Firmware | None:
        row = self._table.get(keys.FIRMWARE, keys.firmware_row(version))
        return firmware_from_row(row.values) if row else None
