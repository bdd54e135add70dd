"""Register firmware in the catalogue, and read what it has.

A version's package never changes once a rollout has named the version: devices may run it, and a
rollback would send them other bytes under its name.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from functions.errors import ConflictError, StaleError, UnknownError
from functions.rollout_store.ports.records import Page
from functions.rollouts.model.catalogue_entry import CatalogueEntry
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.identity import Identity
from functions.rollouts.model.package_uri import expires_at, hide_secrets
from functions.use_cases import catalogue
from functions.use_cases.catalogue import digest, same_package
from functions.use_cases.new_rollout import refuse_expired_manifest_and_link
from functions.use_cases.services import Services


@dataclass(frozen=True, slots=True)
class Registration:
    """An entry as it is stored now."""

    entry: CatalogueEntry
    is_new: bool


def register(
    services: Services,
    firmware: Firmware,
    notes: str,
    caller: Identity,
    revisions: Collection[int] | None = None,
) -> Registration:
    """Register a firmware under its version, or replace what is registered there.

    With `revisions`, the entry must have one of them. Raises InvalidError (the link or the manifest
    has expired), ConflictError (a rollout has named the version with another package), StaleError,
    LostRaceError, StorageUnavailableError.
    """
    now, store = services.clock(), services.stores.catalogue
    notes = hide_secrets(notes, firmware.package_uri)
    refuse_expired_manifest_and_link(firmware, now)

    def decide(before: CatalogueEntry | None) -> CatalogueEntry:
        _check_revision(firmware.version, before, revisions)
        new = CatalogueEntry(firmware=firmware, notes=notes, registered=True, used=False)
        if before is None:
            return replace(
                new, created_at=now, created_by=caller, changed_at=now, changed_by=caller
            )
        _refuse_other_package(before, firmware)
        kept = replace(before, firmware=firmware, notes=notes, registered=True)
        return kept if kept == before else replace(kept, changed_at=now, changed_by=caller)

    entry, is_new = catalogue.change(store, firmware.version, decide)
    catalogue.save_aliases(store, [firmware])
    return Registration(entry, is_new)


def get_entry(services: Services, version: str) -> CatalogueEntry:
    """Return the entry of a version. Raises UnknownError, StorageUnavailableError."""
    stored = services.stores.catalogue.get_entry(version)
    if stored is not None:
        return stored.record
    other = services.stores.catalogue.get(version)
    if other is not None:
        raise UnknownError(
            f"{version[:64]!r} is another name of {other.version!r}; request that version."
        )
    raise UnknownError(
        f"The catalogue has no firmware {version[:64]!r}. Register it {catalogue.HOW_TO_REGISTER}."
    )


def list_entries(services: Services, limit: int, cursor: str | None) -> Page[CatalogueEntry]:
    """List the entries in the order of their versions as text. Raises CursorError."""
    return services.stores.catalogue.list_entries(limit, cursor)


def _check_revision(
    version: str, before: CatalogueEntry | None, revisions: Collection[int] | None
) -> None:
    if revisions is None or (before is not None and before.revision in revisions):
        return
    found = "does not exist" if before is None else f"has the revision {before.revision}"
    raise StaleError(
        f"Firmware {version} {found}. Read it again, and send its ETag as If-Match; or send no"
        " If-Match to replace whatever is there."
    )


def _refuse_other_package(before: CatalogueEntry, new: Firmware) -> None:
    """Raise ConflictError unless the package is known to be that of the rollouts so far."""
    stored = before.firmware
    if not before.used or same_package(stored, new):
        return
    known, version = digest(stored), new.version
    if known is None and _location(stored.package_uri) == _location(new.package_uri):
        return
    used = f"A rollout has used {version}, so that devices may run it"
    if known is None:
        raise ConflictError(
            f"{used}, and its SHA-256 is not known: the package at another location could be"
            " another one. Send the packageUri that is stored, or use another version."
        )
    if digest(new) is None:
        raise ConflictError(
            f"{used}, with the SHA-256 {known}. Send it as sha256, or use another version."
        )
    raise ConflictError(
        f"{used}, with the SHA-256 {known}, not {digest(new)}. A version keeps its package: use"
        " another version for another package."
    )


def _location(uri: str) -> str:
    """Return where a package is; the signature of a signed link may change."""
    if expires_at(uri) is None:
        return uri
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
