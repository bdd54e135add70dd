"""Find out which firmware versions the devices of a plan run."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.hub_gateway.port import ConditionError, HubGateway
from functions.rollouts.device import reports, versions
from functions.rollouts.model import texts
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.version_order import is_lower
from functions.use_cases.target_devices import MAX_CHECKED_BY_REQUEST, FoundDevices

# Versions that a message names.
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVersions:
    """What the devices of a plan run, as they report it. Devices that report none are in none."""

    already_running: int  # devices that run the requested version
    higher: Mapping[str, int] = field(default_factory=dict)  # devices by version, most first
    running: Mapping[str, int] = field(default_factory=dict)  # as `higher`, of all versions

    @property
    def downgrades(self) -> int:
        """Return the number of devices that run a higher version than the requested one."""
        return sum(self.higher.values())

    def describe_downgrades(self, firmware: Firmware) -> str:
        """Return a sentence about the devices that run a higher version."""
        named = [
            f"{version} ({count})" for version, count in list(self.higher.items())[:_MAX_NAMED]
        ]
        more = len(self.higher) - len(named)
        others = f" and {texts.count(more, 'other version')}" if more else ""
        runs = "device runs" if self.downgrades == 1 else "devices run"
        return (
            f"{self.downgrades} {runs} a higher version than {firmware.version}:"
            f" {', '.join(named)}{others}. The rollout installs {firmware.version} on them."
        )


def find_versions(
    hub: HubGateway, request: NewRollout, found: FoundDevices
) -> PlannedVersions | None:
    """Find the versions of the devices that were found; None if the list is too long for that.

    The twins of few devices were read. Of more devices, the hub is queried, and its result may be
    minutes old. Raises HubUnavailableError.
    """
    firmware = request.firmware
    if found.twins:
        return read_versions(firmware, found)
    if request.condition is None and len(request.device_ids) > MAX_CHECKED_BY_REQUEST:
        return None
    running = _count_versions(hub, request)
    if running is None:
        return None
    already = sum(count for version, count in running.items() if firmware.is_named(version))
    return _sort_versions(firmware, running, already)


def read_versions(firmware: Firmware, found: FoundDevices) -> PlannedVersions:
    """Return the versions of the devices whose twins were read; none of a larger target."""
    twins = found.twins.values()
    running = Counter(filter(None, map(reports.running_version, twins)))
    already = sum(versions.runs_already(firmware, twin) for twin in twins)
    return _sort_versions(firmware, running, already)


def _count_versions(hub: HubGateway, request: NewRollout) -> Counter[str] | None:
    """Count the devices by version; None if the hub does not count this condition's devices."""
    try:
        rows = (
            hub.count_versions_of(request.device_ids)
            if request.condition is None
            else hub.count_versions_matching(request.condition)
        )
    except ConditionError:  # the condition itself is valid: its devices were found by it
        return None
    running: Counter[str] = Counter()
    for value, count in rows:
        version = reports.read_version(value)
        if version is not None:
            running[version] += count
    return running


def _sort_versions(firmware: Firmware, running: Counter[str], already: int) -> PlannedVersions:
    higher = {
        version: count
        for version, count in running.most_common()
        if is_lower(firmware.version, than=version) and not firmware.is_named(version)
    }
    return PlannedVersions(
        already_running=already, higher=higher, running=dict(running.most_common())
    )
