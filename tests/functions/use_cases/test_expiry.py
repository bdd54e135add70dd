"""Test that a rollout pauses before its manifest or link expires."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import ConflictError, InvalidError
from functions.rollouts.model.device_state import ErrorCode
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands
from functions.use_cases.create import create
from tests.functions.manifests import SHA256, SIZE, signed
from tests.functions.use_cases.world import NOON, World, devices

ADA = Caller("ada")
URI = "https://packages.example/fw-2.4.0.bin"
FRESH = f"{URI}?sv=2024-11-04&se=2099-01-01T00:00:00Z&sig=bmV3bmV3"


def text(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def with_manifest(minutes: float) -> Firmware:
    manifest = signed(expiresAt=text(minutes))
    return Firmware(
        version="2.4.0", package_uri=URI, sha256=SHA256, size_bytes=SIZE, manifest=manifest
    )


def with_link(minutes: float) -> Firmware:
    return Firmware(version="2.4.0", package_uri=f"{URI}?se={text(minutes)}&sig=b2xkb2xk")


def start(world: World, firmware: Firmware, strategy: Strategy | None = None, **more: Any) -> str:
    request = world.request(firmware=firmware, strategy=strategy or Strategy(), **more)
    return create(world.services, request, None).rollout.id


def reason(world: World, rollout_id: str) -> Reason:
    found = world.rollout(rollout_id).status_reason
    assert found is not None
    return found


TWO_WAVES = Strategy(waves=(WavePlan(size=5, name="canary"), WavePlan(size=5, approval=True)))


@pytest.mark.parametrize(
    ("firmware", "code"),
    [(with_manifest(20), "manifestExpires"), (with_link(20), "packageUriExpires")],
    ids=["manifest", "link"],
)
def test_a_rollout_pauses_before_it_opens_another_wave(firmware: Firmware, code: str) -> None:
    world = World(devices(20))
    rollout_id = start(world, firmware, TWO_WAVES)
    world.ticks(150)
    found = world.rollout(rollout_id)
    assert found.status is RolloutStatus.PAUSED
    assert reason(world, rollout_id).code == code
    assert text(20) in reason(world, rollout_id).message
    assert found.counts.completed == 5
    assert found.waves[1].status == "pending"
    assert found.counts.failed == 0
    assert found.audit.events[-1].action == "paused"


def test_a_resume_with_a_new_link_goes_on_and_one_without_is_refused() -> None:
    world = World(devices(20))
    rollout_id = start(world, with_link(20), Strategy(waves=(WavePlan(size=5),)))
    world.hub.devices["d-000"].offline = True
    world.clock.now = NOON + timedelta(minutes=16)
    world.tick()
    assert world.rollout(rollout_id).status is RolloutStatus.PAUSED
    with pytest.raises(ConflictError, match="Resume with a new packageUri"):
        commands.resume(world.services, rollout_id, ADA)
    expired = f"{URI}?se={text(10)}&sig=b2xkb2xk"
    with pytest.raises(InvalidError, match="no longer valid"):
        commands.resume(world.services, rollout_id, ADA, None, expired)
    resumed = commands.resume(world.services, rollout_id, ADA, None, FRESH)
    assert resumed.status is RolloutStatus.RUNNING
    assert "bmV3" not in resumed.audit.events[-1].message
    world.ticks(30)
    assert world.rollout(rollout_id).counts.completed >= 19


def test_a_retry_with_an_expired_link_is_refused() -> None:
    world = World(devices(3))
    rollout_id = start(world, with_link(60))
    with pytest.raises(InvalidError, match="no longer valid"):
        commands.retry(world.services, rollout_id, ADA, f"{URI}?se={text(-1)}&sig=b2xkb2xk")


def test_an_expired_link_is_refused_at_creation() -> None:
    world = World(devices(3))
    with pytest.raises(InvalidError) as caught:
        start(world, with_link(-1))
    assert [item.pointer for item in caught.value.fields] == ["/firmware/packageUri"]
    with pytest.raises(InvalidError):
        start(world, with_link(30), start_at=NOON + timedelta(hours=1))


def test_devices_under_way_are_followed_to_their_end_and_end_the_rollout() -> None:
    world = World(devices(10, stage=600))
    rollout_id = start(world, with_link(20))
    world.ticks(200)
    assert world.rollout(rollout_id).status is RolloutStatus.COMPLETED


@pytest.mark.parametrize("code", ["manifestExpired", "packageUriExpired"])
def test_a_device_that_reports_an_expiry_is_no_failure_of_the_firmware(code: str) -> None:
    world = World(devices(3))
    rollout_id = start(world, with_link(600))
    hub: Any = world.hub
    read_twins = hub.read_twins

    def expired(ids: Any) -> Any:
        about = {"rolloutId": rollout_id, "attempt": 1, "errorCode": code}
        reported = {"firmwareStatus": "failed", "firmwareUpdate": about}
        at = dict.fromkeys(reported, world.now)
        return {
            name: twin and replace(twin, reported={**twin.reported, **reported}, reported_at=at)
            for name, twin in read_twins(ids).items()
        }

    hub.read_twins = expired
    world.ticks(5)
    errors = {item.error.code for item in world.updates(rollout_id) if item.error}
    assert errors == {ErrorCode.REJECTED}
    assert reason(world, rollout_id).code != "failureGate"
