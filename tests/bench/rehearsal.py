"""Measure rehearsals of large fleets, beside the seconds that each may take."""

import logging
import time
from collections.abc import Iterator
from decimal import Decimal

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.strategy import Strategy, WavePlan, percent
from simulator.rehearsal.rehearse import Rehearsal, rehearse
from simulator.rehearsal.virtual_fleet import device_ids
from simulator.simulated_fleet.shares import Shares
from tests.bench.figures import Figure

SHARE = 0.8
# Devices, and the seconds that a rehearsal of them may take.
AIMS = {100_000: 15, 1_000_000: 180}


def run() -> Iterator[Figure]:
    logging.disable(logging.WARNING)
    for devices, aim in AIMS.items():
        begun = time.perf_counter()
        outcome, timeline = rehearse(_rehearsal(devices))
        seconds = time.perf_counter() - begun
        if outcome.rollout.counts.completed < devices * 0.9:
            raise RuntimeError(f"the rehearsal did not complete: {outcome.rollout.status_reason}")
        yield Figure(
            name=f"rehearsal of {devices:,} devices, {timeline.seconds / 3600:.0f} h on S1",
            value=seconds,
            unit="s",
            base=Figure(name="the aim", value=aim, unit="s"),
        )
    yield _bad_firmware()


def _rehearsal(devices: int, fail: str = "0.5", *, offline: str = "1") -> Rehearsal:
    """Return a rehearsal of the default strategy with a canary of 1% and a success share of 95%."""
    strategy = Strategy(
        waves=(WavePlan(size=percent(1), name="canary"),), success_share=percent(95)
    )
    return Rehearsal(
        request=NewRollout(
            firmware=Firmware(version="2.4.0", package_uri="https://packages.example/fw.bin"),
            strategy=strategy,
            body_hash="bench",
            device_ids=tuple(device_ids(devices)),
        ),
        limits=quotas(Tier.S1, 1, SHARE),
        shares=Shares(fail=Decimal(fail), offline=Decimal(offline)),
        seed=7,
    )


def _bad_firmware() -> Figure:
    outcome, _ = rehearse(_rehearsal(10_000, "100", offline="0"))
    return Figure(
        name="started of 10,000, canary of 100, all fail",
        value=outcome.started,
        unit="",
        base=Figure(name="the canary", value=100, unit=""),
    )
