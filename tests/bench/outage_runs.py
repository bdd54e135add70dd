"""Whole rollouts with an outage, with bad firmware, or with both, from seeds.

`python -m tests.bench.outage_runs --runs 1000` prints how many rollouts of each kind were stopped.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.method_outcome import MethodOutcome, Responded
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.use_cases.create import create
from simulator.rehearsal.outages import Outage
from simulator.rehearsal.rehearse import BEGINS
from simulator.rehearsal.strata import Stratum
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_cloud import VirtualCloud
from simulator.rehearsal.virtual_fleet import device_ids, virtual_fleet
from simulator.rehearsal.virtual_hub import VirtualHub

SITES = ("berlin", "paris", "madrid", "rome")
_MAX_LENGTH = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens in one rollout."""

    seed: int
    devices: int = 400
    has_outage: bool = True
    dark_share: float = 0.0
    """Of the devices, that go offline and stay so when they accept the update."""
    stratify: bool = True
    hits_all_strata: bool = False
    """Whether a quarter of each site is away; else a site as a whole."""
    soak: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of it."""

    rollout: Rollout
    stopped: bool
    """Whether it paused, or failed after it had paused: the failure gate breached."""
    told: bool
    """Whether it showed `ambientOutage`."""
    started_meanwhile: int
    """Devices that began an update while it showed that."""


class _DarkHub(VirtualHub):
    """A hub some of whose devices go offline and stay so once they have accepted the method."""

    doomed: frozenset[str] = frozenset()

    def _invoke(self, device_id: str, payload: Mapping[str, Any], now: float) -> MethodOutcome:
        outcome = super()._invoke(device_id, payload, now)
        if device_id in self.doomed and isinstance(outcome, Responded):
            self.disconnect(device_id)
        return outcome


def run(scenario: Scenario) -> Result:
    """Run one rollout until it is over, or is paused and nothing is under way."""
    random = Random(scenario.seed)  # noqa: S311 - a simulation
    ids = device_ids(scenario.devices)
    clock = VirtualClock(BEGINS)
    fleet = virtual_fleet(
        ids,
        BEGINS,
        scenario.seed,
        planned_strata=[Stratum(name=site) for site in SITES],
        planned_outages=[_draw_outage(random, scenario)] if scenario.has_outage else (),
    )
    limits = quotas(Tier.S1, 1)
    hub = _DarkHub(fleet, clock, limits)
    hub.doomed = frozenset(item for item in ids if random.random() < scenario.dark_share)
    cloud = VirtualCloud(hub, clock, limits, scenario.seed)
    request = NewRollout(
        device_ids=tuple(ids),
        firmware=Firmware(version="2.4.0", package_uri="https://packages.example/fw-2.4.0.bin"),
        strategy=_strategy(scenario),
        body_hash="",
    )
    rollout_id = create(cloud.services, request, None).rollout.id
    told, meanwhile, before = False, 0, (False, 0)

    def watch(rollout: Rollout) -> bool:
        nonlocal told, meanwhile, before
        reason = rollout.status_reason
        is_shown = reason is not None and reason.code == "ambientOutage"
        if before[0] and is_shown:
            meanwhile += hub.started - before[1]
        told, before = told or is_shown, (is_shown, hub.started)
        is_idle = not (rollout.counts.updating or rollout.counts.soaking)
        is_paused = rollout.status is RolloutStatus.PAUSED
        return (is_paused and is_idle) or clock.now > BEGINS + _MAX_LENGTH

    ended = cloud.run(rollout_id, watch)
    return Result(
        rollout=ended,
        stopped=ended.status in {RolloutStatus.PAUSED, RolloutStatus.FAILED},
        told=told,
        started_meanwhile=meanwhile,
    )


def _strategy(scenario: Scenario) -> Strategy:
    return Strategy(
        waves=(WavePlan(size=scenario.devices // 10), WavePlan(size=scenario.devices // 4)),
        stratify_by=("tags.site",) if scenario.stratify else (),
        soak=scenario.soak,
        timeout=timedelta(minutes=20),
    )


def _draw_outage(random: Random, scenario: Scenario) -> Outage:
    """Return an outage of a quarter of the devices, of 10 min to 3 h, in the first ten minutes."""
    seconds, start = random.uniform(600, 10_800), random.uniform(10, 600)
    if scenario.hits_all_strata:
        return Outage(seconds=seconds, start=start, share=Decimal(25))
    return Outage(seconds=seconds, start=start, stratum=random.choice(SITES))


def main() -> None:
    """Print how many rollouts of each kind were stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.runs)
    for name, kind in KINDS.items():
        results = [run(Scenario(seed=seed, **kind)) for seed in seeds]
        stopped = sum(item.stopped for item in results)
        told = sum(item.told for item in results)
        meanwhile = sum(item.started_meanwhile for item in results)
        print(
            f"{name}: {stopped} of {options.runs} stopped, {told} showed the outage,"
            f" {meanwhile} devices started meanwhile",
            flush=True,
        )


KINDS: Mapping[str, Mapping[str, Any]] = {
    "outage, good firmware": {},
    "outage, good firmware, soak": {"soak": timedelta(minutes=5)},
    "outage, good firmware, no strata": {"stratify": False},
    "outage of a quarter of each stratum, good firmware": {"hits_all_strata": True},
    "no outage, 10% go dark": {"has_outage": False, "dark_share": 0.1},
    "outage, and 10% go dark": {"dark_share": 0.1},
}
"""The kinds of rollouts that are run."""


if __name__ == "__main__":
    main()
