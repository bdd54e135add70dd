"""Check that fast failures are noticed soon, however long the canary took.

Devices are observed when devices usually finish, as learned from the canary. The canary takes half
an hour. The rest fails after 60 s each (another model; a link that was revoked during the
approval). Observed after 30 minutes only, all ten thousand would have started before. A search
finds the failures within two ticks, as without a canary: about 1,000 are started.
"""

from datetime import timedelta

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.use_cases.create import create
from simulator.rehearsal.rehearse import BEGINS
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_cloud import VirtualCloud
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.rehearsal.virtual_hub import VirtualHub
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import require

CANARY, DEVICES = 100, 10_000


def test_fast_failures_after_a_slow_canary_are_noticed_soon() -> None:
    clock, limits = VirtualClock(BEGINS), quotas(Tier.S1, 1, 0.8)
    hub = VirtualHub([VirtualDevice(f"device-{n:05}") for n in range(DEVICES)], clock, limits)
    cloud = VirtualCloud(hub, clock, limits, 1)
    request = NewRollout(
        firmware=Firmware(version="2.4.0", package_uri="https://packages.example/fw.bin"),
        strategy=Strategy(waves=(WavePlan(size=CANARY, name="canary"),)),
        body_hash="x",
        device_ids=tuple(hub.devices),
        start_at=BEGINS + timedelta(minutes=30),
    )
    rollout_id = create(cloud.services, request, None).rollout.id
    while cloud.rollout(rollout_id).resolution is not None:
        cloud.tick()
    for number, update in enumerate(cloud.updates(rollout_id)):
        found = hub.devices[update.device_id]
        if number < CANARY:
            found.stage_seconds = (60, 900, 840, 300)
        else:
            found.stage_seconds = (5, 30, 25, 300)
            found.fault = Fault.FAILING
    end = cloud.run(rollout_id, lambda item: item.status is RolloutStatus.PAUSED)
    require(end.status is RolloutStatus.PAUSED, "the gate stopped the rollout")
    require(end.waves[0].counts.completed == CANARY, "the canary completed")
    assert hub.started < 1_300, f"{hub.started} of {DEVICES} devices were started"
