"""What simulated devices log, and what the SDK below them may add to it."""

import logging
import sys

_SDK = logging.getLogger("azure.iot.device")


def quiet_sdk() -> None:
    """Keep the SDK's own lines back: it warns of every lost connection with a stack of its own."""
    _SDK.setLevel(logging.CRITICAL)


def log_to_stdout(*, verbose: bool = False) -> None:
    """One plain line per step of a device; the SDK's lines with them only if `verbose`."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    shown = logging.getLogger("simulator.simulated_device")
    shown.addHandler(handler)
    shown.setLevel(logging.INFO)
    if verbose:
        _SDK.addHandler(handler)
        _SDK.setLevel(logging.INFO)
    else:
        quiet_sdk()
