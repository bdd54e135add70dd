"""Find the firmware that each device of a rollback goes back to.

It is what the device itself completed before. Where no rollout on record brought the earlier
version to a device, as with factory firmware, the catalogue names its package; the audit trail says
so.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate

from functions.errors import ConflictError
from functions.rollout_store.ports.firmware_catalogue import FirmwareCatalogue
from functions.rollout_store.ports.rollouts import (
    MAX_FIRMWARE_CHARACTERS,
    MAX_FIRMWARE_CHARACTERS_BESIDE_BLOCK,
)
from functions.rollouts.model import manifest, texts
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import Rollout
from functions.use_cases.catalogue import HOW_TO_REGISTER, digest, find_package, same_package
from functions.use_cases.completed_firmware import find_completed
from functions.use_cases.services import Services
from functions.use_cases.undone_devices import UndoneDevice, UndoneDevices

# Versions, or devices, that a message names.
MAX_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierFirmware:
    """The firmware that devices can be brought back to."""

    firmware: Mapping[str, Firmware]  # by device id
    left_out: str  # sentences about the other devices, each after a space; may be empty
    by_name: str  # a sentence about devices whose package only the catalogue knows; may be empty


def find(services: Services, undone: Rollout, devices: UndoneDevices) -> EarlierFirmware:
    """Find what the devices of an undone rollout can be brought back to.

    Raises ConflictError if no device can be brought back, StorageUnavailableError.
    """
    known, by_name = _find_known(services, undone, devices.taken)
    refusals = _find_refusals(known, undone, services)
    accepted = {name: item for name, item in known.items() if item not in refusals}
    fitting = _choose_fitting(Counter(accepted.values()))
    chosen = {name: item for name, item in accepted.items() if item in fitting}
    if not chosen:
        raise _make_error(undone, devices, refusals)
    unknown = [name for name in devices.taken if name not in known]
    too_many = Counter(item.version for item in accepted.values() if item not in fitting)
    left_out = (
        _describe_refusals(refusals, known.values())
        + _describe_too_many(too_many)
        + "".join(_describe(ids, why) for why, ids in devices.left_out.items())
        + _describe(unknown, "whose earlier firmware is not known")
    )
    named = {name: item for name, item in chosen.items() if name in by_name}
    return EarlierFirmware(firmware=chosen, left_out=left_out, by_name=_describe_by_name(named))


def _find_known(
    services: Services, undone: Rollout, devices: Mapping[str, UndoneDevice]
) -> tuple[Mapping[str, Firmware], set[str]]:
    """Return the earlier firmware by device id, and the devices for which only the name tells it.

    A package that the catalogue has with the same hash is the same one, at its latest location and
    with its latest manifest.
    """
    earlier = {
        name: item
        for name, item in devices.items()
        if not item.firmware.is_named(item.update.previous_version or "")
    }
    completed = find_completed(services.stores.rollouts, undone.id, earlier)
    named = {
        name: item.update.previous_version
        for name, item in earlier.items()
        if name not in completed and item.update.previous_version is not None
    }
    versions = {item.version for item in completed.values()} | set(named.values())
    catalogue = _read_catalogue(services.stores.catalogue, versions)
    known = _with_latest_packages(completed, catalogue)
    by_name = {name: catalogue[version] for name, version in named.items() if version in catalogue}
    found = {**known, **by_name}
    return {name: found[name] for name in devices if name in found}, set(by_name)


def _read_catalogue(catalogue: FirmwareCatalogue, versions: set[str]) -> Mapping[str, Firmware]:
    found = {version: find_package(catalogue, version) for version in versions}
    return {version: firmware for version, firmware in found.items() if firmware is not None}


def _with_latest_packages(
    completed: Mapping[str, Firmware], catalogue: Mapping[str, Firmware]
) -> Mapping[str, Firmware]:
    """Replace equal packages by one record: that of the catalogue, or of the newest rollout."""
    latest: dict[Firmware, Firmware] = {}
    for item in dict.fromkeys(completed.values()):
        candidates = [catalogue.get(item.version, item), *latest]
        latest[item] = next((other for other in candidates if same_package(item, other)), item)
    return {name: latest[item] for name, item in completed.items()}


def _find_refusals(
    known: Mapping[str, Firmware], undone: Rollout, services: Services
) -> Mapping[Firmware, str]:
    """Return why devices would refuse a firmware, for those that they would refuse."""
    now = services.clock()
    packages = sorted(set(known.values()), key=lambda item: item.version)
    found = {item: manifest.refusal_reason(item, undone, now) for item in packages}
    return {item: why for item, why in found.items() if why is not None}


def _choose_fitting(devices: Mapping[Firmware, int]) -> frozenset[Firmware]:
    """Choose as many packages as fit into a rollback's record, those of most devices first."""
    ranked = sorted(devices, key=lambda item: (-devices[item], item.version, item.package_uri))
    sizes = accumulate(len(json.dumps(asdict(item))) for item in ranked)
    totals = accumulate(devices[item] for item in ranked)
    sums = enumerate(zip(sizes, totals, strict=True), 1)
    fitting = [count for count, (size, total) in sums if size <= _max_characters(total)]
    return frozenset(ranked[: max(fitting, default=0)])


def _max_characters(devices: int) -> int:
    return (
        MAX_FIRMWARE_CHARACTERS_BESIDE_BLOCK if devices <= BLOCK_SIZE else MAX_FIRMWARE_CHARACTERS
    )


def _make_error(
    undone: Rollout,
    devices: UndoneDevices,
    refusals: Mapping[Firmware, str],
) -> ConflictError:
    """Say why no device can be brought back, and what to do instead."""
    if not devices.taken:
        return _make_none_error(undone, devices)
    if refusals:
        return ConflictError(
            f"No device can be brought back: each would refuse {_name_refusals(refusals)}."
            " Roll out the earlier version with a new manifest instead."
        )
    before = {item.update.previous_version for item in devices.taken.values()} - {None}
    versions = ", ".join(sorted(map(str, before))[:MAX_NAMED])
    reason = (
        f"no rollout has brought its earlier firmware ({versions}), and the catalogue does not have"
        f" it. Register it {HOW_TO_REGISTER} and roll back again, or roll it out by a new rollout"
        " that names its package."
        if versions
        else "no device reported its earlier firmware version, and none completed another rollout."
        " Roll out the earlier version by a new rollout that names its package."
    )
    return ConflictError(f"No device can be brought back: {reason}")


def _make_none_error(undone: Rollout, devices: UndoneDevices) -> ConflictError:
    if not devices.left_out:
        return ConflictError(
            f"The rollout is {undone.status} and no device has completed: there is nothing to"
            " bring back."
        )
    left_out = "".join(_describe(ids, why) for why, ids in devices.left_out.items())
    return ConflictError(
        f"No device can be brought back: none runs {undone.firmware.version} any more.{left_out}"
        " Roll back the later rollout, or roll out the version that the devices are to run."
    )


def _describe(device_ids: Sequence[str], why: str) -> str:
    if not device_ids:
        return ""
    subject = texts.count(len(device_ids), "device")
    return f" Not brought back: {subject} {why} ({_name_first(sorted(device_ids))})."


def _describe_refusals(refusals: Mapping[Firmware, str], known: Iterable[Firmware]) -> str:
    if not refusals:
        return ""
    subject = texts.count(sum(item in refusals for item in known), "device")
    return f" Not brought back: {subject} that would refuse {_name_refusals(refusals)}."


def _describe_too_many(devices: Mapping[str, int]) -> str:
    if not devices:
        return ""
    subject = texts.count(sum(devices.values()), "device")
    return (
        f" Not brought back: {subject} whose versions exceed what one rollback can hold:"
        f" {_name_first(sorted(devices))}. Bring them back with one rollout per version."
    )


def _describe_by_name(named: Mapping[str, Firmware]) -> str:
    if not named:
        return ""
    versions = _name_first(sorted({item.version for item in named.values()}))
    subject = texts.count(len(named), "device")
    unverified = " It has no hash." if any(digest(item) is None for item in named.values()) else ""
    return (
        f" No rollout on record brought {versions} to {subject}: the package is that of the"
        f" catalogue.{unverified}"
    )


def _name_refusals(refusals: Mapping[Firmware, str]) -> str:
    return _name_first([f"firmware {item.version} ({why})" for item, why in refusals.items()])


def _name_first(names: Sequence[str]) -> str:
    more = f"; and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return "; ".join(names[:MAX_NAMED]) + more
