"""When three rules stop a simulated wave: the failure gate, the one before it, and a percentage."""

import math
from bisect import bisect_left

from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.strategy import FailureGate
from functions.rollouts.rollout import gate
from tests.bench.simulated_wave import SimulatedWave

PLAIN_PERCENT = 5


def gate_stop(wave: SimulatedWave, limits: gate.Limits) -> float | None:
    """Return when the service's rule stops the wave, or None.

    A further failure lowers no ratio of a prefix, so the first failure that breaches is found by
    doubling and halving.
    """
    ranks = tuple(failure.position + 1 for failure in wave.failures)

    def is_breached(failures: int) -> bool:
        sequence = GateSequence(started=wave.size, failed=ranks[:failures])
        return gate.is_breached(limits, sequence.prefixes())

    enough = 1
    while enough < len(ranks) and not is_breached(enough):
        enough *= 2
    numbers = range(min(enough, len(ranks)) + 1)
    fewest = bisect_left(numbers, True, lo=enough // 2, key=is_breached)
    return wave.failures[fewest - 1].ended_at if fewest < len(numbers) else None


def earlier_stop(wave: SimulatedWave, strategy: FailureGate) -> float | None:
    """Return when the rule of earlier releases stops the wave, or None.

    It took the ratio of all devices that had ended, in the order of their ends.
    """
    acceptable, unacceptable = strategy.acceptable.of(1), strategy.unacceptable.of(1)
    per_failed = math.log(unacceptable / acceptable)
    per_healthy = math.log((1 - unacceptable) / (1 - acceptable))
    threshold = math.log(strategy.confidence / (1 - strategy.confidence))
    for failed, failure in enumerate(wave.failures, 1):
        # Healthy devices do not raise the ratio, so they are only counted where they matter.
        if failed * per_failed < threshold:
            continue
        if failed * per_failed + wave.healthy_by(failure.ended_at) * per_healthy >= threshold:
            return failure.ended_at
    return None


def plain_stop(wave: SimulatedWave) -> float | None:
    """Return when "more than 5% of the whole wave have failed" stops the wave, or None."""
    allowed = wave.size * PLAIN_PERCENT // 100
    return wave.failures[allowed].ended_at if len(wave.failures) > allowed else None
