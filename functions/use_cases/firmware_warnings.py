"""Warnings of a plan about its firmware: the package, what devices run, and the way back."""

from collections.abc import Sequence
from math import ceil

from functions.outbound.port import Lookup, PackageLinkError
from functions.rollouts.model import texts
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.package_uri import redact
from functions.rollouts.model.strategy import OnBreach, WhenAlreadyRunning
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout import gate
from functions.use_cases.catalogue import HOW_TO_REGISTER, digest, find_package, same_package
from functions.use_cases.conflicts import name_first
from functions.use_cases.package_links import LOOKUP_VALIDITY
from functions.use_cases.plan_warnings import PlanWarning
from functions.use_cases.planned_versions import PlannedVersions
from functions.use_cases.services import Services

# Versions that are searched for in the catalogue, those of most devices first.
MAX_VERSIONS = 50


def warn_of_package(services: Services, firmware: Firmware, total: int) -> Sequence[PlanWarning]:
    """Warn of what devices cannot check, or may not get. `total` is the number of devices."""
    found = []
    if digest(firmware) is None:
        message = (
            "The firmware has no sha256: devices cannot tell a damaged or exchanged package from"
            " the intended one."
        )
        found.append(PlanWarning(code="noSha256", message=message, count=total))
    if firmware.manifest is None:
        message = "The firmware has no manifest: devices cannot tell who published the package."
        found.append(PlanWarning(code="noManifest", message=message, count=total))
    return [
        *found,
        *_warn_of_other_package(services, firmware, total),
        *_warn_of_location(services, firmware, total),
    ]


def _warn_of_other_package(
    services: Services, firmware: Firmware, total: int
) -> Sequence[PlanWarning]:
    stored = services.stores.catalogue.get_entry(firmware.version)
    if stored is None:
        return []
    known = stored.record.firmware
    if digest(known) is None or known == firmware or same_package(known, firmware):
        return []
    here = digest(firmware) or "not known"
    message = (
        f"The catalogue has another package of {firmware.version}: its SHA-256 is {digest(known)},"
        f" that of this one is {here}. Devices get this one; a rollback may send the other one."
    )
    return [PlanWarning(code="otherPackage", message=message, count=total)]


def _warn_of_location(services: Services, firmware: Firmware, total: int) -> Sequence[PlanWarning]:
    """Look the package up from here; its link is shown without secrets."""
    if services.package_lookup is None:
        return []
    try:
        found = services.package_lookup.look_up(_link(services, firmware.package_uri))
    except PackageLinkError as error:
        found = Lookup(problem=str(error).rstrip("."))
    shown = redact(firmware.package_uri)
    if found.problem is not None:
        message = (
            f"The package {shown} could not be reached from here: {found.problem}. Devices may"
            " reach it from another network."
        )
        return [PlanWarning(code="packageNotReachable", message=message, count=total)]
    size = firmware.size_bytes
    if None in {size, found.size_bytes} or size == found.size_bytes:
        return []
    message = (
        f"The package {shown} has {found.size_bytes:,} bytes, not {size:,}: devices that check"
        " sizeBytes refuse it."
    )
    return [PlanWarning(code="packageSizeDiffers", message=message, count=total)]


def _link(services: Services, uri: str) -> str:
    links = services.package_links
    return links.make(uri, LOOKUP_VALIDITY) if links is not None else uri


def warn_of_versions(
    services: Services, request: NewRollout, running: PlannedVersions, total: int
) -> Sequence[PlanWarning]:
    """Warn of devices that run the version already, and of those without a way back."""
    unreported = max(0, total - sum(running.running.values()))
    return [
        *_warn_of_already_running(request, running.already_running),
        *_warn_of_no_way_back(services, request, running),
        *_warn_of_unreported(unreported),
    ]


def _warn_of_already_running(request: NewRollout, count: int) -> Sequence[PlanWarning]:
    if not count:
        return []
    is_skip = request.strategy.when_already_running is WhenAlreadyRunning.SKIP
    then = "skipped" if is_skip else "updated again (whenAlreadyRunning)"
    runs = "device runs" if count == 1 else "devices run"
    verb = "is" if count == 1 else "are"
    message = f"{count:,} {runs} {request.firmware.version} already, and {verb} {then}."
    return [PlanWarning(code="alreadyRunning", message=message, count=count)]


def _warn_of_no_way_back(
    services: Services, request: NewRollout, running: PlannedVersions
) -> Sequence[PlanWarning]:
    """Warn of devices whose version has no package in the catalogue.

    Of more than MAX_VERSIONS versions, the others are not searched for.
    """
    others = [name for name in running.running if not request.firmware.is_named(name)]
    lost = [
        name
        for name in others[:MAX_VERSIONS]
        if find_package(services.stores.catalogue, name) is None
    ]
    if not lost:
        return []
    count = sum(running.running[name] for name in lost)
    listed = name_first([f"{name} ({running.running[name]:,})" for name in lost])
    message = (
        f"No way back for {texts.count(count, 'device')}: the package of the version that they run"
        f" is not known: {listed}. Register it {HOW_TO_REGISTER}."
    )
    if request.strategy.failure_gate.on_breach is OnBreach.ROLLBACK:
        message += " A rollback at a breach would leave these devices as they are."
    return [PlanWarning(code="noWayBack", message=message, count=count)]


def _warn_of_unreported(count: int) -> Sequence[PlanWarning]:
    if not count:
        return []
    report = "device reports" if count == 1 else "devices report"
    message = (
        f"{count:,} {report} no firmwareVersion: a rollback takes a device back only to what it"
        " completed in an earlier rollout."
    )
    return [PlanWarning(code="versionNotReported", message=message, count=count)]


def warn_of_small_canary(request: NewRollout, waves: Sequence[Wave]) -> Sequence[PlanWarning]:
    """Warn of a first wave that is too small for the gate to find its firmware acceptable."""
    if len(waves) < 2:  # noqa: PLR2004 - no wave opens on what the first one showed
        return []
    first, failure_gate = waves[0], request.strategy.failure_gate
    halves = 2 if request.strategy.stratify_by else 1
    limits = gate.limits_for(failure_gate, halves * len(waves))
    needed = ceil(limits.acceptable / limits.per_other)
    if first.size >= needed:
        return []
    message = (
        f"{texts.wave_first(first.name)} has {texts.count(first.size, 'device')}, too few for its"
        f" gate: only {needed} healthy ones show at {failure_gate.confidence * 100:.10g}%"
        f" confidence that the failure rate is {failure_gate.acceptable}, not"
        f" {failure_gate.unacceptable}. A smaller wave passes by successShare and minCompleted"
        " alone."
    )
    if gate.failures_to_breach(limits, first.size) is None:
        message += (
            " Even if all its devices fail, the gate is not breached; successShare is missed."
        )
    return [PlanWarning(code="canaryTooSmall", message=message, count=first.size)]
