"""Choose devices whose updates fail, and say how they fail."""

from collections.abc import Iterable
from decimal import Decimal

from device_agent.update import FirmwareStatus, UpdateError
from simulator.simulated_device.simulated_updates import StageFailure
from simulator.simulated_fleet.shares import Fault, Shares, choose_faults

# The same devices in each run.
_SEED = 1

FAILURE = StageFailure(
    stage=FirmwareStatus.APPLYING,
    error=UpdateError(code="sensorSilent", message="the temperature sensor does not respond"),
)


def choose_failing(ids: Iterable[str], share: Decimal) -> frozenset[str]:
    """Return the ids of `share` percent of the devices."""
    faults = choose_faults(ids, Shares(fail=share), _SEED)
    return frozenset(id_ for id_, fault in faults.items() if fault is Fault.FAILING)
