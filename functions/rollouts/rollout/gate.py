"""The failure gate: is a wave's failure rate the acceptable one, or the unacceptable one?

A likelihood ratio test between the acceptable failure rate p0 and the unacceptable one p1, over the
wave's devices in the order of their starts. Of any devices, the log-likelihood ratio is
failed x ln(p1 / p0) + others x ln((1 - p1) / (1 - p0)), where the others are healthy or in flight.
The gate is breached when the ratio of the first k devices, for any k, is at the threshold or above.
Only prefixes that end in a failure need to be judged: any other device lowers the ratio.

Why the limit holds, whenever failures and successes come: let L(k) be the likelihood ratio of the
first k devices once they have all ended. The order is set before anything is known of an end, so at
the acceptable rate L is a martingale that begins at 1. A device in flight counts as healthy, which
adds least, so no ratio that is ever judged is above the final L(k). By Ville's inequality L exceeds
a threshold (1 - beta) / alpha for any k with probability alpha / (1 - beta) at most (J. Ville,
Etude critique de la notion de collectif, 1939; A. Wald, Sequential Tests of Statistical Hypotheses,
Annals of Mathematical Statistics 16, 1945). A late success takes a failure back, and a device that
did not start after all leaves the order: what is left is judged by the same L.

Alpha and beta are 1 - confidence. The limit is for the rollout: alpha is divided equally among
its waves, so that a rollout at the acceptable rate is stopped with probability alpha / (1 - beta)
at most: 5.3% at 95%. If waves are changed while it runs, those that have opened keep their part,
and the others divide the rest (`changing`).

With strata, half of alpha is divided equally among the waves, and half among the strata. A stratum
is judged by all its devices of all waves, in the order of their starts: one sequence, to which the
proof applies as to a wave's. So it needs no share of alpha for each wave, and what a canary showed
of it still counts.

Example: p0 1%, p1 10%, confidence 0.95, one wave. A failure adds 2.303, any other device takes
0.095 away, the threshold is 2.944. So 2 failed of the first 19 breach, 2 of 20 do not. With a
second wave the threshold of each is 3.638: 2 failed of the first 12 breach.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from functions.rollouts.model.gate_sequence import GateSequence, Prefix
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import FailureGate, Share
from functions.rollouts.model.wave import Wave

CODE = "failureGate"
_WHOLE = 10_000  # hundredths of a percent


class Verdict(StrEnum):
    """What a number of devices say about the firmware; only `BREACHED` has consequences."""

    UNDECIDED = "undecided"  # too few devices to tell
    ACCEPTABLE = "acceptable"  # at or below the lower threshold, for now
    BREACHED = "breached"  # at or above the upper threshold


class Limits(NamedTuple):
    """What a device adds to the ratio, and where the gate decides."""

    per_failed: float
    per_other: float  # a healthy device, or one in flight; negative
    threshold: float  # at this ratio or above the gate is breached
    acceptable: float  # at this ratio or below the devices are acceptable; negative

    def ratio(self, failed: int, others: int) -> float:
        """Return the log-likelihood ratio of some devices."""
        return failed * self.per_failed + others * self.per_other


@lru_cache
def limits_for(gate: FailureGate, parts: int = 1) -> Limits:
    """Return the limits where alpha is divided into equal parts: for waves, and for strata.

    Quotients are exact: 1 - 0.9 is not 0.1 as a float, and one failure at 9% against 1% must just
    meet 0.9 / 0.1.
    """
    acceptable, unacceptable = gate.acceptable.hundredths, gate.unacceptable.hundredths
    confidence = Fraction(str(gate.confidence))
    beta = 1 - confidence
    alpha = beta / max(1, parts)
    return Limits(
        per_failed=math.log(Fraction(unacceptable, acceptable)),
        per_other=math.log(Fraction(_WHOLE - unacceptable, _WHOLE - acceptable)),
        threshold=math.log(confidence / alpha),
        acceptable=math.log(beta / (1 - alpha)),
    )


def limits_of(rollout: Rollout, wave: Wave) -> Limits:
    """Return the limits for a wave of this rollout.

    Where strata are judged, half of alpha is theirs.
    """
    halves = 2 if rollout.stratum_gates else 1
    divisor = wave.error_divisor or len(rollout.waves)
    return limits_for(rollout.strategy.failure_gate, halves * divisor)


def limits_of_strata(rollout: Rollout) -> Limits:
    """Return the limits for each stratum of this rollout, over all waves."""
    return limits_for(rollout.strategy.failure_gate, 2 * len(rollout.stratum_gates))


def judge(limits: Limits, failed: int, others: int) -> Verdict:
    """Return the verdict on some devices. A threshold that is just met counts.

    Example: default gate, one wave, 2 failed and 17 others -> breached; 2 and 18 -> undecided.
    """
    ratio = limits.ratio(failed, others)
    if ratio >= limits.threshold:
        return Verdict.BREACHED
    return Verdict.ACCEPTABLE if ratio <= limits.acceptable else Verdict.UNDECIDED


def find_worst(limits: Limits, sequence: GateSequence) -> Prefix | None:
    """Return the prefix with the highest ratio, the first of several; None without a failure."""
    if not sequence.failed:
        return None
    # Devices after the last failure are in no prefix. Without them, the cache finds the sequence.
    return _find_worst(limits, sequence._replace(started=0, in_flight=0))


@lru_cache
def _find_worst(limits: Limits, sequence: GateSequence) -> Prefix | None:
    return max(sequence.prefixes(), key=lambda prefix: _ratio(limits, prefix), default=None)


def is_breached(limits: Limits, prefixes: Iterable[Prefix]) -> bool:
    """Return whether any of the prefixes reaches the threshold."""
    return any(_ratio(limits, prefix) >= limits.threshold for prefix in prefixes)


def failures_to_breach(limits: Limits, devices: int) -> int | None:
    """Return the fewest failures among `devices` that breach; None if not even all do.

    Example: default gate, one wave, 19 -> 2, 20 -> 3, 100 -> 6; 1 -> None.
    """
    fewest = bisect_left(
        range(devices + 1),
        True,
        key=lambda failed: judge(limits, failed, devices - failed) is Verdict.BREACHED,
    )
    return fewest if fewest <= devices else None


def breach(gate: FailureGate, limits: Limits, name: str, sequence: GateSequence) -> Reason | None:
    """Return why a wave or stratum, called `name`, must not go on; None if it may.

    Example: default gate, one wave -> "Wave canary: 3 of its first 20 devices failed (15%), those
    in flight counted as healthy; the gate allows 2. At 95% confidence an unacceptable failure rate
    (10%) explains this better than an acceptable one (1%)."
    """
    worst = find_worst(limits, sequence)
    if worst is None or _ratio(limits, worst) < limits.threshold:
        return None
    failed, devices = worst
    allowed = (failures_to_breach(limits, devices) or failed) - 1
    who = f"{failed} of its first {devices} devices" if devices > 1 else "its first device"
    message = (
        f"{name}: {who} failed"
        f" ({Share(round(failed * _WHOLE / devices))}), those in flight counted as healthy;"
        f" the gate allows {allowed or 'none'}."
        f" At {gate.confidence * 100:.10g}% confidence an unacceptable failure rate"
        f" ({gate.unacceptable}) explains this better than an acceptable one ({gate.acceptable})."
    )
    return Reason(code=CODE, message=message)


def _ratio(limits: Limits, prefix: Prefix) -> float:
    return limits.ratio(prefix.failed, prefix.devices - prefix.failed)
