"""Convert which devices of a rollout start next to columns of its row and back."""

import json
from collections.abc import Mapping
from typing import Any

from functions.rollout_store.table_storage.rollout_json import (
    device_sets_from_text,
    device_sets_to_text,
    lease_from_json,
    lease_to_json,
    matches_from_json,
    matches_to_json,
)
from functions.rollout_store.table_storage.table import Row
from functions.rollout_store.table_storage.values import from_columns, to_json, to_packed_columns
from functions.rollouts.model.dispatch import Dispatch


def dispatch_columns(dispatch: Dispatch) -> Row:
    leases = [lease_to_json(item) for item in dispatch.leases]
    matches = [matches_to_json(item) for item in dispatch.freeze_matches]
    return {
        "handOutCount": dispatch.lease_count,
        **to_packed_columns("ready", device_sets_to_text(dispatch.ready)),
        **to_packed_columns("repeats", device_sets_to_text(dispatch.repeats)),
        **_frozen_columns(dispatch),
        **to_packed_columns("handOuts", to_json(leases)),
        **(to_packed_columns("freezeMatches", to_json(matches)) if matches else {}),
    }


def _frozen_columns(dispatch: Dispatch) -> Row:
    text = device_sets_to_text(dispatch.frozen)
    return to_packed_columns("frozen", text) if dispatch.frozen else {}


def dispatch_from_row(row: Mapping[str, Any]) -> Dispatch:
    matches = json.loads(from_columns("freezeMatches", row) or "[]")
    return Dispatch(
        ready=device_sets_from_text(from_columns("ready", row)),
        repeats=device_sets_from_text(from_columns("repeats", row)),
        frozen=device_sets_from_text(from_columns("frozen", row) or "{}"),
        leases=tuple(map(lease_from_json, json.loads(from_columns("handOuts", row)))),
        freeze_matches=tuple(map(matches_from_json, matches)),
        lease_count=row["handOutCount"],
    )
