"""The command `up`."""

from simulator.cloud.options import UpOptions


def up(options: UpOptions) -> int:
    """Run the whole local cloud until Ctrl-C."""
    from simulator.cloud.up import run

    return run(options)
