"""Convert a rollout's record to a row and back.

Plain values have columns of their own, for people who read the table and for filters. Nested
values are JSON. The names of columns and in JSON are stored names.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.definition_columns import (
    definition_columns,
    definition_from_row,
)
from functions.rollout_store.table_storage.dispatch_columns import (
    dispatch_columns,
    dispatch_from_row,
)
from functions.rollout_store.table_storage.freezes import freeze_from_json, freeze_to_json
from functions.rollout_store.table_storage.gate_json import history_from_json, history_to_json
from functions.rollout_store.table_storage.later_columns import later_columns, later_from_row
from functions.rollout_store.table_storage.outage_json import outages_from_json, outages_to_json
from functions.rollout_store.table_storage.rollback_text import (
    rollback_from_text,
    rollback_to_text,
)
from functions.rollout_store.table_storage.rollout_json import (
    events_from_text,
    events_to_text,
    failures_from_json,
    failures_to_json,
    hub_load_from_json,
    hub_load_to_json,
    joining_from_json,
    joining_to_json,
    resolution_from_json,
    resolution_to_json,
    retry_from_json,
    retry_to_json,
    summaries_from_text,
    summaries_to_text,
)
from functions.rollout_store.table_storage.stratum_json import (
    stratum_gate_from_json,
    stratum_gate_to_json,
)
from functions.rollout_store.table_storage.table import Row
from functions.rollout_store.table_storage.values import (
    from_columns,
    from_microseconds,
    reason_from_json,
    reason_to_json,
    to_columns,
    to_json,
    to_microseconds,
    to_optional_time,
    to_packed_columns,
    to_text,
)
from functions.rollout_store.table_storage.wave_json import (
    stops_from_json,
    stops_to_json,
    wave_from_json,
    wave_to_json,
)
from functions.rollouts.model.audit_trail import AuditTrail, Event
from functions.rollouts.model.failure_count import FailureCount
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.joining import NO_JOINING, Joining
from functions.rollouts.model.measurements import Measurements
from functions.rollouts.model.pending_retry import PendingRetry
from functions.rollouts.model.rollout import Rollout, RolloutStatus, StartClock
from functions.rollouts.model.stop import Stop
from functions.rollouts.model.wave import Wave


def rollout_to_row(rollout: Rollout) -> Row:
    return {
        "PartitionKey": keys.rollout_partition(rollout.id),
        "RowKey": keys.ROLLOUT_ROW,
        "id": rollout.id,
        "status": rollout.status.value,
        "statusReason": _optional_json(reason_to_json(rollout.status_reason)),
        "startedAt": to_text(rollout.started_at),
        "endedAt": to_text(rollout.ended_at),
        "rolledBackBy": rollback_to_text(rollout.rollback),
        "revision": rollout.revision,
        "soakRevision": rollout.soak_revision,
        "timeoutRevision": rollout.timeout_revision,
        "freshTwins": rollout.needs_fresh_twins,
        **later_columns(rollout.later),
        **({"freeze": to_json(freeze_to_json(rollout.freeze))} if rollout.freeze else {}),
        "gathering": _optional_json(
            resolution_to_json(rollout.resolution) if rollout.resolution else None
        ),
        "startClock": to_json(_start_clock_to_json(rollout.start_clock)),
        "traffic": to_json(hub_load_to_json(rollout.measured.hub_load)),
        "finished": rollout.measured.finished,
        "finishSeconds": float(rollout.measured.finish_seconds),
        **_invoked_columns(rollout.measured),
        **_failure_columns(rollout),
        **_outage_columns(rollout),
        **_gate_columns(rollout),
        "eventCount": rollout.audit.event_count,
        **definition_columns(rollout.definition),
        **(to_columns("stops", to_json(stops_to_json(rollout.stops))) if rollout.stops else {}),
        **to_packed_columns("waves", to_json([wave_to_json(wave) for wave in rollout.waves])),
        **_strata_columns(rollout),
        **to_packed_columns("marks", summaries_to_text(rollout.block_summaries)),
        **dispatch_columns(rollout.dispatch),
        **_joining_columns(rollout),
        **to_columns("events", events_to_text(rollout.audit.events)),
        **_retry_columns(rollout.retry),
    }


def rollout_from_row(row: Mapping[str, Any]) -> Rollout:
    resolution, retry = row.get("gathering"), from_columns("retry", row)
    waves = tuple(map(wave_from_json, json.loads(from_columns("waves", row))))
    return Rollout(
        id=row["id"],
        definition=definition_from_row(row),
        status=RolloutStatus(row["status"]),
        status_reason=reason_from_json(json.loads(row.get("statusReason") or "null")),
        stops=_stops_from_row(row),
        started_at=to_optional_time(row.get("startedAt")),
        ended_at=to_optional_time(row.get("endedAt")),
        rollback=rollback_from_text(row.get("rolledBackBy")),
        retry=retry_from_json(json.loads(retry)) if retry else None,
        revision=row["revision"],
        soak_revision=row.get("soakRevision", 0),  # rows of earlier versions lack these two
        timeout_revision=row.get("timeoutRevision", 0),
        needs_fresh_twins=row.get("freshTwins", False),
        later=later_from_row(row),
        freeze=freeze_of_row(row),
        joining=_joining_from_row(row),
        start_clock=_start_clock_from_json(json.loads(row.get("startClock") or "[0, null]")),
        resolution=resolution_from_json(json.loads(resolution)) if resolution else None,
        measured=Measurements(
            hub_load=hub_load_from_json(json.loads(row["traffic"])),
            finished=row["finished"],
            finish_seconds=row["finishSeconds"],
            invoked=_invoked_from_text(row.get("invoked")),
            first_invoked=_invoked_from_text(row.get("firstInvoked")),
        ),
        failures=_failures_from_row(row, waves),
        gate_history=history_from_json(json.loads(from_columns("gateHistory", row) or "[]")),
        outages=outages_from_json(json.loads(from_columns("outages", row) or "[]")),
        outage_unchecked=row.get("outageUnchecked", False),
        waves=waves,
        strata=tuple(json.loads(from_columns("strata", row) or "[]")),
        stratum_gates=tuple(
            map(stratum_gate_from_json, json.loads(from_columns("stratumGates", row) or "[]"))
        ),
        block_summaries=summaries_from_text(from_columns("marks", row)),
        dispatch=dispatch_from_row(row),
        audit=AuditTrail(
            events=events_from_text(from_columns("events", row)), event_count=row["eventCount"]
        ),
    )


def frozen_from_row(row: Mapping[str, Any]) -> frozenset[int]:
    """Return the indexes of the frozen strata."""
    return frozenset(json.loads(row.get("frozenStrata") or "[]"))


def _strata_columns(rollout: Rollout) -> Row:
    gates = rollout.stratum_gates
    frozen = [number for number, gate in enumerate(gates) if gate.frozen is not None]
    return {
        **(to_packed_columns("strata", to_json(rollout.strata)) if rollout.strata else {}),
        **(
            to_packed_columns("stratumGates", to_json(list(map(stratum_gate_to_json, gates))))
            if gates
            else {}
        ),
        **({"frozenStrata": to_json(frozen)} if frozen else {}),
    }


def _joining_columns(rollout: Rollout) -> Row:
    if rollout.joining == NO_JOINING:
        return {}
    return to_packed_columns("joining", to_json(joining_to_json(rollout.joining)))


def _joining_from_row(row: Mapping[str, Any]) -> Joining:
    """Return how far joiners were searched. Most rows, and all of earlier versions, lack it."""
    text = from_columns("joining", row)
    return joining_from_json(json.loads(text)) if text else NO_JOINING


def freeze_of_row(row: Mapping[str, Any]) -> Freeze | None:
    text = row.get("freeze")
    return freeze_from_json(json.loads(text)) if text else None


def _stops_from_row(row: Mapping[str, Any]) -> tuple[Stop, ...]:
    """Return what keeps a rollout paused. A row of an earlier release has only its reason."""
    stops = stops_from_json(json.loads(from_columns("stops", row) or "[]"))
    reason = reason_from_json(json.loads(row.get("statusReason") or "null"))
    if stops or reason is None or row["status"] != RolloutStatus.PAUSED.value:
        return stops
    return (Stop(reason=reason, revision=row["revision"]),)


def _gate_columns(rollout: Rollout) -> Row:
    history = to_json(history_to_json(rollout.gate_history))
    return to_packed_columns("gateHistory", history) if rollout.gate_history else {}


def _failure_columns(rollout: Rollout) -> Row:
    if not rollout.failures:
        return {}
    return {"failures": to_json(failures_to_json(rollout.failures))}


def _failures_from_row(
    row: Mapping[str, Any], waves: Sequence[Wave]
) -> tuple[FailureCount, ...] | None:
    """Return the failures by code. Rows of earlier versions lack them, and may have some."""
    if "failures" in row:
        return failures_from_json(json.loads(row["failures"]))
    return None if any(wave.counts.failed for wave in waves) else ()


def _invoked_columns(measured: Measurements) -> dict[str, str]:
    if not measured.invoked:
        return {}
    return {
        "invoked": to_json(measured.invoked),
        "firstInvoked": to_json(measured.first_invoked),
    }


def _invoked_from_text(text: str | None) -> tuple[tuple[int, int], ...]:
    """Read pairs of counts. Rows of earlier versions lack those of the first devices."""
    return tuple((invoked, connected) for invoked, connected in json.loads(text or "[]"))


def _outage_columns(rollout: Rollout) -> Row:
    outages = to_json(outages_to_json(rollout.outages))
    return {
        **(to_packed_columns("outages", outages) if rollout.outages else {}),
        **({"outageUnchecked": True} if rollout.outage_unchecked else {}),
    }


def _retry_columns(retry: PendingRetry | None) -> Row:
    return to_packed_columns("retry", to_json(retry_to_json(retry))) if retry else {}


def events_to_row(rollout_id: str, first: int, events: Sequence[Event]) -> Row:
    return {
        "PartitionKey": keys.rollout_partition(rollout_id),
        "RowKey": keys.events_row(first),
        **to_columns("events", events_to_text(events)),
    }


def _start_clock_to_json(clock: StartClock) -> Any:
    return [to_microseconds(clock.counted), to_text(clock.at)]


def _start_clock_from_json(value: Any) -> StartClock:
    counted = from_microseconds(value[0])
    return StartClock(counted=counted or timedelta(), at=to_optional_time(value[1]))


def _optional_json(value: Any) -> str | None:
    return None if value is None else to_json(value)
