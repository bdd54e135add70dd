"""Run the command `device`: one simulated device, until a signal stops it."""

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

from device_agent.admission import Policy
from device_agent.connection_string import read_identity
from device_agent.credentials import Certificate, Credentials, CredentialsError
from device_agent.dialect import CONTRACT, TUTORIAL
from device_agent.disk import FolderStorage
from device_agent.download_limits import DownloadLimits
from device_agent.package_addresses import AddressRules
from device_agent.stages import FACTORY_VERSION
from signed_firmware.trust import TrustStore
from simulator.simulated_device.device import Device, DeviceOptions
from simulator.simulated_device.device_thread import RunnableDevice
from simulator.simulated_device.faults import Faults, draw_faults, parse_faults
from simulator.simulated_device.installing import InstallingDevice, InstallingOptions
from simulator.simulated_device.simulated_updates import UpdateSettings, failure_at


def read_authority(connection_string: str, given: Path | None, local: Path) -> str | None:
    """Return the certificate authority to trust, as PEM text; None means the system's.

    Without `given`, a hub on this machine is taken for the local hub, whose authority is in `local`
    if that file exists. Raises ConnectionStringError; raises OSError if `given` cannot be read.
    """
    if given is not None:
        return given.read_text()
    if read_identity(connection_string).is_local and local.exists():
        return local.read_text()
    return None


def read_certificate(file: Path | None, key: Path | None) -> Certificate | None:
    """Return the certificate of both files, or None without files. Raises CredentialsError.

    The passphrase comes from the environment only: every user of a machine can read arguments.
    """
    if file is None and key is None:
        return None
    if file is None or key is None:
        raise CredentialsError("--certificate and --certificate-key go together; give both")
    passphrase = os.environ.get("IOTHUB_DEVICE_X509_PASSWORD")
    return Certificate(certificate_file=file, key_file=key, passphrase=passphrase)


def make_simulated_device(
    credentials: Credentials,
    *,
    stage_delay: timedelta,
    failure: tuple[str, str] | None,
    tutorial: bool,
    version: str | None,
) -> Device:
    """Make a device that only simulates updates; `failure` is a stage and an error code."""
    settings = UpdateSettings(
        stage_delay=stage_delay,
        failure=failure_at(*failure) if failure else None,
        version=version,
        dialect=TUTORIAL if tutorial else CONTRACT,
    )
    return Device(DeviceOptions(credentials=credentials, update_settings=settings))


def make_installing_device(
    credentials: Credentials,
    directory: Path,
    *,
    policy: Policy,
    faults: Faults,
    rules: AddressRules,
    bytes_per_second: int | None,
    progress_step_percent: int | None,
    version: str | None,
) -> InstallingDevice:
    """Make a device that downloads and installs updates. Raises OSError for the directory."""
    FolderStorage(directory).free_bytes()
    options = InstallingOptions(
        credentials=credentials,
        directory=directory,
        policy=policy,
        faults=faults,
        rules=rules,
        limits=DownloadLimits(bytes_per_second=bytes_per_second),
        progress_step_percent=progress_step_percent,
        first_version=version or FACTORY_VERSION,
    )
    return InstallingDevice(options)


def make_policy(model: str, keys: Path | None, *, signed_only: bool) -> Policy:
    """Return the policy of a device. Raises ValueError for invalid or missing keys."""
    return Policy(
        model=model, trust=TrustStore.read(keys) if keys else None, signed_only=signed_only
    )


def choose_faults(credentials: Credentials, names: list[str], seed: int | None) -> Faults:
    """Return the named faults, or else those drawn from the seed. Raises FaultError."""
    if names or seed is None:
        return parse_faults(names)
    return draw_faults(seed, credentials.identity.device_id)


def make_rules(*, https_only: bool, public_only: bool) -> AddressRules:
    """Return which addresses packages may come from."""
    return AddressRules(allow_plain_http=not https_only, allow_private=not public_only)


def run(device: RunnableDevice) -> int:
    """Run the device until SIGINT or SIGTERM, then disconnect and return the exit code.

    Raises ValueError for a key that is not base64.
    """
    asyncio.run(_run_until_signalled(device))
    return 0


async def _run_until_signalled(device: RunnableDevice) -> None:
    task = asyncio.create_task(device.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
