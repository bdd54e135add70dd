"""Devices of a local cloud that really download and install."""

import shutil
from collections.abc import Callable

from device_agent.admission import Policy
from device_agent.credentials import Credentials
from device_agent.download import DownloadLimits
from simulator.cloud.options import CloudOptions
from simulator.cloud.release import MODEL, Release
from simulator.simulated_device.installing import InstallingDevice, InstallingOptions


def installing_device(
    options: CloudOptions, folder: str, release: Release, stage_seconds: float
) -> Callable[[str], InstallingDevice]:
    """Makes devices, fresh from the factory, that take this release's signature only.

    Their disks are in a `folder` of the local directory. They download and restart at a speed
    that can be watched: each takes about `stage_seconds`.
    """
    directory = options.local_directory / folder
    shutil.rmtree(directory, ignore_errors=True)
    ca = options.ca.read_text()
    seconds = max(stage_seconds, 0.001)

    def make(connection_string: str) -> InstallingDevice:
        credentials = Credentials(connection_string=connection_string, ca=ca)
        return InstallingDevice(
            InstallingOptions(
                credentials=credentials,
                directory=directory / credentials.identity.device_id,
                policy=Policy(model=MODEL, trust=release.trust, signed_only=True),
                limits=DownloadLimits(bytes_per_second=int(len(release.package) / seconds)),
                restart_seconds=stage_seconds,
            )
        )

    return make
