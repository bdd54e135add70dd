"""The command `device`: one simulated device until a signal stops it."""

import asyncio
import os
import signal
from pathlib import Path

from simulator.device.credentials import Certificate, CredentialsError
from simulator.device.device import Device, DeviceOptions
from simulator.device.identity import identity


def authority(connection_string: str, given: Path | None, local: Path) -> str | None:
    """The PEM text of the authority that a device trusts; None means the system's authorities.

    Unless one is given, a hub on this machine is taken for the local one, whose authority is
    `local`, if that file exists. Raises ConnectionStringError, and OSError for a file that is
    given and cannot be read.
    """
    if given is not None:
        return given.read_text()
    if identity(connection_string).is_local and local.exists():
        return local.read_text()
    return None


def certificate(file: Path | None, key: Path | None) -> Certificate | None:
    """Both files, or neither. Raises CredentialsError.

    The passphrase is read from the environment only: arguments can be read by everyone on a
    machine.
    """
    if file is None and key is None:
        return None
    if file is None or key is None:
        raise CredentialsError("--certificate and --certificate-key go together")
    passphrase = os.environ.get("IOTHUB_DEVICE_X509_PASSWORD")
    return Certificate(certificate_file=file, key_file=key, passphrase=passphrase)


def run(options: DeviceOptions) -> int:
    """Be a device until SIGINT or SIGTERM, then leave the hub; gives the exit code.

    Raises ValueError, of which ConnectionStringError is one, for a string no device can use.
    """
    asyncio.run(_until_signalled(Device(options)))
    return 0


async def _until_signalled(device: Device) -> None:
    task = asyncio.create_task(device.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
