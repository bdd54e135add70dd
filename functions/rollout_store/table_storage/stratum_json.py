"""Convert what is judged of strata to JSON and back. The names in it are stored names."""

from collections.abc import Mapping, Sequence
from typing import Any

from functions.rollout_store.table_storage.gate_json import (
    ranks_from_json,
    ranks_to_json,
    sequence_from_json,
    sequence_to_json,
    shown_from_json,
    shown_to_json,
)
from functions.rollout_store.table_storage.rollback_text import (
    rollback_from_text,
    rollback_to_text,
)
from functions.rollout_store.table_storage.values import (
    reason_to_json,
    to_optional_time,
    to_text,
    to_time,
)
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.stratum import FrozenStratum, StratumGate
from functions.rollouts.model.wave import COUNTERS, Counts, WaveStratum


def wave_stratum_to_json(part: WaveStratum) -> list[Any]:
    """Write a list, because a wave may have 51 of these."""
    return [
        [getattr(part.counts, name) for name in COUNTERS],
        part.already_running,
        part.not_started,
        part.acknowledged_failed,
        part.acknowledged_not_started,
        ranks_to_json(part.failed),
    ]


def wave_stratum_from_json(value: Sequence[Any]) -> WaveStratum:
    counts, already_running, not_started, failed, not_started_known, ranks = value
    return WaveStratum(
        counts=Counts(**dict(zip(COUNTERS, counts, strict=True))),
        already_running=already_running,
        not_started=not_started,
        acknowledged_failed=failed,
        acknowledged_not_started=not_started_known,
        failed=ranks_from_json(ranks),
    )


def stratum_gate_to_json(gate: StratumGate) -> list[Any]:
    freeze = None if gate.frozen is None else _freeze_to_json(gate.frozen)
    return [sequence_to_json(gate.sequence), to_text(gate.acknowledged_at), freeze]


def stratum_gate_from_json(value: Sequence[Any]) -> StratumGate:
    sequence, acknowledged_at, freeze = value
    return StratumGate(
        sequence=sequence_from_json(sequence),
        acknowledged_at=to_optional_time(acknowledged_at),
        frozen=None if freeze is None else _freeze_from_json(freeze),
    )


def _freeze_to_json(freeze: FrozenStratum) -> dict[str, Any]:
    return {
        "reason": reason_to_json(freeze.reason),
        "at": to_text(freeze.at),
        "revision": freeze.revision,
        "shown": [shown_to_json(item) for item in freeze.shown],
        "cancelled": freeze.is_cancelled,
        "rollback": rollback_to_text(freeze.rollback),
    }


def _freeze_from_json(value: Mapping[str, Any]) -> FrozenStratum:
    code, message = value["reason"]
    return FrozenStratum(
        reason=Reason(code=code, message=message),
        at=to_time(value["at"]),
        revision=value["revision"],
        shown=tuple(map(shown_from_json, value["shown"])),
        is_cancelled=value["cancelled"],
        rollback=rollback_from_text(value["rollback"]),
    )
