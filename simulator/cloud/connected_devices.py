"""Simulated devices of a local cloud: registered, switched on and standing by."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from device_agent.credentials import Credentials
from simulator import open_files
from simulator.cloud.errors import CloudError
from simulator.cloud.options import CloudOptions
from simulator.cloud.registration import Registration
from simulator.listeners import HUB_MQTT
from simulator.simulated_device.device import Device, DeviceOptions
from simulator.simulated_device.device_thread import DOWNLOADS_AT_ONCE, DeviceThread, RunnableDevice
from simulator.simulated_device.simulated_updates import UpdateSettings

_START_SECONDS = 30.0
# Connecting is one TLS handshake after another: the SDK has one thread for it in a process.
_SECONDS_PER_DEVICE = 0.2
# A connection, and the pair of sockets with which the SDK's MQTT client wakes its own thread.
_OPEN_FILES_PER_DEVICE = 3
# And the lock of its folder.
_OPEN_FILES_PER_INSTALLING_DEVICE = _OPEN_FILES_PER_DEVICE + 1
# What the program itself has open, generously.
_OPEN_FILES = 100
# That client waits with select(), which knows no file descriptor from 1024 on.
_DESCRIPTORS = 1024
# A connection, its copy that ends it when its time is over, and the file that is written.
_OPEN_FILES_FOR_DOWNLOADS = 3 * DOWNLOADS_AT_ONCE
DEVICES_AT_MOST = (_DESCRIPTORS - _OPEN_FILES) // _OPEN_FILES_PER_DEVICE
INSTALLING_DEVICES_AT_MOST = (
    _DESCRIPTORS - _OPEN_FILES - _OPEN_FILES_FOR_DOWNLOADS
) // _OPEN_FILES_PER_INSTALLING_DEVICE


class CloudDevice(RunnableDevice, Protocol):
    """A device that tells when it is ready."""

    standing_by: threading.Event


def device_ids(count: int) -> list[str]:
    """`thermostat-1` and on."""
    return [f"thermostat-{number}" for number in range(1, count + 1)]


def check_device_port(options: CloudOptions) -> None:
    """Raises CloudError if the hub listens where no device dials."""
    if options.hub_mqtt_port != HUB_MQTT.port:
        raise CloudError(
            f"simulated devices connect to port {HUB_MQTT.port} only (azure-iot-device has it "
            f"fixed), not to {options.hub_mqtt_port}: keep the port and choose another address, "
            "such as --address 127.0.0.2"
        )


def allow_devices(devices: int, *, installing: bool) -> None:
    """Raise this process's limit of open files to what so many devices need.

    Raises CloudError for more devices than one process can be.
    """
    most = INSTALLING_DEVICES_AT_MOST if installing else DEVICES_AT_MOST
    if devices > most:
        raise CloudError(
            f"one process can be {most} devices on azure-iot-device, not {devices}: "
            "its MQTT client waits with select()"
        )
    needed = _OPEN_FILES + devices * _OPEN_FILES_PER_DEVICE
    if installing:
        needed += devices + _OPEN_FILES_FOR_DOWNLOADS
    if not open_files.allow_open_files(needed):
        raise CloudError(f"{devices} devices need {needed} open files, more than the system allows")


@contextmanager
def connected_devices(
    registration: Registration,
    ids: Iterable[str],
    make: Callable[[str], CloudDevice],
) -> Iterator[DeviceThread]:
    """New devices for the length of a `with` block. Raises CloudError.

    `make` gives a device for a connection string.
    """
    devices = [make(registration.register(id_)) for id_ in ids]
    with DeviceThread() as thread:
        for device in devices:
            thread.start(device)
        _wait_until_standing_by(devices)
        yield thread


def simulated_device_factory(
    options: CloudOptions, update_settings: UpdateSettings
) -> Callable[[str], CloudDevice]:
    """Makes devices that let an update take its time, and install nothing."""
    ca = options.ca.read_text()

    def make(connection_string: str) -> CloudDevice:
        credentials = Credentials(connection_string=connection_string, ca=ca)
        return Device(DeviceOptions(credentials=credentials, update_settings=update_settings))

    return make


def _wait_until_standing_by(devices: Sequence[CloudDevice]) -> None:
    seconds = _START_SECONDS + _SECONDS_PER_DEVICE * len(devices)
    deadline = time.monotonic() + seconds
    for device in devices:
        if not device.standing_by.wait(max(0, deadline - time.monotonic())):
            raise CloudError(f"{device.device_id} was not ready within {seconds:g} s")
