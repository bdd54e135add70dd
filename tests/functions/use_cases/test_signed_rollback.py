"""A rollback hands out earlier firmware with its manifest, and none that devices would refuse."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.errors import ConflictError
from functions.rollouts.device.device_method import payload
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.strategy import FailureGate, OnBreach, Share, Strategy, WavePlan
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from simulator.simulated_fleet.shares import Fault
from tests.functions.manifests import signed
from tests.functions.use_cases.test_rollback import FACTORY, OTHER, updated
from tests.functions.use_cases.world import FIRMWARE, World, devices

ADA = Caller("ada")
NEW = replace(FIRMWARE, manifest=signed(sequence=9))
EXPIRED = "its manifest expired at 2026-11-23T13:00:00Z"
ROLLING_BACK = Strategy(
    waves=(WavePlan(size=20),),
    failure_gate=FailureGate(
        acceptable=Share(100), unacceptable=Share(1_000), on_breach=OnBreach.ROLLBACK
    ),
)


def factory(**payload: object) -> Firmware:
    """What devices came with; its manifest allows to go back to it."""
    known = {"version": "1.0.0", "sequence": 1, "allowDowngrade": True}
    return replace(FACTORY, manifest=signed(**(known | payload)))


def soon(**payload: object) -> Firmware:
    """The same, until an hour from the world's noon."""
    return factory(expiresAt="2026-11-23T13:00:00Z", **payload)


def test_the_earlier_manifest_goes_with_its_firmware() -> None:
    world = World(devices(3))
    world.stores.catalogue.save(factory())
    back = roll_back(world.services, updated(world, NEW), ADA).rollout
    assert back.firmware == factory()
    assert payload(back, world.update(back.id, "d-000"))["manifest"] == factory().manifest


def test_firmware_whose_manifest_has_expired_is_not_rolled_back_to() -> None:
    world = World(devices(3))
    world.stores.catalogue.save(soon())
    rollout_id = updated(world, NEW)
    world.clock.now += timedelta(hours=2)
    with pytest.raises(ConflictError, match=rf"firmware 1\.0\.0 \({EXPIRED}\)"):
        roll_back(world.services, rollout_id, ADA)
    assert world.rollout(rollout_id).rollback is None


def test_a_downgrade_that_no_device_takes_is_not_rolled_back_to() -> None:
    world = World(devices(3))
    world.stores.catalogue.save(factory(allowDowngrade=None))
    with pytest.raises(ConflictError, match="has sequence 1, below 9, which devices have taken"):
        roll_back(world.services, updated(world, NEW), ADA)


def test_a_new_manifest_makes_the_rollback_possible() -> None:
    world = World(devices(3))
    world.stores.catalogue.save(soon())
    rollout_id = updated(world, NEW, "d-000", "d-001")
    world.clock.now += timedelta(hours=2)
    updated(world, factory(), "d-002")
    assert roll_back(world.services, rollout_id, ADA).rollout.total == 2


def test_devices_that_would_refuse_stay_as_they_are_and_both_trails_say_so() -> None:
    world = World(devices(5))
    world.stores.catalogue.save(soon())
    updated(world, OTHER, "d-000", "d-001")
    rollout_id = updated(world, NEW)
    world.clock.now += timedelta(hours=2)
    back = roll_back(world.services, rollout_id, ADA).rollout
    assert (back.total, back.firmware) == (2, OTHER)
    said = f"Not brought back: 3 devices that would refuse firmware 1.0.0 ({EXPIRED})."
    assert back.audit.events[0].message == f"Firmware 1.5.0. {said}"
    created = world.rollout(rollout_id).audit.events[-1]
    assert created.action == "rollbackCreated"
    assert created.message.endswith(f"brings 2 devices back. {said}")


def test_a_breach_whose_rollback_every_device_would_refuse_says_so_and_ends() -> None:
    world = World(devices(40))
    world.stores.catalogue.save(factory(allowDowngrade=None))
    request = world.request(firmware=NEW, strategy=ROLLING_BACK)
    rollout_id = create(world.services, request, None).rollout.id
    canaries = [item.device_id for item in world.updates(rollout_id) if item.wave == 0]
    for name in canaries[:5]:
        world.hub.devices[name].fault = Fault.FAILING
    ended = world.until_over(rollout_id)
    assert (ended.is_over, ended.rollback) == (True, None)
    (event,) = [event for event in ended.audit.events if event.action == "rollbackImpossible"]
    assert "does not allow the downgrade" in event.message
