"""Check how often a bad stratum is found, and how often a good one is frozen.

Twelve strata of 100 devices on S1, failures ten times sooner than successes. With
`ROLLOUT_STRATA_RUNS=1000` the bounds are those of docs/decisions/0068; a run takes some seconds.
"""

import os
from random import Random

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, WavePlan, percent
from functions.rollouts.rollout import frozen
from functions.use_cases.create import create
from simulator.rehearsal.rehearse import BEGINS
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_cloud import VirtualCloud
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.rehearsal.virtual_hub import VirtualHub
from simulator.simulated_fleet.shares import Fault

RUNS = int(os.environ.get("ROLLOUT_STRATA_RUNS", "6"))
STRATA = [f"m{number:02}" for number in range(12)]
BAD = "m07"
MAX_FAILED = 30


def run(seed: int, *, bad_rate: float, rate: float) -> Rollout:
    """Run a rollout until it is over or paused, and return it."""
    chance, fleet = Random(seed), []  # noqa: S311 - a reproducible sample
    for number in range(1200):
        stratum = STRATA[number % len(STRATA)]
        fails = chance.random() < (bad_rate if stratum == BAD else rate)
        length = 60.0 if fails else 600.0
        fleet.append(
            VirtualDevice(
                f"device-{number:05}",
                fault=Fault.FAILING if fails else Fault.NONE,
                stratum=stratum,
                stage_seconds=(length * 0.02, length * 0.5, length * 0.48, 300.0),
                time_factor=chance.uniform(0.6, 1.4),
            )
        )
    clock, limits = VirtualClock(BEGINS), quotas(Tier.S1, 1, 0.8)
    hub = VirtualHub(fleet, clock, limits)
    cloud = VirtualCloud(hub, clock, limits, seed)
    request = NewRollout(
        firmware=Firmware(version="2.4.0", package_uri="https://packages.example/fw.bin"),
        strategy=Strategy(
            waves=(WavePlan(size=percent(10), name="canary"),),
            stratify_by=("tags.model",),
            failure_gate=FailureGate(on_breach=OnBreach.FREEZE),
        ),
        body_hash="x",
        device_ids=tuple(hub.devices),
    )
    rollout_id = create(cloud.services, request, None).rollout.id
    return cloud.run(rollout_id, lambda item: item.is_over or item.status is RolloutStatus.PAUSED)


def is_found(end: Rollout) -> bool:
    """Return whether only the bad stratum is frozen, soon, and the others have completed."""
    found = frozen.frozen_strata(end)
    if [end.strata[number] for number in found] != [BAD]:
        return False
    counts = frozen.stratum_counts(end, min(found))
    others = end.counts.total - counts.total
    completed = end.counts.completed - counts.completed
    return counts.failed < MAX_FAILED and completed > 0.97 * others


def test_a_bad_stratum_is_frozen_and_the_others_complete() -> None:
    found = sum(is_found(run(seed, bad_rate=0.2, rate=0.005)) for seed in range(RUNS))
    assert found >= 0.95 * RUNS - 1


def test_good_strata_are_seldom_frozen() -> None:
    ends = [run(seed, bad_rate=0.01, rate=0.01) for seed in range(RUNS)]
    stopped = sum(bool(frozen.frozen_strata(end)) or not end.is_over for end in ends)
    assert stopped <= 0.053 * RUNS + 1
