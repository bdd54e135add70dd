"""Compute how often a rollout of good firmware completes with the default strategy.

Good firmware fails on 1% of its devices. Failures and successes take the same time, so the devices
of a wave finish in an order that does not depend on their outcome.
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
LIMITS = gate.limits_for(GATE)
RATE = 0.01
MAX_DEVICES = 100_000
# A larger wave that was not stopped so far is stopped with a probability below NEGLIGIBLE.
MAX_COMPUTED = 3_000
NEGLIGIBLE = 1e-9
DOCS = Path(__file__).parents[4] / "docs/failure-gate.md"


@cache
def passing() -> list[float]:
    """Return, by the size of a wave, the probability that it passes its gate and its share."""
    alive, passes = {0: 1.0}, [1.0]
    for devices in range(1, MAX_COMPUTED + 1):
        fewest = gate.failures_to_breach(LIMITS, devices) or devices + 1
        after: dict[int, float] = {}
        for failed, chance in alive.items():
            after[failed] = after.get(failed, 0.0) + chance * (1 - RATE)
            if failed + 1 < fewest:
                after[failed + 1] = after.get(failed + 1, 0.0) + chance * RATE
        alive = {failed: chance for failed, chance in after.items() if chance > 1e-15}
        most = evidence.tolerated_failures(LIMITS, devices)
        passes.append(sum(chance for failed, chance in alive.items() if failed <= most))
    assert chance_of_a_later_breach(alive, MAX_COMPUTED) < NEGLIGIBLE
    return passes


def chance_of_a_later_breach(alive: dict[int, float], devices: int) -> float:
    """Return an upper limit of it, by Ville's inequality for the likelihood ratio."""
    threshold = math.log(GATE.confidence / (1 - GATE.confidence))
    p0, p1 = GATE.acceptable.hundredths / 10_000, GATE.unacceptable.hundredths / 10_000

    def ratio(failed: int) -> float:
        return failed * math.log(p1 / p0) + (devices - failed) * math.log((1 - p1) / (1 - p0))

    return sum(
        chance * min(1.0, math.exp(ratio(failed) - threshold)) for failed, chance in alive.items()
    )


def chance_of_a_wave(devices: int) -> float:
    return passing()[min(devices, MAX_COMPUTED)]


def chance_of_a_rollout(devices: int, *canary: WavePlan) -> float:
    return math.prod(chance_of_a_wave(wave.size) for wave in plan_waves(canary, devices))


def test_good_firmware_completes_for_every_fleet_without_a_canary() -> None:
    assert min(passing()) >= 0.95
    assert chance_of_a_wave(MAX_DEVICES) == pytest.approx(0.97585, abs=1e-4)


def test_good_firmware_completes_for_every_fleet_and_every_canary() -> None:
    """Check the least likely pair of two waves, of any sizes."""
    assert min(passing()) ** 2 >= 0.95


@pytest.mark.parametrize("size", [1, 5, 50, percent(1), percent(5), percent(10), percent(50)])
def test_good_firmware_completes_with_usual_canaries(size: object) -> None:
    sizes = (*range(1, 1_001), *range(1_001, MAX_DEVICES, 997), MAX_DEVICES)
    plan = WavePlan(size=size)  # type: ignore[arg-type]
    fitting = [n for n in sizes if not isinstance(size, int) or size <= n]
    assert min(chance_of_a_rollout(n, plan) for n in fitting) >= 0.95


def test_bad_firmware_does_not_pass_by_the_default_share() -> None:
    """Check that a wave of which a tenth fails passes its share no more often than its gate."""
    for devices in range(3, 500):
        failed = evidence.tolerated_failures(LIMITS, devices) + 1
        breached = gate.judge(LIMITS, failed, devices - failed) is gate.Verdict.BREACHED
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
