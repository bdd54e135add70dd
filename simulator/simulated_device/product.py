"""Build the agent's ports for a simulated device."""

from pathlib import Path

from device_agent.ports import Clock, Product, Transport
from device_agent.slots import SlotInstaller
from simulator.simulated_device.bootloader import boot, manufacture
from simulator.simulated_device.faults import Faults
from simulator.simulated_device.simulated_ports import (
    FaultyStorage,
    FaultyTransport,
    SimulatedHealth,
    SimulatedReadiness,
)


def build_product(
    directory: Path, first_version: str, faults: Faults, transport: Transport, clock: Clock
) -> Product:
    """Start the device and return its ports; the bootloader chooses the slot that runs.

    Raises OSError for the directory, and BrickedError.
    """
    folder = FaultyStorage(directory, faults)
    manufacture(folder, first_version)
    return Product(
        storage=folder,
        transport=FaultyTransport(transport, faults, clock),
        clock=clock,
        installer=SlotInstaller(folder, boot(folder), _simulate_restart),
        health=SimulatedHealth(faults),
        readiness=SimulatedReadiness(faults, clock),
    )


def _simulate_restart() -> None:
    """Do nothing: the agent ends its run, and `InstallingDevice` starts the next one."""
