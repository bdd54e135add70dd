"""One installing device with its package server, its folder and its service side."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from msrest.exceptions import HttpOperationError

from device_agent.admission import Policy
from device_agent.download_limits import DownloadLimits
from signed_firmware.manifest import Manifest
from simulator.simulated_device.device_thread import DeviceThread
from simulator.simulated_device.faults import parse_faults
from simulator.simulated_device.installing import InstallingDevice, InstallingOptions
from tests.simulator.simulated_device.fleet_owner import FleetOwner
from tests.simulator.simulated_device.package_server import PackageServer

STARTED = {"Response": "Firmware update started"}
MODEL = "thermostat-x1"
PACKAGE = random.Random(1).randbytes(700_000)  # noqa: S311 - any bytes
QUICK = DownloadLimits(first_pause_seconds=0.05, sync_bytes=100_000)


@dataclass
class Scene:
    """One device with its package server, its folder and its service side."""

    server: PackageServer
    owner: FleetOwner
    devices: DeviceThread
    device_id: str
    options: dict[str, Any]

    def start(self, *wanted: str, **more: Any) -> None:
        found = parse_faults(wanted)
        defaults: dict[str, Any] = {"policy": Policy(model=MODEL), "limits": QUICK}
        options = self.options | defaults | more
        device = InstallingDevice(InstallingOptions(faults=found, restart_seconds=0, **options))
        self.devices.start(device)
        assert device.standing_by.wait(20)

    def invoke(self, **more: Any) -> tuple[int, Any]:
        payload = {
            "fwPackageUri": self.server.url,
            "rolloutId": "r1",
            "attempt": 1,
            "version": "2.4.0",
            "sha256": self.server.sha256,
            "sizeBytes": len(self.server.package),
        }
        return self.owner.invoke(self.device_id, payload | more)

    def status(self, **more: Any) -> int | None:
        """Invoke the method and return its status; None if the device is not connected."""
        try:
            return self.invoke(**more)[0]
        except HttpOperationError:
            return None

    def is_accepted(self) -> bool:
        return self.status() == 200

    def reported(self) -> dict[str, Any]:
        return self.owner.reported(self.device_id)

    def wait_for(self, status: str) -> dict[str, Any]:
        return self.owner.wait_for(self.device_id, status)


def make_manifest(server: PackageServer, sequence: int = 7) -> Manifest:
    return Manifest(
        version="2.4.0",
        sha256=server.sha256,
        size_bytes=len(server.package),
        models=(MODEL,),
        sequence=sequence,
        expires_at=datetime.now(UTC).replace(microsecond=0) + timedelta(days=1),
        minimum_version=None,
        allow_downgrade=False,
    )
