"""Compute how often a rollout of good firmware completes with the default strategy.

Good firmware fails on 1% of its devices. The gate judges devices in the order of their start, so
the results do not depend on when failures and successes come.
"""

import math
import re
from functools import cache
from pathlib import Path

import pytest

from functions.rollouts.model.strategy import Strategy, WavePlan, percent
from functions.rollouts.rollout import evidence, gate
from functions.rollouts.rollout.start_order import plan_waves

GATE = Strategy().failure_gate
RATE = 0.01
MAX_DEVICES = 100_000
# A larger wave that was not stopped so far is stopped with a probability below NEGLIGIBLE.
MAX_COMPUTED = 3_000
NEGLIGIBLE = 1e-9
DOCS = Path(__file__).parents[4] / "docs/failure-gate.md"


@cache
def passing(waves: int = 1) -> list[float]:
    """Return, by the size of a wave, the probability that it passes its gate and its share.

    The wave is one of several `waves` of its rollout.
    """
    limits = gate.limits_for(GATE, waves)
    alive, passes = {0: 1.0}, [1.0]
    for devices in range(1, MAX_COMPUTED + 1):
        fewest = gate.failures_to_breach(limits, devices) or devices + 1
        after: dict[int, float] = {}
        for failed, chance in alive.items():
            after[failed] = after.get(failed, 0.0) + chance * (1 - RATE)
            if failed + 1 < fewest:
                after[failed + 1] = after.get(failed + 1, 0.0) + chance * RATE
        alive = {failed: chance for failed, chance in after.items() if chance > 1e-15}
        most = evidence.tolerated_failures(limits, devices)
        passes.append(sum(chance for failed, chance in alive.items() if failed <= most))
    assert chance_of_a_later_breach(alive, MAX_COMPUTED, limits) < NEGLIGIBLE
    return passes


def chance_of_a_later_breach(alive: dict[int, float], devices: int, limits: gate.Limits) -> float:
    """Return an upper limit of it, by Ville's inequality for the likelihood ratio."""
    ratios = {failed: limits.ratio(failed, devices - failed) for failed in alive}
    return sum(
        chance * min(1.0, math.exp(ratios[failed] - limits.threshold))
        for failed, chance in alive.items()
    )


def chance_of_a_wave(devices: int, waves: int = 1) -> float:
    return passing(waves)[min(devices, MAX_COMPUTED)]


def chance_of_a_rollout(devices: int, *canary: WavePlan) -> float:
    planned = plan_waves(canary, devices)
    return math.prod(chance_of_a_wave(wave.size, len(planned)) for wave in planned)


def test_good_firmware_completes_for_every_fleet_without_a_canary() -> None:
    assert min(passing()) >= 0.95
    assert chance_of_a_wave(MAX_DEVICES) == pytest.approx(0.97585, abs=1e-4)


def test_good_firmware_completes_for_every_fleet_and_every_canary() -> None:
    """Check the least likely pair of two waves, of any sizes."""
    assert min(passing(2)) ** 2 >= 0.95


@pytest.mark.parametrize("size", [1, 5, 50, percent(1), percent(5), percent(10), percent(50)])
def test_good_firmware_completes_with_usual_canaries(size: object) -> None:
    sizes = (*range(1, 1_001), *range(1_001, MAX_DEVICES, 997), MAX_DEVICES)
    plan = WavePlan(size=size)  # type: ignore[arg-type]
    fitting = [n for n in sizes if not isinstance(size, int) or size <= n]
    assert min(chance_of_a_rollout(n, plan) for n in fitting) >= 0.95


@pytest.mark.parametrize("waves", [3, 5, 10])
def test_good_firmware_is_seldom_stopped_however_many_waves_it_has(waves: int) -> None:
    """Check that waves which end at their gate's limit stop at most 5.3% of rollouts together."""
    assert chance_of_a_wave(MAX_DEVICES, waves) ** waves >= 1 - 0.05 / 0.95


def test_bad_firmware_does_not_pass_by_the_default_share() -> None:
    """Check that a wave of which a tenth fails passes its share no more often than its gate."""
    limits = gate.limits_for(GATE)
    for devices in range(3, 500):
        failed = evidence.tolerated_failures(limits, devices) + 1
        breached = gate.judge(limits, failed, devices - failed) is gate.Verdict.BREACHED
        assert breached or failed >= devices / 2


def test_the_documented_probabilities_are_those_computed() -> None:
    section = DOCS.read_text(encoding="utf-8").split("## The success share and the gate")[1]
    rows = re.findall(
        r"^\| ([\d,]+) \| ([\d.]+)% \| ([\d.]+)% \| ([\d.]+)% \|$", section, re.MULTILINE
    )
    assert len(rows) == 9
    for devices, *shown in rows:
        number = int(devices.replace(",", ""))
        canaries = ((), (WavePlan(size=percent(1)),), (WavePlan(size=percent(10)),))
        computed = [f"{chance_of_a_rollout(number, *canary):.1%}"[:-1] for canary in canaries]
        assert computed == shown, devices
