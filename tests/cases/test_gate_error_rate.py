"""Check that the gate stops at most 5.3% of good rollouts, also where failures come first.

A thousand devices on S1 with the default gate: 1% of them fail after a minute, the others take ten.
"""

from random import Random

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy, percent
from functions.use_cases.create import create
from simulator.rehearsal.rehearse import BEGINS
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_cloud import VirtualCloud
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.rehearsal.virtual_hub import VirtualHub
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import require

RUNS = 10
# At a rate of 5.3%, more than 3 of 10 runs are stopped in 0.1% of all samples.
MAX_STOPPED = 3


def _is_stopped(rate: float, seed: int) -> bool:
    """Return whether the gate pauses a rollout of which `rate` of the devices fail, and soon."""
    chance, fleet = Random(seed), []  # noqa: S311 - a reproducible sample
    for number in range(1000):
        bad = chance.random() < rate
        length = 60.0 if bad else 600.0
        fleet.append(
            VirtualDevice(
                f"device-{number:05}",
                fault=Fault.FAILING if bad else Fault.NONE,
                stage_seconds=(length * 0.02, length * 0.5, length * 0.48, 300.0),
                time_factor=chance.uniform(0.6, 1.4),
            )
        )
    clock, limits = VirtualClock(BEGINS), quotas(Tier.S1, 1, 0.8)
    hub = VirtualHub(fleet, clock, limits)
    cloud = VirtualCloud(hub, clock, limits, seed)
    request = NewRollout(
        firmware=Firmware(version="2.4.0", package_uri="https://packages.example/fw.bin"),
        strategy=Strategy(success_share=percent(95)),
        body_hash="x",
        device_ids=tuple(hub.devices),
    )
    rollout_id = create(cloud.services, request, None).rollout.id
    end = cloud.run(rollout_id, lambda item: item.status is RolloutStatus.PAUSED)
    require(hub.started > 0, "devices were started")
    return end.status is RolloutStatus.PAUSED


def test_good_firmware_is_seldom_stopped() -> None:
    stopped = 0
    for seed in range(1, RUNS + 1):
        stopped += _is_stopped(0.01, seed)
        assert stopped <= MAX_STOPPED, f"{stopped} of {seed} good rollouts were stopped"


def test_bad_firmware_is_always_stopped() -> None:
    assert all(_is_stopped(0.10, seed) for seed in range(1, 11))
