"""Convert what was requested of a rollout to columns of its row and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from functions.rollout_store.table_storage import stored_strategy
from functions.rollout_store.table_storage.table import Row
from functions.rollout_store.table_storage.values import (
    firmware_from_json,
    firmware_to_json,
    from_columns,
    to_columns,
    to_json,
    to_optional_time,
    to_packed_columns,
    to_text,
    to_time,
)
from functions.rollouts.model.identity import Identity, IdentityKind, named
from functions.rollouts.model.rollout import Definition
from functions.rollouts.model.target import Target


def definition_columns(definition: Definition) -> Row:
    earlier = [firmware_to_json(item) for item in definition.earlier_firmware]
    return {
        "firmware": to_json(firmware_to_json(definition.firmware)),
        "condition": definition.target.condition,
        **({"joiners": True} if definition.target.joiners else {}),
        "strategy": stored_strategy.to_text(definition.strategy),
        "createdAt": to_text(definition.created_at),
        "createdBy": definition.created_by.name,
        **_creator_columns(definition.created_by),
        "startAt": to_text(definition.start_at),
        "rollbackOf": definition.rollback_of,
        **({"keyHash": definition.key_hash} if definition.key_hash else {}),
        **to_columns("labels", to_json(dict(definition.labels))),
        **to_packed_columns("earlier", to_json(earlier)),
        **_links_columns(definition.earlier_links),
    }


def definition_from_row(row: Mapping[str, Any]) -> Definition:
    return Definition(
        firmware=firmware_from_json(json.loads(row["firmware"])),
        target=Target(condition=row.get("condition"), joiners=row.get("joiners", False)),
        strategy=stored_strategy.from_text(row["strategy"]),
        labels=json.loads(from_columns("labels", row)),
        created_at=to_time(row["createdAt"]),
        created_by=_creator_from_row(row),
        start_at=to_optional_time(row.get("startAt")),
        rollback_of=row.get("rollbackOf"),
        key_hash=row.get("keyHash"),
        earlier_firmware=tuple(map(firmware_from_json, json.loads(from_columns("earlier", row)))),
        earlier_links=tuple(json.loads(from_columns("links", row) or "[]")),
    )


def _creator_columns(creator: Identity) -> Row:
    """Return what the name alone does not tell; earlier releases read the name alone."""
    if creator == named(creator.name):
        return {}
    return {"creator": to_json([creator.kind, creator.id, creator.app_id])}


def _creator_from_row(row: Mapping[str, Any]) -> Identity:
    name = row["createdBy"]
    if not row.get("creator"):
        return named(name)
    kind, object_id, app_id = json.loads(row["creator"])
    return Identity(kind=IdentityKind(kind), name=name, id=object_id, app_id=app_id)


def _links_columns(links: Sequence[str]) -> Row:
    return to_columns("links", to_json(list(links))) if links else {}
