"""The command `fleet`."""

from simulator.simulated_fleet.options import FleetOptions


def fleet(options: FleetOptions) -> int:
    """Run many simulated devices in one process until Ctrl-C; the hub is local or in Azure.

    Registers the devices, with new keys. Exit codes: 0 stopped by a signal; 1 the hub cannot be
    reached or refuses the devices; 2 wrong usage.
    """
    from simulator.simulated_fleet.command import run

    return run(options)
