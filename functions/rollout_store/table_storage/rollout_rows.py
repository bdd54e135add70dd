"""Convert a rollout's record to a row and back, and write its row in the list of rollouts.

Plain values have columns of their own, for people who read the table and for filters. Nested
values are JSON. The names of columns and in JSON are stored names.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.rollout_store.table_storage import keys, stored_strategy
from functions.rollout_store.table_storage.freezes import freeze_from_json, freeze_to_json
from functions.rollout_store.table_storage.gate_json import history_from_json, history_to_json
from functions.rollout_store.table_storage.outage_json import outages_from_json, outages_to_json
from functions.rollout_store.table_storage.rollback_text import (
    rollback_from_text,
    rollback_to_text,
)
from functions.rollout_store.table_storage.rollout_json import (
    device_sets_from_text,
    device_sets_to_text,
    events_from_text,
    events_to_text,
    failures_from_json,
    failures_to_json,
    hub_load_from_json,
    hub_load_to_json,
    joining_from_json,
    joining_to_json,
    later_from_json,
    later_to_json,
    lease_from_json,
    lease_to_json,
    matches_from_json,
    matches_to_json,
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
    firmware_from_json,
    firmware_to_json,
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
    to_time,
)
from functions.rollout_store.table_storage.wave_json import (
    stops_from_json,
    stops_to_json,
    wave_from_json,
    wave_to_json,
)
from functions.rollouts.model.audit_trail import AuditTrail, Event
from functions.rollouts.model.dispatch import Dispatch, FreezeMatches
from functions.rollouts.model.failure_count import FailureCount
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.identity import Identity, IdentityKind, named
from functions.rollouts.model.joining import NO_JOINING, Joining
from functions.rollouts.model.later_rollouts import LaterRollouts
from functions.rollouts.model.measurements import Measurements
from functions.rollouts.model.pending_retry import PendingRetry
from functions.rollouts.model.rollout import Definition, Rollout, RolloutStatus, StartClock
from functions.rollouts.model.stop import Stop
from functions.rollouts.model.target import Target
from functions.rollouts.model.wave import Wave


def rollout_to_row(rollout: Rollout) -> Row:
    dispatch = rollout.dispatch
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
        "later": _optional_json(later_to_json(rollout.later)),
        **({"freeze": to_json(freeze_to_json(rollout.freeze))} if rollout.freeze else {}),
        "gathering": _optional_json(
            resolution_to_json(rollout.resolution) if rollout.resolution else None
        ),
        "startClock": to_json(_start_clock_to_json(rollout.start_clock)),
        "traffic": to_json(hub_load_to_json(rollout.measured.hub_load)),
        "finished": rollout.measured.finished,
        "finishSeconds": float(rollout.measured.finish_seconds),
        **({"invoked": to_json(rollout.measured.invoked)} if rollout.measured.invoked else {}),
        **_failure_columns(rollout),
        **_outage_columns(rollout),
        **_gate_columns(rollout),
        "handOutCount": dispatch.lease_count,
        "eventCount": rollout.audit.event_count,
        **_definition_columns(rollout.definition),
        **(to_columns("stops", to_json(stops_to_json(rollout.stops))) if rollout.stops else {}),
        **to_packed_columns("waves", to_json([wave_to_json(wave) for wave in rollout.waves])),
        **_strata_columns(rollout),
        **to_packed_columns("marks", summaries_to_text(rollout.block_summaries)),
        **to_packed_columns("ready", device_sets_to_text(dispatch.ready)),
        **to_packed_columns("repeats", device_sets_to_text(dispatch.repeats)),
        **to_packed_columns("handOuts", to_json([lease_to_json(item) for item in dispatch.leases])),
        **_matches_columns(dispatch),
        **_joining_columns(rollout),
        **to_columns("events", events_to_text(rollout.audit.events)),
        **_retry_columns(rollout.retry),
    }


def rollout_from_row(row: Mapping[str, Any]) -> Rollout:
    resolution, retry = row.get("gathering"), from_columns("retry", row)
    waves = tuple(map(wave_from_json, json.loads(from_columns("waves", row))))
    return Rollout(
        id=row["id"],
        definition=_definition_from_row(row),
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
            invoked=tuple(map(tuple, json.loads(row.get("invoked") or "[]"))),
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
        dispatch=_dispatch_from_row(row),
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
        **(
            to_packed_columns("frozen", device_sets_to_text(rollout.dispatch.frozen))
            if rollout.dispatch.frozen
            else {}
        ),
    }


def _joining_columns(rollout: Rollout) -> Row:
    if rollout.joining == NO_JOINING:
        return {}
    return to_packed_columns("joining", to_json(joining_to_json(rollout.joining)))


def _joining_from_row(row: Mapping[str, Any]) -> Joining:
    """Return how far joiners were searched. Most rows, and all of earlier versions, lack it."""
    text = from_columns("joining", row)
    return joining_from_json(json.loads(text)) if text else NO_JOINING


def later_from_row(row: Mapping[str, Any]) -> LaterRollouts:
    return later_from_json(json.loads(row.get("later") or "null"))


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


def _outage_columns(rollout: Rollout) -> Row:
    outages = to_json(outages_to_json(rollout.outages))
    return {
        **(to_packed_columns("outages", outages) if rollout.outages else {}),
        **({"outageUnchecked": True} if rollout.outage_unchecked else {}),
    }


def _definition_columns(definition: Definition) -> Row:
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


def _retry_columns(retry: PendingRetry | None) -> Row:
    return to_packed_columns("retry", to_json(retry_to_json(retry))) if retry else {}


def _matches_columns(dispatch: Dispatch) -> Row:
    matches = [matches_to_json(item) for item in dispatch.freeze_matches]
    return to_packed_columns("freezeMatches", to_json(matches)) if matches else {}


def _matches_from_row(row: Mapping[str, Any]) -> tuple[FreezeMatches, ...]:
    text = from_columns("freezeMatches", row)
    return tuple(map(matches_from_json, json.loads(text or "[]")))


def _links_columns(links: Sequence[str]) -> Row:
    return to_columns("links", to_json(list(links))) if links else {}


def _definition_from_row(row: Mapping[str, Any]) -> Definition:
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


def _dispatch_from_row(row: Mapping[str, Any]) -> Dispatch:
    return Dispatch(
        ready=device_sets_from_text(from_columns("ready", row)),
        repeats=device_sets_from_text(from_columns("repeats", row)),
        frozen=device_sets_from_text(from_columns("frozen", row) or "{}"),
        leases=tuple(map(lease_from_json, json.loads(from_columns("handOuts", row)))),
        freeze_matches=_matches_from_row(row),
        lease_count=row["handOutCount"],
    )


def list_entry_to_row(rollout: Rollout) -> Row:
    """Return the row that lists a rollout. It has a status only if the rollout is over."""
    is_closed = not rollout.is_followed
    return {
        "PartitionKey": keys.ended_partition(rollout.status) if is_closed else keys.ROLLOUTS,
        "RowKey": rollout.id,
        "open": rollout.is_followed,
        "status": rollout.status.value if rollout.is_over else None,
        "version": rollout.firmware.version,
        "createdAt": to_text(rollout.definition.created_at),
        "endedAt": to_text(rollout.ended_at),
    }


def end_to_row(rollout_id: str, ended_at: datetime, traces: str = "") -> Row:
    """Return the row of an ended rollout in the order of the ends.

    `traces` are what is left to remove of it.
    """
    return {
        "PartitionKey": keys.ROLLOUTS,
        "RowKey": keys.end_row(ended_at, rollout_id),
        **({"traces": traces} if traces else {}),
    }


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
