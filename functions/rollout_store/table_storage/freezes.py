"""Store the latest freeze on Table Storage."""

import json
from collections.abc import Mapping
from typing import Any

from functions.rollout_store.ports.records import Stored
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.table import Row, Table
from functions.rollout_store.table_storage.values import (
    to_json,
    to_optional_time,
    to_text,
    to_time,
)
from functions.rollouts.model.freeze import Freeze


def freeze_to_json(freeze: Freeze) -> dict[str, Any]:
    return {
        "revision": freeze.revision,
        "reason": freeze.reason,
        "by": freeze.by,
        "since": to_text(freeze.since),
        "until": to_text(freeze.until),
        "condition": freeze.condition,
        "endedAt": to_text(freeze.ended_at),
        "endedBy": freeze.ended_by,
        "endedReason": freeze.ended_reason,
    }


def freeze_from_json(value: Mapping[str, Any]) -> Freeze:
    return Freeze(
        revision=value["revision"],
        reason=value["reason"],
        by=value["by"],
        since=to_time(value["since"]),
        until=to_optional_time(value["until"]),
        condition=value["condition"],
        ended_at=to_optional_time(value["endedAt"]),
        ended_by=value["endedBy"],
        ended_reason=value.get("endedReason"),  # 1.0.0 stored none
    )


def freeze_to_row(freeze: Freeze) -> Row:
    return {
        "PartitionKey": keys.CONTROLS,
        "RowKey": keys.FREEZE_ROW,
        "freeze": to_json(freeze_to_json(freeze)),
    }


def freeze_from_row(row: Mapping[str, Any]) -> Freeze:
    return freeze_from_json(json.loads(row["freeze"]))


class TableFreezeStore:
    """Implement `ports.freezes.FreezeStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self) -> Stored[Freeze] | None:
        row = self._table.get(keys.CONTROLS, keys.FREEZE_ROW)
        return Stored(freeze_from_row(row.values), row.version) if row else None

    def save(self, freeze: Freeze, version: str | None) -> str:
        return self._table.write(freeze_to_row(freeze), version)
