"""A device from the factory: the agent's doors, with what is pretended behind them."""

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


def product(
    directory: Path, first_version: str, faults: Faults, transport: Transport, clock: Clock
) -> Product:
    """Start the device: what runs now is the slot that the bootloader chose.

    Raises OSError for the directory, BrickedError.
    """
    folder = FaultyStorage(directory, faults)
    manufacture(folder, first_version)
    return Product(
        storage=folder,
        transport=FaultyTransport(transport, faults, clock),
        clock=clock,
        installer=SlotInstaller(folder, boot(folder), _to_be_restarted),
        health=SimulatedHealth(faults),
        readiness=SimulatedReadiness(faults, clock),
    )


def _to_be_restarted() -> None:
    """The restart is pretended: the agent's life ends, and another one begins."""
