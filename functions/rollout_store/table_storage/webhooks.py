"""Store webhooks and delivery positions on Table Storage.

The webhooks are beside the budget and the freeze, so that a tick reads all of them at once. A
position is beside the rollout that it belongs to.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from functions.rollout_store.ports.records import Stored
from functions.rollout_store.ports.webhooks import Controls
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.budget import budget_from_row
from functions.rollout_store.table_storage.freezes import freeze_from_row
from functions.rollout_store.table_storage.table import Row, Table
from functions.rollout_store.table_storage.values import (
    to_json,
    to_optional_time,
    to_text,
    to_time,
)
from functions.rollouts.model.webhook import (
    DeliveryPosition,
    Disabled,
    Failing,
    Webhook,
    WebhookFormat,
)


def webhook_to_row(webhook: Webhook) -> Row:
    return {
        "PartitionKey": keys.CONTROLS,
        "RowKey": keys.webhook_row(webhook.name),
        "name": webhook.name,
        "webhook": to_json(
            {
                "url": webhook.url,
                "format": webhook.format.value,
                "actions": list(webhook.actions),
                "secret": _to_base64(webhook.secret),
                "earlierSecret": _to_base64(webhook.earlier_secret),
                "earlierUntil": to_text(webhook.earlier_until),
                "privateKey": _to_base64(webhook.private_key),
                "createdAt": to_text(webhook.created_at),
                "changedAt": to_text(webhook.changed_at),
                "disabled": _disabled_to_json(webhook.disabled),
                "failing": _failing_to_json(webhook.failing),
            }
        ),
    }


def webhook_from_row(row: Mapping[str, Any]) -> Webhook:
    value = json.loads(row["webhook"])
    return Webhook(
        name=row["name"],
        url=value["url"],
        format=WebhookFormat(value["format"]),
        actions=tuple(value["actions"]),
        secret=base64.b64decode(value["secret"]),
        earlier_secret=_from_base64(value["earlierSecret"]),
        earlier_until=to_optional_time(value["earlierUntil"]),
        private_key=base64.b64decode(value["privateKey"]),
        created_at=to_time(value["createdAt"]),
        changed_at=to_time(value["changedAt"]),
        disabled=_disabled_from_json(value["disabled"]),
        failing=_failing_from_json(value["failing"]),
    )


def position_to_row(rollout_id: str, name: str, position: DeliveryPosition) -> Row:
    return {
        "PartitionKey": keys.rollout_partition(rollout_id),
        "RowKey": keys.webhook_row(name),
        "nextEvent": position.next_event,
        "failures": position.failures,
        "createdAt": to_text(position.created_at),
        "busyUntil": to_text(position.busy_until),
        "failingSince": to_text(position.failing_since),
        "retryAt": to_text(position.retry_at),
    }


def position_from_row(row: Mapping[str, Any]) -> DeliveryPosition:
    return DeliveryPosition(
        created_at=to_time(row["createdAt"]),
        next_event=row["nextEvent"],
        failures=row["failures"],
        busy_until=to_optional_time(row.get("busyUntil")),
        failing_since=to_optional_time(row.get("failingSince")),
        retry_at=to_optional_time(row.get("retryAt")),
    )


def _disabled_to_json(disabled: Disabled | None) -> Any:
    return None if disabled is None else [to_text(disabled.at), disabled.reason]


def _disabled_from_json(value: Any) -> Disabled | None:
    return None if value is None else Disabled(at=to_time(value[0]), reason=value[1])


def _failing_to_json(failing: Failing | None) -> Any:
    if failing is None:
        return None
    return [to_text(failing.since), to_text(failing.at), failing.event_id, failing.detail]


def _failing_from_json(value: Any) -> Failing | None:
    if value is None:
        return None
    since, at, event_id, detail = value
    return Failing(since=to_time(since), at=to_time(at), event_id=event_id, detail=detail)


def _to_base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _from_base64(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


class TableWebhookStore:
    """Implement `ports.webhooks.WebhookStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read_controls(self) -> Controls:
        found = self._table.query("PartitionKey eq @partition", {"partition": keys.CONTROLS})
        rows = {str(row.values["RowKey"]): row for row in found}
        budget = rows.pop(keys.BUDGET_ROW, None)
        freeze = rows.pop(keys.FREEZE_ROW, None)
        return Controls(
            budget=Stored(budget_from_row(budget.values), budget.version) if budget else None,
            freeze=freeze_from_row(freeze.values) if freeze else None,
            webhooks=[webhook_from_row(row.values) for row in rows.values()],
        )

    def get(self, name: str) -> Stored[Webhook] | None:
        row = self._table.get(keys.CONTROLS, keys.webhook_row(name))
        return Stored(webhook_from_row(row.values), row.version) if row else None

    def save(self, webhook: Webhook, version: str | None) -> str:
        return self._table.write(webhook_to_row(webhook), version)

    def delete(self, name: str, version: str) -> None:
        self._table.delete(keys.CONTROLS, keys.webhook_row(name), version)

    def get_position(self, rollout_id: str, name: str) -> Stored[DeliveryPosition] | None:
        row = self._table.get(keys.rollout_partition(rollout_id), keys.webhook_row(name))
        return Stored(position_from_row(row.values), row.version) if row else None

    def save_position(
        self, rollout_id: str, name: str, position: DeliveryPosition, version: str | None
    ) -> str:
        return self._table.write(position_to_row(rollout_id, name, position), version)
