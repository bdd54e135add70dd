"""Find the firmware that each device of a rollout can be brought back to."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from functions.rollouts.model import manifest, texts
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import Rollout
from functions.use_cases.services import Services

# Versions that a message names.
MAX_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierFirmware:
    """The firmware that devices can be brought back to."""

    versions: Mapping[str, str]  # by device id
    firmware: Mapping[str, Firmware]  # by version
    left_out: str  # sentences about the other devices, each after a space; may be empty


def find(services: Services, snapshot: Snapshot) -> EarlierFirmware:
    """Find what the rollout's devices can be brought back to.

    Raises ConflictError if no device can be brought back, StorageUnavailableError.
    """
    before = _find_versions_before(services.stores.rollouts, snapshot)
    known = _find_firmware(services.stores.catalogue, set(before.values()))
    refusals = _find_refusals(known, snapshot.rollout, services.clock())
    accepted = {version: item for version, item in known.items() if version not in refusals}
    devices = Counter(before.values())
    firmware = _choose_fitting(accepted, devices)
    versions = {device: version for device, version in before.items() if version in firmware}
    if not versions:
        raise _make_refused_error(refusals) if refusals else _make_unknown_error(before)
    too_many = sorted(accepted.keys() - firmware.keys())
    left_out = _describe_refusals(refusals, devices) + _describe_too_many(too_many, devices)
    return EarlierFirmware(versions=versions, firmware=firmware, left_out=left_out)


def _find_versions_before(store: RolloutStore, snapshot: Snapshot) -> Mapping[str, str]:
    """Return the version that each healthy device reported before the update, by device id."""
    before: dict[str, str] = {}
    healthy = [DeviceState.COMPLETED, DeviceState.SOAKING]
    for number in store.list_blocks_with(snapshot.rollout.id, healthy):
        block = store.get_blocks(snapshot, [number]).blocks[number]
        for update in block.updates:
            target = snapshot.rollout.firmware_for(update).version
            if update.state in healthy and update.previous_version not in {None, target}:
                before[update.device_id] = str(update.previous_version)
    return before


def _find_firmware(catalogue: FirmwareCatalogue, versions: set[str]) -> Mapping[str, Firmware]:
    found = {version: catalogue.get(version) for version in versions}
    return {version: firmware for version, firmware in found.items() if firmware is not None}


def _find_refusals(
    known: Mapping[str, Firmware], undone: Rollout, now: datetime
) -> Mapping[str, str]:
    """Return why devices would refuse a firmware, by version, for those that they would refuse."""
    found = {version: manifest.refusal_reason(item, undone, now) for version, item in known.items()}
    return {version: why for version, why in sorted(found.items()) if why is not None}


def _choose_fitting(
    firmware: Mapping[str, Firmware], devices: Mapping[str, int]
) -> Mapping[str, Firmware]:
    """Choose as many versions as fit into a rollback's record, those of most devices first."""
    ranked = sorted(firmware, key=lambda version: (-devices[version], version))
    sizes = accumulate(len(json.dumps(asdict(firmware[version]))) for version in ranked)
    totals = accumulate(devices[version] for version in ranked)
    sums = enumerate(zip(sizes, totals, strict=True), 1)
    fitting = [count for count, (size, total) in sums if size <= _max_characters(total)]
    return {version: firmware[version] for version in ranked[: max(fitting, default=0)]}


def _max_characters(devices: int) -> int:
    return (
        MAX_FIRMWARE_CHARACTERS_BESIDE_BLOCK if devices <= BLOCK_SIZE else MAX_FIRMWARE_CHARACTERS
    )


def _make_refused_error(refusals: Mapping[str, str]) -> ConflictError:
    return ConflictError(
        f"No device can be brought back: each would refuse {_name_refusals(refusals)}."
        " Roll out the earlier version with a new manifest instead."
    )


def _make_unknown_error(before: Mapping[str, str]) -> ConflictError:
    versions = ", ".join(sorted(set(before.values()))[:MAX_NAMED])
    reason = (
        f"no rollout has brought its earlier firmware ({versions}), so the package is not known"
        if versions
        else "no device reported its earlier firmware version"
    )
    return ConflictError(f"No device can be brought back: {reason}.")


def _describe_refusals(refusals: Mapping[str, str], devices: Mapping[str, int]) -> str:
    if not refusals:
        return ""
    subject = _count_devices(refusals, devices)
    return f" Not brought back: {subject} that would refuse {_name_refusals(refusals)}."


def _describe_too_many(versions: Sequence[str], devices: Mapping[str, int]) -> str:
    if not versions:
        return ""
    subject = _count_devices(versions, devices)
    return (
        f" Not brought back: {subject} whose versions exceed what one rollback can hold:"
        f" {_name_first(versions)}. Bring them back with one rollout per version."
    )


def _count_devices(versions: Iterable[str], devices: Mapping[str, int]) -> str:
    return texts.count(sum(devices[version] for version in versions), "device")


def _name_refusals(refusals: Mapping[str, str]) -> str:
    return _name_first([f"firmware {version} ({why})" for version, why in refusals.items()])


def _name_first(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    return "; ".join(texts[:MAX_NAMED]) + more
