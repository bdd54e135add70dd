"""Send the direct method to devices: a batch from the queue, or the devices of a small rollout."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from functions.errors import HubUnavailableError, StorageUnavailableError
from functions.rollout_store.port import RolloutStore, Stored
from functions.rollouts import reports
from functions.rollouts.engine import Engine
from functions.rollouts.method_outcome import MethodOutcome
from functions.rollouts.model import DeviceTwin, DeviceUpdate, Rollout
from functions.use_cases.device_turns import taken_by_another
from functions.use_cases.services import Services

METHOD = "firmwareUpdate"
# Races that one device's report and one method's answer can lose to each other; far above need.
SAVES_AT_MOST = 8

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One device of a batch, as it was when it was handed out; later it may be outdated."""

    device_id: str
    attempt: int
    claims: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Devices of one rollout whose method is to be sent: one message of the queue."""

    rollout_id: str
    assignments: tuple[Assignment, ...]


def dispatch(services: Services, batch: Batch) -> None:
    """Send the methods of one batch. The same batch again does nothing.

    When the hub cannot be read, the batch is left: the timer hands its devices out again.
    Raises StorageUnavailableError.
    """
    stored = services.store.rollout(batch.rollout_id)
    if stored is None or stored.record.status.ended:
        _log.info("rollout %s has ended; its batch is dropped", batch.rollout_id)
        return
    rollout = stored.record
    waiting = _still_waiting(services, rollout, batch)
    try:
        twins = services.hub.fresh_twins([item.record.device_id for item in waiting])
    except HubUnavailableError as error:
        _log.warning("rollout %s: batch left for later: %s", rollout.id, error)
        return
    send(services, rollout, _claim(services, rollout, waiting, twins))


def send(
    services: Services, rollout: Rollout, claimed: Sequence[Stored[DeviceUpdate]]
) -> Sequence[DeviceUpdate]:
    """Invoke the method of each claimed device update, and store how it ended.

    The outcomes that can be stored are; then the first failure is raised
    (StorageUnavailableError). What was not stored is settled later, as after a crash.
    """
    if not claimed:
        return []
    payloads = {item.record.device_id: _payload(rollout, item.record) for item in claimed}
    outcomes = services.hub.invoke_all(METHOD, payloads)
    results: list[DeviceUpdate] = []
    failures: list[StorageUnavailableError] = []
    for item in claimed:
        try:
            results.append(_record(services, rollout, item, outcomes[item.record.device_id]))
        except StorageUnavailableError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return results


def _payload(rollout: Rollout, update: DeviceUpdate) -> dict[str, Any]:
    """Device contract, "Payload"; a device may ignore everything but `fwPackageUri`."""
    firmware = rollout.firmware
    optional = {"sha256": firmware.sha256, "sizeBytes": firmware.size_bytes}
    return {
        "fwPackageUri": firmware.package_uri,
        "rolloutId": rollout.id,
        "attempt": update.attempt,
        "version": firmware.version,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _still_waiting(
    services: Services, rollout: Rollout, batch: Batch
) -> Sequence[Stored[DeviceUpdate]]:
    engine = services.engine(rollout)
    waiting = []
    for assignment in batch.assignments:
        stored = services.store.update(batch.rollout_id, assignment.device_id)
        if stored is None:
            continue
        update = stored.record
        current = (update.attempt, update.claims) == (assignment.attempt, assignment.claims)
        if current and engine.may_send(update):
            waiting.append(stored)
    return waiting


def _claim(
    services: Services,
    rollout: Rollout,
    waiting: Sequence[Stored[DeviceUpdate]],
    twins: Mapping[str, DeviceTwin | None],
) -> Sequence[Stored[DeviceUpdate]]:
    """Store each update as claimed, unless its twin has news; whoever claims first sends."""
    engine = services.engine(rollout)
    moved: list[Stored[DeviceUpdate]] = []
    claimed: set[str] = set()
    for item in waiting:
        device_id, before = item.record.device_id, item.record
        if device_id not in twins:
            continue  # could not be read; the timer hands it out again
        twin = twins[device_id] or _unknown(device_id)
        seen = engine.observe(before, twin)
        if engine.may_send(seen) and seen.attempt == before.attempt:
            seen = claim_in_turn(services.store, engine, seen, twin)
        if seen.claims > before.claims:
            claimed.add(device_id)
        moved.append(Stored(seen, item.version))
    saved = services.store.save_updates(rollout.id, moved)
    return [item for item in saved if item and item.record.device_id in claimed]


def claim_in_turn(
    store: RolloutStore, engine: Engine, update: DeviceUpdate, twin: DeviceTwin
) -> DeviceUpdate:
    """Claim `update`, or let it wait while another rollout has a device that cannot refuse."""
    if not reports.baseline(twin).recognises_repeats and not update.in_doubt:
        other = taken_by_another(store, engine, update.device_id)
        if other is not None:
            return engine.wait_for_turn(update, f"The device is busy with rollout {other}.")
    return engine.claim(update, twin)


def _unknown(device_id: str) -> DeviceTwin:
    """Stands for a device that the hub no longer knows; the hub will refuse its method."""
    return DeviceTwin(device_id=device_id, connected=False, reported={}, reported_at={})


def _record(
    services: Services, rollout: Rollout, claimed: Stored[DeviceUpdate], outcome: MethodOutcome
) -> DeviceUpdate:
    """Store the outcome, also when the device's own report was stored in the meantime."""
    current: Stored[DeviceUpdate] | None = claimed
    for _ in range(SAVES_AT_MOST):
        if current is None:
            break
        moved = services.engine(rollout).answered(current.record, claimed.record.attempt, outcome)
        if moved is current.record:
            return moved
        _log.info("rollout %s device %s: %s", rollout.id, moved.device_id, moved.explanation)
        if services.store.save_updates(rollout.id, [Stored(moved, current.version)])[0]:
            return moved
        current = services.store.update(rollout.id, claimed.record.device_id)
    _log.error("rollout %s device %s: outcome not stored", rollout.id, claimed.record.device_id)
    return claimed.record
