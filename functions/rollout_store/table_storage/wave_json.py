"""Convert waves, and what keeps a rollout paused, to JSON and back, with stored names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from functions.rollout_store.table_storage.gate_json import (
    sequence_from_json,
    sequence_to_json,
    shown_from_json,
    shown_to_json,
)
from functions.rollout_store.table_storage.stratum_json import (
    wave_stratum_from_json,
    wave_stratum_to_json,
)
from functions.rollout_store.table_storage.values import (
    reason_to_json,
    to_optional_time,
    to_text,
)
from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.stop import Stop
from functions.rollouts.model.wave import Counts, Wave, WaveStatus


def wave_to_json(wave: Wave) -> dict[str, Any]:
    return {
        "name": wave.name,
        "first": wave.first,
        "size": wave.size,
        "approval": wave.approval,
        "approved": wave.approved,
        "status": wave.status.value,
        "counts": asdict(wave.counts),
        "begun": wave.leased,
        "waived_failed": wave.acknowledged_failed,
        "waived_not_started": wave.acknowledged_not_started,
        "not_started": wave.not_started,
        "sequence": sequence_to_json(wave.sequence),
        "error_divisor": wave.error_divisor,
        "acknowledged_at": to_text(wave.acknowledged_at),
        "passed": wave.passed,
        "already_running": wave.already_running,
        "started_at": to_text(wave.started_at),
        "ended_at": to_text(wave.ended_at),
        **({"strata": list(map(wave_stratum_to_json, wave.strata))} if wave.strata else {}),
    }


def wave_from_json(value: Mapping[str, Any]) -> Wave:
    return Wave(
        name=value["name"],
        first=value["first"],
        size=value["size"],
        approval=value["approval"],
        approved=value["approved"],
        status=WaveStatus(value["status"]),
        counts=Counts(**value["counts"]),
        leased=value["begun"],
        acknowledged_failed=value["waived_failed"],
        acknowledged_not_started=value.get("waived_not_started", 0),
        not_started=value.get("not_started", 0),
        sequence=_read_sequence(value),
        error_divisor=value.get("error_divisor"),
        acknowledged_at=to_optional_time(value.get("acknowledged_at")),
        passed=value["passed"],
        already_running=value.get("already_running", 0),  # rows of earlier versions lack it
        started_at=to_optional_time(value["started_at"]),
        ended_at=to_optional_time(value["ended_at"]),
        strata=tuple(map(wave_stratum_from_json, value.get("strata", ()))),
    )


def _read_sequence(value: Mapping[str, Any]) -> GateSequence:
    """Read a wave's sequence. Rows of earlier versions have counts alone: failures come last."""
    if "sequence" in value:
        return sequence_from_json(value["sequence"])
    counts = Counts(**value["counts"])
    failed = max(0, counts.failed - value["waived_failed"])
    finished = failed + max(0, counts.completed + counts.soaking - value["waived_healthy"])
    return GateSequence(
        started=finished + counts.updating,
        in_flight=counts.updating + counts.soaking,
        failed=(finished,) * failed,
    )


def stops_to_json(stops: Sequence[Stop]) -> list[Any]:
    return [
        [
            reason_to_json(stop.reason),
            stop.revision,
            stop.wave,
            [shown_to_json(item) for item in stop.shown],
            *([] if stop.stratum is None else [stop.stratum]),
        ]
        for stop in stops
    ]


def stops_from_json(value: Any) -> tuple[Stop, ...]:
    return tuple(
        Stop(
            reason=Reason(code=code, message=message),
            revision=revision,
            wave=wave,
            shown=tuple(map(shown_from_json, shown)),
            stratum=stratum[0] if stratum else None,
        )
        for (code, message), revision, wave, shown, *stratum in value
    )
