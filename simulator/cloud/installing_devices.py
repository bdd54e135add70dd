"""Make simulated devices that download and install."""

import shutil
from collections.abc import Callable

from device_agent.admission import Policy
from device_agent.credentials import Credentials
from device_agent.download_limits import DownloadLimits
from simulator.cloud.options import CloudOptions
from simulator.cloud.sample_release import MODEL, SampleRelease
from simulator.simulated_device.installing import InstallingDevice, InstallingOptions


def installing_device_factory(
    options: CloudOptions, folder: str, release: SampleRelease, stage_seconds: float
) -> Callable[[str], InstallingDevice]:
    """Return a factory of new devices that trust this release's key only.

    Their disks are in `folder` of the local directory, which is emptied first. Download and restart
    are slowed down to about `stage_seconds` each, so that they can be watched.
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
