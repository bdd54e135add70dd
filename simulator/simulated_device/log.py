"""Configure what the command `device` and the local cloud log about simulated devices."""

import logging
import sys
from typing import Final

_SDK: Final = logging.getLogger("azure.iot.device")
LOGGERS: Final = ("simulator.simulated_device", "device_agent")
"""The loggers of the simulated devices and of the agent that they run."""


def quiet_sdk() -> None:
    """Hide the SDK's own log: it logs a stack trace for every lost connection."""
    _SDK.setLevel(logging.CRITICAL)


def log_to_stdout(*, verbose: bool = False) -> None:
    """Log one line per step of a device to standard output; add the SDK's lines if `verbose`."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.INFO)
    if verbose:
        _SDK.addHandler(handler)
        _SDK.setLevel(logging.INFO)
    else:
        quiet_sdk()
