"""Check that no device is invoked after the firmware's manifest has expired.

The rollout knows `expiresAt` and pauses before that time. Devices that were invoked later would
refuse with 400.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from functions.hub_gateway.port import Invocations
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.method_outcome import MethodResponse, Responded
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, WavePlan
from functions.use_cases.create import create
from tests.cases.steps import FACTORY, require
from tests.functions.manifests import SHA256, SIZE, signed
from tests.functions.use_cases.world import NOON, World, devices

EXPIRES = NOON + timedelta(minutes=6)
SIGNED = Firmware(
    version="2.4.0",
    package_uri="https://packages.example/fw-2.4.0.bin",
    sha256=SHA256,
    size_bytes=SIZE,
    manifest=signed(expiresAt=EXPIRES.strftime("%Y-%m-%dT%H:%M:%SZ")),
)
REFUSED = Responded(MethodResponse(status=400, payload={"errorCode": "manifestExpired"}))


def test_a_manifest_that_expires_does_not_roll_good_firmware_back() -> None:
    world = World(devices(5000), limits=quotas(Tier.S1, 1, 0.8))
    world.stores.catalogue.save(FACTORY)
    hub: Any = world.hub
    invoke_all = hub.invoke_all
    late: list[str] = []

    def checking(method: str, payloads: Mapping[str, Any], *more: Any) -> Invocations:
        new = {n: p for n, p in payloads.items() if p["version"] == "2.4.0"}
        if new and world.now >= EXPIRES:
            late.extend(new)
            return Invocations(outcomes=dict.fromkeys(payloads, REFUSED))
        found: Invocations = invoke_all(method, payloads, *more)
        return found

    hub.invoke_all = checking
    strategy = Strategy(
        waves=(WavePlan(size=100),), failure_gate=FailureGate(on_breach=OnBreach.ROLLBACK)
    )
    request = world.request(strategy=strategy, firmware=SIGNED)
    rollout_id = create(world.services, request, None).rollout.id
    world.until_over(rollout_id, ticks=600)
    found = world.rollout(rollout_id)
    require(found.counts.completed > 0, "devices completed before the manifest expired")
    assert not late, (
        f"{len(late)} devices were invoked after the manifest had expired; {found.status}:"
        f" {found.status_reason.message if found.status_reason else ''}"
        f" {found.counts.completed} had completed, rolled back by {found.rollback}"
    )
