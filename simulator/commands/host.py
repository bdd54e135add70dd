"""The command `host`."""

from simulator.host.options import HostOptions


def host(options: HostOptions) -> int:
    """Run the app in a local Functions host, through Microsoft's worker, until Ctrl-C."""
    from simulator.host.command import run

    return run(options)
