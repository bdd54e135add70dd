"""Read and write the catalogue for rollouts: what they name, and the packages that they lack.

What a caller registered changes by `register_firmware` alone, or by a new link for the same
package. Other entries follow the rollouts that name their version.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from functions.errors import FieldError, InvalidError, LostRaceError
from functions.rollout_store.ports.firmware_catalogue import FirmwareCatalogue
from functions.rollouts.model import manifest
from functions.rollouts.model.catalogue_entry import CatalogueEntry
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout

MAX_ATTEMPTS = 10
HOW_TO_REGISTER = "with fleet firmware set or PUT /firmware/{version}"


def complete(catalogue: FirmwareCatalogue, request: NewRollout) -> NewRollout:
    """Return the request with the catalogue's firmware if it names a version alone.

    Raises InvalidError if the catalogue does not know the version.
    """
    version = request.firmware.version
    if request.firmware.package_uri:
        return request
    stored = catalogue.get_entry(version)
    if stored is None:
        detail = (
            f"The catalogue has no firmware {version}: register it {HOW_TO_REGISTER}, or send"
            " packageUri here."
        )
        other = catalogue.get(version)
        if other is not None:
            detail = f"{version} is another name of {other.version}; send that as the version."
        raise InvalidError("The firmware is not known.", [FieldError("/firmware/version", detail)])
    return replace(request, firmware=stored.record.firmware, is_from_catalogue=True)


def save_named(catalogue: FirmwareCatalogue, request: NewRollout, now: datetime) -> None:
    """Record the firmware of a rollout under its version, which need not be registered.

    The latest location of a package is kept. A package with a known hash is never replaced by one
    with another hash or with none: a rollout to one device must not decide what the devices of a
    rollback are sent. Raises LostRaceError if the firmware that was taken from the catalogue is
    another one by now.
    """
    firmware, by = request.firmware, request.created_by

    def decide(before: CatalogueEntry | None) -> CatalogueEntry:
        if request.is_from_catalogue and (before is None or before.firmware != firmware):
            raise LostRaceError(
                f"The catalogue's firmware {firmware.version} was changed by another request."
                " Plan the rollout again."
            )
        if before is None:
            return CatalogueEntry(
                firmware=firmware, created_at=now, created_by=by, changed_at=now, changed_by=by
            )
        return replace(before, firmware=_follow(before, firmware), used=True)

    change(catalogue, firmware.version, decide)
    save_aliases(catalogue, [firmware])


def _follow(before: CatalogueEntry, named: Firmware) -> Firmware:
    """Return the firmware of an entry after a rollout has named `named` under its version."""
    stored = before.firmware
    if before.registered:
        return stored
    if digest(stored) is None:
        return named
    if same_package(stored, named):
        return replace(named, manifest=named.manifest or stored.manifest)
    return stored


def relocate(catalogue: FirmwareCatalogue, before: Firmware, now: Firmware) -> None:
    """Store the new location of a package, if the catalogue has it at the earlier one."""
    stored = catalogue.get_entry(before.version)
    if now == before or stored is None or stored.record.firmware != before:
        return
    after = replace(stored.record, firmware=now, revision=stored.record.revision + 1)
    with suppress(LostRaceError):  # another request has set the location
        catalogue.save_entry(after, stored.version)


def change(
    catalogue: FirmwareCatalogue,
    version: str,
    decide: Callable[[CatalogueEntry | None], CatalogueEntry],
) -> tuple[CatalogueEntry, bool]:
    """Store what `decide` makes of a version's entry, if that differs.

    Return the entry, and whether it is new. `decide` is called again if another request changed the
    entry. Raises LostRaceError after MAX_ATTEMPTS.
    """
    for _ in range(MAX_ATTEMPTS):
        stored = catalogue.get_entry(version)
        before = stored.record if stored else None
        after = decide(before)
        if after == before:
            return after, False
        after = replace(after, revision=before.revision + 1 if before else 1)
        try:
            catalogue.save_entry(after, stored.version if stored else None)
        except LostRaceError:
            continue
        return after, before is None
    raise LostRaceError(f"Firmware {version} was changed by other requests {MAX_ATTEMPTS} times.")


def save_aliases(catalogue: FirmwareCatalogue, packages: Sequence[Firmware]) -> None:
    """Store firmware also under the other names by which devices report it, where they are free."""
    for firmware in packages:
        for name in firmware.reported_as:
            stored = catalogue.get(name)
            is_own = stored is not None and stored.version == firmware.version
            if stored is None or (is_own and stored != firmware and name != firmware.version):
                catalogue.save(firmware, name)


def find_package(catalogue: FirmwareCatalogue, name: str) -> Firmware | None:
    """Return the firmware that devices report under a name, or None if it is not known."""
    found = catalogue.get(name)
    if found is None or found.version == name:
        return found
    latest = catalogue.get(found.version)
    if latest is None or latest.version != found.version:
        return found
    return latest if latest.is_named(name) else None


def digest(firmware: Firmware) -> str | None:
    """Return the SHA-256 of a package, from its manifest if need be; None if it is not known."""
    signed = manifest.get(firmware)
    return firmware.sha256 or (signed.sha256 if signed else None)


def same_package(one: Firmware, other: Firmware) -> bool:
    """Return whether two records are known to be about the same package of the same version."""
    return one.version == other.version and digest(one) is not None and digest(one) == digest(other)
