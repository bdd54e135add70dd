"""The command `demo`."""

from simulator.cloud.options import DemoOptions


def demo(options: DemoOptions) -> int:
    """Show a rollout from POST to completed devices, on a local cloud of its own."""
    from simulator.cloud.demo import run

    return run(options)
