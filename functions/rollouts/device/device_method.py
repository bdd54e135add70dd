"""The direct method that starts an update on a device (docs/how-it-works.md)."""

from typing import Any

from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout

METHOD = "firmwareUpdate"


def payload(rollout: Rollout, update: DeviceUpdate) -> dict[str, Any]:
    """Return the method's payload; a device may ignore everything but `fwPackageUri`."""
    firmware = rollout.firmware_for(update)
    optional = {
        "sha256": firmware.sha256,
        "sizeBytes": firmware.size_bytes,
        "manifest": firmware.manifest,
    }
    return {
        "fwPackageUri": firmware.package_uri,
        "rolloutId": rollout.id,
        "attempt": update.attempt,
        "version": firmware.version,
        **{name: value for name, value in optional.items() if value is not None},
    }
