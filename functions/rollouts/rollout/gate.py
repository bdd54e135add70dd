"""The failure gate: is a wave's failure rate the acceptable one, or the unacceptable one?

Wald's sequential probability ratio test (A. Wald, Sequential Tests of Statistical Hypotheses,
Annals of Mathematical Statistics 16, 1945) between the acceptable failure rate p0 and the
unacceptable one p1. Both error rates are alpha = beta = 1 - confidence. Of the wave's *finished*
devices only the two counts matter: `failed`, and `healthy` (completed, whether or not it soaks).
Silent devices are in neither count, and so dilute nothing; a healthy device that fails in its
soak is just other counts.

The log-likelihood ratio is failed x ln(p1 / p0) + healthy x ln((1 - p1) / (1 - p0)). At
ln((1 - beta) / alpha) or above, the gate is breached. The lower threshold, ln(beta / (1 - alpha)),
does not end the test here as it does in Wald's: the wave goes on being watched, so that a fault
that shows late is still found. By Ville's inequality the upper threshold alone holds this limit:
at the acceptable rate at most alpha / (1 - beta) of all waves, of any size, are ever breached,
however often the gate judges. In return a wave can be breached long after it was acceptable.

The limit needs an order of counting that does not depend on the outcome. Where many devices
update at once and failures end much sooner than successes, the first to finish are mostly failures.

Example: p0 1%, p1 10%, confidence 0.95. A failure adds 2.303, a healthy device takes 0.095 away,
the thresholds are 2.944 and -2.944. So 2 failed of 19 breach, 2 of 20 do not, and 31 healthy
devices without a failure are acceptable.
"""

import math
from bisect import bisect_left
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from functions.rollouts.model import texts
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.strategy import FailureGate, Share

CODE = "failureGate"
_WHOLE = 10_000  # hundredths of a percent


class Verdict(StrEnum):
    """What the finished devices say about the firmware; only `BREACHED` has consequences."""

    UNDECIDED = "undecided"  # too few devices to tell
    ACCEPTABLE = "acceptable"  # at or below the lower threshold, for now
    BREACHED = "breached"  # at or above the upper threshold


def judge(gate: FailureGate, failed: int, healthy: int) -> Verdict:
    """Return the verdict on finished devices. A threshold that is just met counts.

    Example: default gate, 2 failed and 17 healthy -> breached; 2 and 18 -> undecided.
    """
    per_failed, per_healthy, threshold = _weights(
        gate.acceptable.hundredths, gate.unacceptable.hundredths, gate.confidence
    )
    ratio = failed * per_failed + healthy * per_healthy
    if ratio >= threshold:
        return Verdict.BREACHED
    return Verdict.ACCEPTABLE if ratio <= -threshold else Verdict.UNDECIDED


def failures_to_breach(gate: FailureGate, finished: int) -> int | None:
    """Return the fewest failures among `finished` devices that breach; None if not even all do.

    Example: default gate, 19 -> 2, 20 -> 3, 100 -> 6; 1 -> None.
    """
    fewest = bisect_left(
        range(finished + 1),
        True,
        key=lambda failed: judge(gate, failed, finished - failed) is Verdict.BREACHED,
    )
    return fewest if fewest <= finished else None


def breach(gate: FailureGate, wave_name: str, failed: int, healthy: int) -> Reason | None:
    """Return why the wave must not go on, or None if it may.

    Example: default gate, 3 failed and 17 healthy -> "Wave canary: 3 of 20 finished devices
    failed (15%); the gate allows 2. At 95% confidence an unacceptable failure rate (10%) explains
    this better than an acceptable one (1%)."
    """
    if judge(gate, failed, healthy) is not Verdict.BREACHED:
        return None
    finished = failed + healthy
    allowed = (failures_to_breach(gate, finished) or failed) - 1
    message = (
        f"Wave {wave_name}: {failed} of {texts.count(finished, 'finished device')} failed "
        f"({Share(round(failed * _WHOLE / finished))}); the gate allows {allowed or 'none'}. "
        f"At {gate.confidence * 100:.10g}% confidence an unacceptable failure rate "
        f"({gate.unacceptable}) explains this better than an acceptable one ({gate.acceptable})."
    )
    return Reason(code=CODE, message=message)


@lru_cache
def _weights(acceptable: int, unacceptable: int, confidence: float) -> tuple[float, float, float]:
    """Return what a failed and a healthy device add to the ratio, and the upper threshold.

    The lower threshold is its negative, as both error rates are the same. Quotients are exact:
    1 - 0.9 is not 0.1 as a float, and one failure at 9% against 1% must just meet 0.9 / 0.1.
    """
    odds = Fraction(str(confidence))
    return (
        math.log(Fraction(unacceptable, acceptable)),
        math.log(Fraction(_WHOLE - unacceptable, _WHOLE - acceptable)),
        math.log(odds / (1 - odds)),
    )
