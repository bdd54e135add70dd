"""Check that an incident of the hub is not taken for bad firmware.

For ten minutes the hub responds to direct methods with 5xx. The breaker sends only probes until it
responds again, and no attempt of a device is used up.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from functions.hub_gateway.port import Invocations
from functions.rollouts.model.method_outcome import Lost
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, WavePlan
from functions.use_cases.create import create
from tests.cases.steps import FACTORY, require
from tests.functions.use_cases.world import NOON, World, devices

INCIDENT = (NOON + timedelta(minutes=3), NOON + timedelta(minutes=13))


def test_a_hub_incident_does_not_roll_good_firmware_back() -> None:
    world = World(devices(3000), limits=quotas(Tier.S1, 1, 0.8))
    world.stores.catalogue.save(FACTORY)
    gate = FailureGate(on_breach=OnBreach.ROLLBACK)
    strategy = Strategy(waves=(WavePlan(size=100),), failure_gate=gate)
    hub: Any = world.hub
    invoke_all = hub.invoke_all
    sent: list[int] = []

    def failing(method: str, payloads: Mapping[str, Any], *more: Any) -> Invocations:
        if INCIDENT[0] <= world.now < INCIDENT[1]:
            sent.append(len(payloads))
            return Invocations(
                outcomes={name: Lost("No response from the device (500).") for name in payloads}
            )
        found: Invocations = invoke_all(method, payloads, *more)
        return found

    hub.invoke_all = failing
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    ended = world.until_over(rollout_id, ticks=2500)
    require(bool(sent), "methods were sent during the incident")
    names = {item.device_id for item in world.updates(rollout_id) if item.state.value == "failed"}
    started = sum(bool(world.hub.devices[name].started) for name in names)
    assert ended.status is RolloutStatus.COMPLETED, (
        f"{ended.status}: {ended.status_reason.message if ended.status_reason else ''}"
        f" counts {ended.counts}; {sum(sent)} methods were sent into the incident; {started} of"
        f" {len(names)} failed devices ever started; rolled back by {ended.rollback}"
    )
