"""Connect simulated devices to a local cloud: register them, start them, wait for them."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from device_agent.credentials import Credentials
from simulator import open_files
from simulator.cloud.errors import CloudError
from simulator.cloud.options import CloudOptions
from simulator.cloud.registration import Registration
from simulator.listeners import HUB_MQTT
from simulator.simulated_device.device import Device, DeviceOptions
from simulator.simulated_device.device_thread import (
    MAX_CONCURRENT_DOWNLOADS,
    DeviceThread,
    RunnableDevice,
)
from simulator.simulated_device.simulated_updates import StageFailure, UpdateSettings

_START_SECONDS = 30.0
# The SDK connects one device after another, on one thread of the process.
_SECONDS_PER_DEVICE = 0.2
# A connection, and the pair of sockets with which the SDK's MQTT client wakes its own thread.
_OPEN_FILES_PER_DEVICE = 3
# And the lock of its folder.
_OPEN_FILES_PER_INSTALLING_DEVICE = _OPEN_FILES_PER_DEVICE + 1
# Files of the program itself, with a margin.
_OPEN_FILES = 100
# The SDK's MQTT client waits with select(), which handles file descriptors below 1024.
_DESCRIPTORS = 1024
# A connection, its duplicate that closes it at a timeout, and the file that is written.
_OPEN_FILES_FOR_DOWNLOADS = 3 * MAX_CONCURRENT_DOWNLOADS
MAX_DEVICES = (_DESCRIPTORS - _OPEN_FILES) // _OPEN_FILES_PER_DEVICE
MAX_INSTALLING_DEVICES = (
    _DESCRIPTORS - _OPEN_FILES - _OPEN_FILES_FOR_DOWNLOADS
) // _OPEN_FILES_PER_INSTALLING_DEVICE


class CloudDevice(RunnableDevice, Protocol):
    """A device that signals when it is ready."""

    standing_by: threading.Event


def device_ids(count: int) -> list[str]:
    """Return `thermostat-1`, `thermostat-2`, ..."""
    return [f"thermostat-{number}" for number in range(1, count + 1)]


def check_device_port(options: CloudOptions) -> None:
    """Raise CloudError if the hub listens on a port that no device connects to."""
    if options.hub_mqtt_port != HUB_MQTT.port:
        raise CloudError(
            f"simulated devices connect to port {HUB_MQTT.port} only (azure-iot-device has it "
            f"fixed), not to {options.hub_mqtt_port}: keep the port and choose another address, "
            "such as --address 127.0.0.2"
        )


def allow_devices(devices: int, *, installing: bool) -> None:
    """Raise this process's limit of open files as far as the devices need it.

    Raises CloudError for more devices than one process can run.
    """
    maximum = MAX_INSTALLING_DEVICES if installing else MAX_DEVICES
    if devices > maximum:
        raise CloudError(
            f"one process can run {maximum} devices on azure-iot-device, not {devices}: "
            "its MQTT client waits with select()"
        )
    needed = _OPEN_FILES + devices * _OPEN_FILES_PER_DEVICE
    if installing:
        needed += devices + _OPEN_FILES_FOR_DOWNLOADS
    if not open_files.allow_open_files(needed):
        raise CloudError(f"{devices} devices need {needed} open files, more than the system allows")


@contextmanager
def connect_devices(
    registration: Registration,
    ids: Iterable[str],
    make: Callable[[str], CloudDevice],
) -> Iterator[DeviceThread]:
    """Register and run devices for the length of a `with` block. Raises CloudError.

    `make` returns a device for a connection string.
    """
    devices = [make(registration.register(id_)) for id_ in ids]
    with DeviceThread() as thread:
        for device in devices:
            thread.start(device)
        _wait_until_standing_by(devices)
        yield thread


def simulated_device_factory(
    options: CloudOptions,
    update_settings: UpdateSettings,
    failing: Collection[str] = (),
    failure: StageFailure | None = None,
) -> Callable[[str], CloudDevice]:
    """Return a factory of devices that report the stages of an update and install nothing.

    The devices with the ids `failing` have `failure`.
    """
    ca = options.ca.read_text()

    def make(connection_string: str) -> CloudDevice:
        credentials = Credentials(connection_string=connection_string, ca=ca)
        fails = credentials.identity.device_id in failing
        settings = replace(update_settings, failure=failure) if fails else update_settings
        return Device(DeviceOptions(credentials=credentials, update_settings=settings))

    return make


def _wait_until_standing_by(devices: Sequence[CloudDevice]) -> None:
    seconds = _START_SECONDS + _SECONDS_PER_DEVICE * len(devices)
    deadline = time.monotonic() + seconds
    for device in devices:
        if not device.standing_by.wait(max(0, deadline - time.monotonic())):
            raise CloudError(f"{device.device_id} was not ready within {seconds:g} s")
