"""Test rollbacks to signed firmware: each is sent with its manifest, or left out."""

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


def make_factory_firmware(**payload: object) -> Firmware:
    """Make the factory firmware; its manifest allows the downgrade."""
    known = {"version": "1.0.0", "sequence": 1, "allowDowngrade": True}
    return replace(FACTORY, manifest=signed(**(known | payload)))


def make_expiring_firmware(**payload: object) -> Firmware:
    """Make the factory firmware with a manifest that expires an hour after noon."""
    return make_factory_firmware(expiresAt="2026-11-23T13:00:00Z", **payload)


def test_a_rollback_sends_the_earlier_manifest_with_its_firmware() -> None:
    world = World(devices(3))
    world.stores.catalogue.save(make_factory_firmware())
    back = roll_back(world.services, updated(world, NEW), ADA).rollout
    assert back.firmware == make_factory_firmware()
    assert (
        payload(back, world.update(back.id, "d-000"))["manifest"]
        == make_factory_firmware().manifest
    )


def test_a_rollback_to_an_expired_manifest_is_refused() -> None:
    world = World(devices(3))
    world.stores.catalogue.save(make_expiring_firmware())
    rollout_id = updated(world, NEW)
    world.clock.now += timedelta(hours=2)
    with pytest.raises(ConflictError, match=rf"firmware 1\.0\.0 \({EXPIRED}\)"):
        roll_back(world.services, rollout_id, ADA)
    assert world.rollout(rollout_id).rollback is None


def test_a_rollback_to_a_downgrade_that_no_device_accepts_is_refused() -> None:
    world = World(devices(3))
    world.stores.catalogue.save(make_factory_firmware(allowDowngrade=None))
    with pytest.raises(ConflictError, match="has sequence 1, below 9, which devices have accepted"):
        roll_back(world.services, updated(world, NEW), ADA)


def test_a_new_manifest_makes_the_rollback_possible() -> None:
    world = World(devices(3))
    world.stores.catalogue.save(make_expiring_firmware())
    rollout_id = updated(world, NEW, "d-000", "d-001")
    world.clock.now += timedelta(hours=2)
    updated(world, make_factory_firmware(), "d-002")
    assert roll_back(world.services, rollout_id, ADA).rollout.total == 2


def test_devices_that_would_refuse_are_left_out_and_both_audit_trails_name_them() -> None:
    world = World(devices(5))
    world.stores.catalogue.save(make_expiring_firmware())
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


def test_a_breach_whose_rollback_every_device_would_refuse_ends_with_an_event() -> None:
    world = World(devices(40))
    world.stores.catalogue.save(make_factory_firmware(allowDowngrade=None))
    request = world.request(firmware=NEW, strategy=ROLLING_BACK)
    rollout_id = create(world.services, request, None).rollout.id
    canaries = [item.device_id for item in world.updates(rollout_id) if item.wave == 0]
    for name in canaries[:5]:
        world.hub.devices[name].fault = Fault.FAILING
    ended = world.until_over(rollout_id)
    assert (ended.is_over, ended.rollback) == (True, None)
    (event,) = [event for event in ended.audit.events if event.action == "rollbackImpossible"]
    assert "does not allow the downgrade" in event.message
    assert event.at > world.rollout(rollout_id).definition.created_at
