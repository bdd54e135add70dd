"""Provide the steps that several cases share, and checks of a case's set-up."""

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases.create import create
from simulator.rehearsal.virtual_update import FACTORY_VERSION
from tests.functions.use_cases.world import World

ADA = Caller("ada")
FACTORY = Firmware(version=FACTORY_VERSION, package_uri="https://packages.example/1.0.0.bin")


class SetUpError(Exception):
    """A case did not reach the situation it is about. No expected failure covers this error."""


def require(condition: bool, situation: str) -> None:
    """Raise SetUpError unless the case is in `situation`."""
    if not condition:
        raise SetUpError(situation)


def required[T](value: T | None, situation: str) -> T:
    """Return `value`; raise SetUpError if it is None."""
    if value is None:
        raise SetUpError(situation)
    return value


def roll_out(world: World, version: str) -> str:
    """Run a rollout of `version` to all devices until it is over. Return its ID."""
    firmware = Firmware(version=version, package_uri=f"https://packages.example/{version}.bin")
    request = world.request(firmware=firmware, body_hash=f"hash of {version}")
    rollout_id = create(world.services, request, None).rollout.id
    require(world.until_over(rollout_id).is_over, f"the rollout of {version} is over")
    return rollout_id


def reported_versions(world: World) -> set[object]:
    """Return the firmware versions that the devices report."""
    twins = (world.hub.read_twin(name) for name in world.hub.devices)
    return {required(twin, "a twin").reported["firmwareVersion"] for twin in twins}
