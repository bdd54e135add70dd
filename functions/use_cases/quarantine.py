"""Record the failures of devices, and find, explain and release devices in quarantine.

Without the setting, nothing is read or written. With it, a failure costs a read and a write; all
devices in quarantine are read in one query, at most once per CACHE_TIME and process.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from functions.errors import LostRaceError, UnknownError
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import quarantine
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import FIRMWARE_FAILURES, DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.quarantine import FailureRecord, QuarantineRule
from functions.rollouts.model.rollout import Rollout
from functions.use_cases.services import Services

MAX_ATTEMPTS = 10
# A device that fails elsewhere is noticed this late, and a release on another instance.
CACHE_TIME = timedelta(seconds=10)


def record_ends(
    services: Services,
    rollout: Rollout,
    before: Mapping[int, Block],
    after: Mapping[int, Block],
) -> None:
    """Record the failures of devices in a change, and take back those of devices that completed.

    Call it before the change is stored: a repeat changes nothing. Raises StorageUnavailableError.
    """
    rule = services.quarantine_rule
    if rule is None:
        return
    for old, new in _moved(before, after):
        if new.state is DeviceState.FAILED and _is_own(new):
            _change(services, new.device_id, _adding(rollout.id, services.clock(), rule))
        elif new.state is DeviceState.COMPLETED and _has_failed(old):
            _change(services, new.device_id, _removing(rollout.id, rule))


def find(services: Services, rollout: Rollout, device_ids: Collection[str]) -> Mapping[str, str]:
    """Find which of these devices are in quarantine. Return why, by device id.

    A rollback takes devices in quarantine, and so does a rollout in which a device failed.
    """
    if rollout.definition.rollback_of is not None or not device_ids:
        return {}
    found = _read_quarantined(services)
    return {
        device_id: quarantine.describe(found[device_id])
        for device_id in device_ids
        if device_id in found and rollout.id not in found[device_id].failed_at
    }


def list_among(services: Services, device_ids: Collection[str]) -> list[str]:
    """Return which of these devices are in quarantine."""
    found = _read_quarantined(services)
    return [device_id for device_id in device_ids if device_id in found]


def read(services: Services, device_id: str) -> FailureRecord | None:
    """Return the record of a device in quarantine; None if it is in none."""
    if services.quarantine_rule is None:
        return None
    stored = services.stores.quarantine.get(device_id)
    is_in = stored is not None and stored.record.is_quarantined(services.clock())
    return stored.record if stored is not None and is_in else None


def release(services: Services, device_id: str) -> FailureRecord:
    """End a device's quarantine, and forget its failures. Return what it was.

    Raises UnknownError if it is in none, StorageUnavailableError.
    """
    found = read(services, device_id)
    if found is None:
        raise UnknownError(f"Device {device_id!r} is not in quarantine.")
    _change(services, device_id, lambda record: replace(record, failed_at={}, until=None))
    return found


def add_skipped_event(rollout: Rollout, moment: Moment, skipped: Collection[str]) -> Rollout:
    """Add to the audit trail which devices were skipped."""
    if not skipped:
        return rollout
    names = ", ".join(sorted(skipped)[:10])
    message = f"Skipped {len(skipped)} in quarantine: {names}."
    return add_event(rollout, moment.now, "quarantined", message)


def _read_quarantined(services: Services) -> Mapping[str, FailureRecord]:
    if services.quarantine_rule is None:
        return {}
    now, cache = services.clock(), services.quarantine_cache
    if cache.read_at is None or now >= cache.read_at + CACHE_TIME:
        found = services.stores.quarantine.list_quarantined(now)
        cache.records, cache.read_at = {item.device_id: item for item in found}, now
    return {key: item for key, item in cache.records.items() if item.is_quarantined(now)}


def _change(
    services: Services, device_id: str, change: Callable[[FailureRecord], FailureRecord]
) -> None:
    for _ in range(MAX_ATTEMPTS):
        stored = services.stores.quarantine.get(device_id)
        before = stored.record if stored else FailureRecord(device_id=device_id, failed_at={})
        after = change(before)
        if after == before:
            return
        try:
            services.stores.quarantine.save(after, stored.version if stored else None)
        except LostRaceError:
            continue
        services.quarantine_cache.read_at = None
        return
    raise LostRaceError(f"The failures of device {device_id!r} were changed {MAX_ATTEMPTS} times.")


def _adding(
    rollout_id: str, now: datetime, rule: QuarantineRule
) -> Callable[[FailureRecord], FailureRecord]:
    return lambda record: quarantine.add_failure(record, rollout_id, now, rule)


def _removing(rollout_id: str, rule: QuarantineRule) -> Callable[[FailureRecord], FailureRecord]:
    return lambda record: quarantine.remove_failure(record, rollout_id, rule)


def _moved(
    before: Mapping[int, Block], after: Mapping[int, Block]
) -> Iterator[tuple[DeviceUpdate, DeviceUpdate]]:
    """Return the updates whose state has changed, before and after.

    Devices that have just joined are left out: they are the last ones of a block, or in a new one.
    """
    for number, block in after.items():
        known = before[number].updates if number in before else ()
        for old, new in zip(known, block.updates, strict=False):
            if new.state is not old.state:
                yield old, new


def _is_own(update: DeviceUpdate) -> bool:
    return update.error is not None and update.error.code in FIRMWARE_FAILURES


def _has_failed(update: DeviceUpdate) -> bool:
    return any(line.state is DeviceState.FAILED for line in update.history)
