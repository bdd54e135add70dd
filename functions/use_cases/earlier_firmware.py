"""What each device of a rollout can be brought back to, and why others stay as they are."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from functions.errors import ConflictError
from functions.rollout_store.port import RolloutStore, Snapshot
from functions.rollouts import manifest
from functions.rollouts.device_update import DeviceState
from functions.rollouts.rollout import Firmware, Rollout
from functions.use_cases.services import Services

NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierFirmware:
    """`versions` are by device, `firmware` is by version; `left_out` is a sentence or empty."""

    versions: Mapping[str, str]
    firmware: Mapping[str, Firmware]
    left_out: str


def find(services: Services, snapshot: Snapshot) -> EarlierFirmware:
    """Raises ConflictError when no device can be brought back, StorageUnavailableError."""
    before = _versions_before(services.store, snapshot)
    catalogued = _catalogued(services.store, set(before.values()))
    refused = _refused(catalogued, snapshot.rollout, services.clock())
    firmware = {version: item for version, item in catalogued.items() if version not in refused}
    versions = {device: version for device, version in before.items() if version in firmware}
    if not versions:
        raise _all_refused(refused) if refused else _none_known(before)
    return EarlierFirmware(
        versions=versions, firmware=firmware, left_out=_left_out(before, refused)
    )


def _versions_before(store: RolloutStore, snapshot: Snapshot) -> Mapping[str, str]:
    """What each device that completed ran before, as far as it said so."""
    before: dict[str, str] = {}
    healthy = [DeviceState.COMPLETED, DeviceState.SOAKING]
    for number in store.blocks_with(snapshot.rollout.id, healthy):
        block = store.with_blocks(snapshot, [number]).blocks[number]
        for update in block.updates:
            target = snapshot.rollout.firmware_for(update).version
            if update.state in healthy and update.previous_version not in {None, target}:
                before[update.device_id] = str(update.previous_version)
    return before


def _catalogued(store: RolloutStore, versions: set[str]) -> Mapping[str, Firmware]:
    found = {version: store.known_firmware(version) for version in versions}
    return {version: firmware for version, firmware in found.items() if firmware is not None}


def _refused(
    catalogued: Mapping[str, Firmware], undone: Rollout, now: datetime
) -> Mapping[str, str]:
    """By version: what devices would not take back, and why."""
    found = {version: manifest.refusal(item, undone, now) for version, item in catalogued.items()}
    return {version: why for version, why in sorted(found.items()) if why is not None}


def _all_refused(refused: Mapping[str, str]) -> ConflictError:
    return ConflictError(
        f"No device can be brought back, as each would refuse: {_listed(refused)}. A rollout of"
        " that version with a new manifest brings devices back, and makes rollbacks possible."
    )


def _none_known(before: Mapping[str, str]) -> ConflictError:
    missing = ", ".join(sorted(set(before.values()))[:NAMED_AT_MOST])
    return ConflictError(
        "No device can be brought back: no earlier rollout tells where its firmware was"
        f" ({missing or 'not reported by any device'})."
    )


def _left_out(before: Mapping[str, str], refused: Mapping[str, str]) -> str:
    """A sentence on the devices that a rollback leaves as they are."""
    count = Counter(before.values())
    devices = sum(count[version] for version in refused)
    if not devices:
        return ""
    return f" {devices} devices would refuse, and stay as they are: {_listed(refused)}."


def _listed(refused: Mapping[str, str]) -> str:
    several = [f"firmware {version}, for {why}" for version, why in refused.items()]
    more = f"; and {len(several) - NAMED_AT_MOST} more" if len(several) > NAMED_AT_MOST else ""
    return "; ".join(several[:NAMED_AT_MOST]) + more
