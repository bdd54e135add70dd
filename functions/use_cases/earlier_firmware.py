"""What each device of a rollout can be brought back to, and why others stay as they are."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import accumulate

from functions.errors import ConflictError
from functions.rollout_store.ports.firmware_catalogue import FirmwareCatalogue
from functions.rollout_store.ports.rollouts import (
    MAX_FIRMWARE_CHARACTERS,
    MAX_FIRMWARE_CHARACTERS_BESIDE_BLOCK,
    RolloutStore,
    Snapshot,
)
from functions.rollouts.model import manifest
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import Rollout
from functions.use_cases.services import Services

MAX_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierFirmware:
    """`versions` are by device, `firmware` is by version; `left_out` are sentences, or empty."""

    versions: Mapping[str, str]
    firmware: Mapping[str, Firmware]
    left_out: str


def find(services: Services, snapshot: Snapshot) -> EarlierFirmware:
    """Raises ConflictError when no device can be brought back, StorageUnavailableError."""
    before = _versions_before(services.stores.rollouts, snapshot)
    catalogued = _catalogued(services.stores.catalogue, set(before.values()))
    refused = _refused(catalogued, snapshot.rollout, services.clock())
    willing = {version: item for version, item in catalogued.items() if version not in refused}
    devices = Counter(before.values())
    firmware = _with_room(willing, devices)
    versions = {device: version for device, version in before.items() if version in firmware}
    if not versions:
        raise _all_refused(refused) if refused else _none_known(before)
    too_many = sorted(willing.keys() - firmware.keys())
    left_out = _refusing(refused, devices) + _without_room(too_many, devices)
    return EarlierFirmware(versions=versions, firmware=firmware, left_out=left_out)


def _versions_before(store: RolloutStore, snapshot: Snapshot) -> Mapping[str, str]:
    """What each device that completed ran before, as far as it said so."""
    before: dict[str, str] = {}
    healthy = [DeviceState.COMPLETED, DeviceState.SOAKING]
    for number in store.list_blocks_with(snapshot.rollout.id, healthy):
        block = store.get_blocks(snapshot, [number]).blocks[number]
        for update in block.updates:
            target = snapshot.rollout.firmware_for(update).version
            if update.state in healthy and update.previous_version not in {None, target}:
                before[update.device_id] = str(update.previous_version)
    return before


def _catalogued(catalogue: FirmwareCatalogue, versions: set[str]) -> Mapping[str, Firmware]:
    found = {version: catalogue.get(version) for version in versions}
    return {version: firmware for version, firmware in found.items() if firmware is not None}


def _refused(
    catalogued: Mapping[str, Firmware], undone: Rollout, now: datetime
) -> Mapping[str, str]:
    """By version: what devices would not take back, and why."""
    found = {version: manifest.refusal(item, undone, now) for version, item in catalogued.items()}
    return {version: why for version, why in sorted(found.items()) if why is not None}


def _with_room(
    firmware: Mapping[str, Firmware], devices: Mapping[str, int]
) -> Mapping[str, Firmware]:
    """As many versions as fit into a rollback's record, those of most devices first."""
    ranked = sorted(firmware, key=lambda version: (-devices[version], version))
    sizes = accumulate(len(json.dumps(asdict(firmware[version]))) for version in ranked)
    totals = accumulate(devices[version] for version in ranked)
    sums = enumerate(zip(sizes, totals, strict=True), 1)
    fitting = [number for number, (size, total) in sums if size <= _max_characters(total)]
    return {version: firmware[version] for version in ranked[: max(fitting, default=0)]}


def _max_characters(devices: int) -> int:
    return (
        MAX_FIRMWARE_CHARACTERS_BESIDE_BLOCK if devices <= BLOCK_SIZE else MAX_FIRMWARE_CHARACTERS
    )


def _all_refused(refused: Mapping[str, str]) -> ConflictError:
    return ConflictError(
        f"No device can be brought back, as each would refuse: {_listed(refused)}. A rollout of"
        " that version with a new manifest brings devices back, and makes rollbacks possible."
    )


def _none_known(before: Mapping[str, str]) -> ConflictError:
    missing = ", ".join(sorted(set(before.values()))[:MAX_NAMED])
    return ConflictError(
        "No device can be brought back: no earlier rollout tells where its firmware was"
        f" ({missing or 'not reported by any device'})."
    )


def _refusing(refused: Mapping[str, str], devices: Mapping[str, int]) -> str:
    if not refused:
        return ""
    count = sum(devices[version] for version in refused)
    return f" {count} devices would refuse, and stay as they are: {_listed(refused)}."


def _without_room(versions: Sequence[str], devices: Mapping[str, int]) -> str:
    if not versions:
        return ""
    count = sum(devices[version] for version in versions)
    return (
        f" {count} devices stay as they are, as one rollback has no room for so many versions:"
        f" {_named(versions)}. A rollout of each version brings them back."
    )


def _listed(refused: Mapping[str, str]) -> str:
    return _named([f"firmware {version}, for {why}" for version, why in refused.items()])


def _named(several: Sequence[str]) -> str:
    more = f"; and {len(several) - MAX_NAMED} more" if len(several) > MAX_NAMED else ""
    return "; ".join(several[:MAX_NAMED]) + more
