"""Keep the firmware of each version in the catalogue, for devices without a record of their own."""

from collections.abc import Sequence
from dataclasses import replace

from functions.rollout_store.ports.firmware_catalogue import FirmwareCatalogue
from functions.rollouts.model import manifest
from functions.rollouts.model.firmware import Firmware


def save_named(catalogue: FirmwareCatalogue, firmware: Firmware) -> None:
    """Store a firmware that a rollout names; the latest location of a package is kept.

    A package with a known hash is never replaced by one with another hash or with none: a rollout
    to one device must not decide what the devices of a rollback are sent.
    """
    stored = catalogue.get(firmware.version)
    is_alias = stored is not None and stored.version != firmware.version
    if stored is None or is_alias or digest(stored) is None:
        catalogue.save(firmware)
    elif same_package(stored, firmware):
        catalogue.save(replace(firmware, manifest=firmware.manifest or stored.manifest))


def save_aliases(catalogue: FirmwareCatalogue, packages: Sequence[Firmware]) -> None:
    """Store firmware also under the other names by which devices report it, where they are free.

    Until a rollout is removed, its own record tells these names.
    """
    for firmware in packages:
        for name in firmware.reported_as:
            if catalogue.get(name) is None:
                catalogue.save(firmware, name)


def digest(firmware: Firmware) -> str | None:
    """Return the SHA-256 of a package, from its manifest if need be; None if it is not known."""
    signed = manifest.get(firmware)
    return firmware.sha256 or (signed.sha256 if signed else None)


def same_package(one: Firmware, other: Firmware) -> bool:
    """Return whether two records are known to be about the same package of the same version."""
    return one.version == other.version and digest(one) is not None and digest(one) == digest(other)
