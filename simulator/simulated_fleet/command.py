"""Run the command `fleet`: register its devices and run them until a signal stops it."""

import asyncio
import signal
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from device_agent.connection_string import is_loopback
from simulator.hub.read_buffers import save_memory
from simulator.open_files import allow_open_files
from simulator.paths import HUB_CA
from simulator.simulated_fleet.device import SimulatedDevice, make_update_settings
from simulator.simulated_fleet.fleet import CONNECTING_TASKS, Fleet, HubEndpoint
from simulator.simulated_fleet.hub_address import HubAddress
from simulator.simulated_fleet.options import FleetOptions
from simulator.simulated_fleet.registration import RegistrationError, register
from simulator.simulated_fleet.shares import Fault, choose_faults

EXIT_STOPPED, EXIT_NO_HUB, EXIT_WRONG_USAGE = 0, 1, 2
_FIRST_TALLY_SECONDS, _TALLY_SECONDS = 1.0, 5.0
# What the program has open besides the devices' connections, generously.
_OPEN_FILES = 100


def run(options: FleetOptions, show: Callable[[str], None] = print) -> int:
    """Run the fleet until SIGINT or SIGTERM and return the exit code.

    0: stopped by a signal. 1: the hub cannot be reached or refuses the devices. 2: the connection
    string, the authority or the number of devices is invalid.
    """
    try:
        address = HubAddress.parse(options.connection_string)
        ca = authority(options.connection_string, options.ca, HUB_CA)
        context = ssl.create_default_context(cafile=ca)
        save_memory()
        _allow_open_files(options.devices)
        asyncio.run(_run_until_signalled(options, address, context, show))
    except RegistrationError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_NO_HUB
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_WRONG_USAGE
    return EXIT_STOPPED


def authority(connection_string: str, given: Path | None, local: Path) -> Path | None:
    """Return the authority to trust: `given`, or else `local` for a hub on this machine.

    Returns None if `local` does not exist or the hub is elsewhere. Raises ValueError.
    """
    if given is not None:
        return given
    host = HubAddress.parse(connection_string).host
    return local if is_loopback(host) and local.exists() else None


def _allow_open_files(devices: int) -> None:
    needed = devices + CONNECTING_TASKS + _OPEN_FILES
    if not allow_open_files(needed):
        raise ValueError(f"{devices} devices need {needed} open files: raise `ulimit -n`")


async def _run_until_signalled(
    options: FleetOptions,
    address: HubAddress,
    context: ssl.SSLContext,
    show: Callable[[str], None],
) -> None:
    task = asyncio.create_task(_run(options, address, context, show))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def _run(
    options: FleetOptions,
    address: HubAddress,
    context: ssl.SSLContext,
    show: Callable[[str], None],
) -> None:
    faults = choose_faults(options.device_ids, options.shares, options.seed)
    show(f"{options.devices} devices: {_describe(faults)}")
    keys = await register(address, context, options.device_ids)
    endpoint = HubEndpoint(host=address.host, port=options.mqtt_port, context=context)
    fleet = Fleet(endpoint, make_devices(options, faults), keys, options.seed)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fleet.run())
        seconds = _FIRST_TALLY_SECONDS
        while True:
            await asyncio.sleep(seconds)
            seconds = _TALLY_SECONDS
            show(f"{time.strftime('%H:%M:%S')} {fleet.tally()}")


def make_devices(options: FleetOptions, faults: dict[str, Fault]) -> list[SimulatedDevice]:
    """Make all devices, not connected yet; devices with the same fault share their settings."""
    settings = {fault: make_update_settings(fault, options.stage_seconds) for fault in Fault}
    return [
        SimulatedDevice(device_id, fault, settings[fault], options.offline_seconds)
        for device_id, fault in faults.items()
    ]


def _describe(faults: dict[str, Fault]) -> str:
    counts = Counter(faults.values())
    names = {Fault.NONE: "without fault"}
    return ", ".join(
        f"{counts[fault]} {names.get(fault, fault)}" for fault in Fault if counts[fault]
    )
