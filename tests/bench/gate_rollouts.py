"""Count how often the gate stops whole rollouts of good firmware, through the service's use cases.

The rehearsal's hub has the quotas of one unit of tier S1. Each device fails with a probability of
1%, independent of all others, and failures are reported ten times sooner than successes. That is
what the gate of earlier releases did worst.

The environment variable RUNS sets the number of rollouts of the smallest fleet; larger fleets have
a share of it.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from random import Random

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy, WavePlan, percent
from functions.rollouts.rollout import gate
from functions.use_cases.create import create
from simulator.rehearsal.rehearse import BEGINS
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_cloud import VirtualCloud
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.rehearsal.virtual_fleet import device_ids
from simulator.rehearsal.virtual_hub import VirtualHub
from simulator.simulated_fleet.shares import Fault
from tests.bench.figures import Figure

RUNS = int(os.environ.get("RUNS") or 40)
# Devices, and the share of RUNS: a rollout of 10,000 devices needs up to 10 s of CPU.
FLEETS = {10_000: 0.05, 1_000: 0.25, 100: 1.0}
CANARIES = (0, 1, 5)  # percent; 0: no canary
GOOD, BAD = 1, 10  # percent of the devices that fail
FAIL_SECONDS, HEALTHY_SECONDS = 60.0, 600.0
MAX_STOPPED = 100 * 0.05 / 0.95  # percent of good rollouts, the limit
_HUB_SHARE = 0.8
_SUCCESS_SHARE = percent(95)


def run() -> Iterator[Figure]:
    logging.disable(logging.WARNING)
    limit = Figure(name="the limit", value=MAX_STOPPED, unit="% rollouts")
    for devices, share in FLEETS.items():
        runs = max(1, round(RUNS * share))
        for canary in CANARIES:
            found = Counter(_end(devices, canary, GOOD, seed) for seed in range(1, runs + 1))
            others = {why: count for why, count in found.items() if why not in (gate.CODE, "")}
            yield Figure(
                name=f"{devices:,} devices, canary {canary}%, {GOOD}% bad, {runs} runs: stopped",
                value=100 * found[gate.CODE] / runs,
                unit="% rollouts",
                base=limit,
            )
            if others:
                print(f"  stopped otherwise: {dict(others)}", flush=True)
    yield _bad_firmware()


def _bad_firmware() -> Figure:
    runs = max(1, RUNS // 10)
    found = Counter(_end(1_000, 5, BAD, seed) for seed in range(1, runs + 1))
    return Figure(
        name=f"1,000 devices, canary 5%, {BAD}% bad, {runs} runs: stopped",
        value=100 * found[gate.CODE] / runs,
        unit="% rollouts",
    )


def _end(devices: int, canary: int, failing: int, seed: int) -> str:
    """Return the code of the reason why a rollout was stopped, empty if it was not."""
    random = Random(f"{devices} {canary} {failing} {seed}")  # noqa: S311 - a simulation
    fleet = [_device(device_id, failing, random) for device_id in device_ids(devices)]
    clock, limits = VirtualClock(BEGINS), quotas(Tier.S1, 1, _HUB_SHARE)
    hub = VirtualHub(fleet, clock, limits)
    cloud = VirtualCloud(hub, clock, limits, seed)
    waves = (WavePlan(size=percent(canary), name="canary"),) if canary else ()
    request = NewRollout(
        firmware=Firmware(version="2.4.0", package_uri="https://packages.example/fw.bin"),
        strategy=Strategy(waves=waves, success_share=_SUCCESS_SHARE),
        body_hash="bench",
        device_ids=tuple(hub.devices),
    )
    ended = cloud.run(create(cloud.services, request, None).rollout.id, _is_paused)
    if ended.status is RolloutStatus.COMPLETED or ended.status_reason is None:
        return ""
    return ended.status_reason.code


def _is_paused(rollout: Rollout) -> bool:
    return rollout.status is RolloutStatus.PAUSED


def _device(device_id: str, failing: int, random: Random) -> VirtualDevice:
    is_bad = random.random() < failing / 100
    seconds = FAIL_SECONDS if is_bad else HEALTHY_SECONDS
    return VirtualDevice(
        device_id,
        fault=Fault.FAILING if is_bad else Fault.NONE,
        stage_seconds=(seconds * 0.02, seconds * 0.5, seconds * 0.48, 300.0),
        time_factor=random.uniform(0.6, 1.4),
    )
