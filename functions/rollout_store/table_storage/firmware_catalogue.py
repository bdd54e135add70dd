"""Store the firmware catalogue on Table Storage.

A row whose key is not that of its firmware's version is another name of that version.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from functions.rollout_store.ports.records import Page, Stored
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.cursors import check_cursor
from functions.rollout_store.table_storage.table import PARTITION, Row, Table
from functions.rollout_store.table_storage.values import (
    firmware_from_json,
    firmware_to_json,
    to_json,
    to_optional_time,
    to_text,
)
from functions.rollouts.model.catalogue_entry import CatalogueEntry
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.identity import Identity, IdentityKind

_ROW_KEY = re.compile(r"[A-Za-z0-9._~=-]{1,500}")


def firmware_to_row(firmware: Firmware, name: str | None = None) -> Row:
    return {
        "PartitionKey": keys.FIRMWARE,
        "RowKey": keys.firmware_row(name or firmware.version),
        "version": firmware.version,
        "firmware": to_json(firmware_to_json(firmware)),
    }


def firmware_from_row(row: Mapping[str, Any]) -> Firmware:
    return firmware_from_json(json.loads(row["firmware"]))


def entry_to_row(entry: CatalogueEntry) -> Row:
    return firmware_to_row(entry.firmware) | {
        "notes": entry.notes,
        "registered": entry.registered,
        "used": entry.used,
        "revision": entry.revision,
        "createdAt": to_text(entry.created_at),
        "createdBy": _identity_to_text(entry.created_by),
        "changedAt": to_text(entry.changed_at),
        "changedBy": _identity_to_text(entry.changed_by),
    }


def entry_from_row(row: Mapping[str, Any]) -> CatalogueEntry:
    """Return an entry. Earlier releases stored only the firmware that a rollout named."""
    return CatalogueEntry(
        firmware=firmware_from_row(row),
        notes=row.get("notes", ""),
        registered=row.get("registered", False),
        used=row.get("used", True),
        revision=row.get("revision", 1),
        created_at=to_optional_time(row.get("createdAt")),
        created_by=_identity_from_text(row.get("createdBy")),
        changed_at=to_optional_time(row.get("changedAt")),
        changed_by=_identity_from_text(row.get("changedBy")),
    )


def _identity_to_text(identity: Identity | None) -> str | None:
    if identity is None:
        return None
    return to_json([identity.kind, identity.name, identity.id, identity.app_id])


def _identity_from_text(text: str | None) -> Identity | None:
    if text is None:
        return None
    kind, name, object_id, app_id = json.loads(text)
    return Identity(kind=IdentityKind(kind), name=name, id=object_id, app_id=app_id)


def _is_other_name(row: Mapping[str, Any]) -> bool:
    return bool(row["RowKey"] != keys.firmware_row(row["version"]))


class TableFirmwareCatalogue:
    """Implement `ports.firmware_catalogue.FirmwareCatalogue`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, name: str) -> Firmware | None:
        row = self._table.get(keys.FIRMWARE, keys.firmware_row(name))
        return firmware_from_row(row.values) if row else None

    def save(self, firmware: Firmware, name: str | None = None) -> None:
        # Always written: another instance may have replaced what this one wrote last.
        self._table.put([firmware_to_row(firmware, name)])

    def get_entry(self, version: str) -> Stored[CatalogueEntry] | None:
        row = self._table.get(keys.FIRMWARE, keys.firmware_row(version))
        if row is None or _is_other_name(row.values):
            return None
        return Stored(entry_from_row(row.values), row.version)

    def save_entry(self, entry: CatalogueEntry, version: str | None) -> str:
        row = entry_to_row(entry)
        if version is None:
            found = self._table.get(keys.FIRMWARE, row["RowKey"])
            if found is not None and _is_other_name(found.values):
                version = found.version
        return self._table.write(row, version)

    def list_entries(self, limit: int, cursor: str | None) -> Page[CatalogueEntry]:
        check_cursor(cursor, lambda text: _ROW_KEY.fullmatch(text) is not None)
        found: list[CatalogueEntry] = []
        values = {"partition": keys.FIRMWARE}
        while True:
            left = limit - len(found)
            rows, cursor = self._table.read_page(PARTITION, values, left, cursor)
            found += [entry_from_row(row.values) for row in rows if not _is_other_name(row.values)]
            if cursor is None or len(found) == limit:
                return Page(found, cursor)
